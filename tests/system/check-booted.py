#!/usr/bin/env python3
"""The units under a real systemd: a bare Debian (debootstrap), the programs
built and installed there as the README says, booted by systemd-nspawn; hooks
come in through its nginx while the worker is restarted, killed, without its
secret, uninstalled and installed again. As root: `make check-booted`.
CHECK_BOOTED=trixie for another release than bookworm; DEBIAN_MIRROR in the
environment: where it comes from. What debootstrap made is kept in the build's
folder, and changed in a layer of memory alone, in a network of its own."""
import atexit
import ctypes
import fcntl
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

from clients import Clients, takes_hook
from environment import BUILD, SRC
from expect import equal, until
from hooks import PATH, SECRET, compact, issue, signed
from http_client import http_post
from process import start_process
from scratch import Scratch, write_file
from tap import Tap, skip_all

CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
RELEASE = sys.argv.pop(1) if len(sys.argv) > 1 else "bookworm"
MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
PORT, CLIENTS, TIMES = 8080, 4, 10
WORKER = "sentry-webhooks.service"
SECRET_FILE = "/etc/sentry-webhooks/secret"
SITE = """server {
	listen 127.0.0.1:%d;
	include snippets/sentry-webhooks*.conf;
}
""" % PORT
BUILD_SCRIPT = """set -e
cd /root/sentry-webhooks
autoreconf -fi
mkdir -p build
cd build
../configure --quiet --sysconfdir=/etc
make -s -j2
make install
"""

tap = Tap()
if os.geteuid() != 0:
    skip_all("wants root")
for tool in ("debootstrap", "systemd-nspawn", "nsenter", "mount", "chroot"):
    if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
        skip_all(f"no {tool}")
os.environ["PATH"] += ":/usr/sbin:/sbin"
os.environ["PYTHONUNBUFFERED"] = "1"


def run(*argv, **how):
    done = subprocess.run(argv, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, **how)
    assert done.returncode == 0, f"{argv}: {done.stdout[-3000:]}"
    return done.stdout


def packages():
    """What the README has installed for the source."""
    with open(os.path.join(SRC, "README.md"), encoding="utf-8") as f:
        text = f.read()
    found = re.search(r"# apt-get install -y (gcc .*(?:\n> .*)+)", text)
    return found[1].replace("\\\n>", " ").split()


def base():
    folder = os.path.join(BUILD, "booted-" + RELEASE)
    if not os.path.exists(folder):
        part = folder + ".part"
        shutil.rmtree(part, ignore_errors=True)
        run("debootstrap", "--variant=minbase",
            "--include=systemd,systemd-sysv,dbus", RELEASE, part, MIRROR)
        ours = subprocess.run(["apt-config", "dump"], capture_output=True,
                              text=True, check=False).stdout
        write_file(os.path.join(part, "etc/apt/apt.conf.d/90booted"), "".join(
            x + "\n" for x in ours.splitlines()
            if re.match(r"Acquire::(https?|Check-[\w-]+)(::.*)? ", x)))
        shutil.copy("/etc/resolv.conf", os.path.join(part, "etc"))
        run("chroot", part, "apt-get", "update")
        run("chroot", part, "apt-get", "install", "-y", *packages(), env={
            **os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        os.rename(part, folder)
    return folder


def layer(lower):
    """Mounts, and a network, that end with this process."""
    assert LIBC.unshare(CLONE_NEWNS | CLONE_NEWNET) == 0, "may not unshare"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        # SIOCSIFFLAGS: IFF_UP
        fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", 1))
    run("mount", "--make-rprivate", "/")
    memory = tempfile.mkdtemp(prefix="sentry-booted-")
    atexit.register(os.rmdir, memory)
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", memory)
    atexit.register(subprocess.run, ["umount", "-R", "-l", memory])
    names = [os.path.join(memory, x) for x in ("upper", "work", "root")]
    for name in names:
        os.mkdir(name)
    upper, work, root = names
    run("mount", "-t", "overlay", "overlay", "-o",
        f"lowerdir={lower},upperdir={upper},workdir={work}", root)
    return root


def copy_source(to):
    listed = run("git", "-C", SRC, "ls-files", "-z", "--cached", "--others",
                 "--exclude-standard").split("\0")
    for name in filter(None, listed):
        path = os.path.join(SRC, name)
        if os.path.lexists(path):
            os.makedirs(os.path.dirname(os.path.join(to, name)), exist_ok=True)
            shutil.copy2(path, os.path.join(to, name))


class Machine:
    def __init__(self):
        self.root = layer(base())
        copy_source(os.path.join(self.root, "root/sentry-webhooks"))
        run("chroot", self.root, "sh", "-c", BUILD_SCRIPT)
        self.log = os.path.join(Scratch.new("booted"), "console")
        with open(self.log, "wb") as log:
            self.process = start_process(
                ["systemd-nspawn", "-q", "-b", "-D", self.root,
                 "--register=no", "--keep-unit", "--console=pipe"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(self.is_up, "systemd does not come up")

    def is_up(self):
        """nspawn's first child only makes the place for the next."""
        pid = self.process.pid
        try:
            with open(f"/proc/{pid}/task/{pid}/children",
                      encoding="ascii") as f:
                self.init = f.read().split()[0]
            self.sh("systemctl is-system-running | grep -E 'running|degraded'")
        except (AssertionError, IndexError):
            return False
        return True

    def sh(self, command):
        return run("nsenter", "-t", self.init, "-m", "-u", "-i", "-p",
                   "-C", "--", "/bin/sh", "-ec", "cd /root; PATH=/usr/local/"
                   "sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; "
                   "export PATH; " + command).strip()

    def show(self, key, unit=WORKER):
        return self.sh(f"systemctl show -P {key} {unit}")

    def worker(self):
        """Its number, or 0."""
        return int(self.show("MainPID"))


def socket_is_there(m):
    equal(m.show("ActiveState", "sentry-webhooks.socket"), "active")
    m.sh("test -S /run/sentry-webhooks/sentry-webhooks.sock")


machine = Machine()


@tap.test("what the README says gets a hook in")
def readme_commands_take_a_hook():
    m = machine
    m.sh("systemd-sysusers /usr/local/lib/sysusers.d/sentry-webhooks.conf; "
         "systemctl daemon-reload; install -m 0750 -d /etc/sentry-webhooks; "
         f"echo {SECRET} >{SECRET_FILE}; chmod 600 {SECRET_FILE}")
    write_file(os.path.join(m.root, "etc/nginx/conf.d/hooks.conf"), SITE)
    m.sh("systemctl enable --now sentry-webhooks.socket sentry-webhooks."
         "service; nginx -t; systemctl restart nginx")
    until(lambda: takes_hook(PORT), "no hook is taken")
    m.sh("test -z \"$(systemctl --failed --no-legend 'sentry-*')\"")


@tap.test(f"{TIMES} restarts as fast as they go refuse no hook")
def restarts_refuse_no_hook():
    load = Clients(PORT, CLIENTS)
    until(lambda: len(load.good) > 20)
    try:
        for _ in range(TIMES):
            machine.sh(f"systemctl restart {WORKER} || "
                       f"{{ journalctl -n 40 -o cat; false; }}")
        load.more()
    finally:
        load.stop()
    equal(load.bad, [])
    socket_is_there(machine)


@tap.test(f"{TIMES} kills as fast as they go cut off no more than what the "
          "worker had in its hands")
def kills_cut_off_requests_in_work_only():
    load = Clients(PORT, CLIENTS)
    until(lambda: len(load.good) > 20)
    try:
        for _ in range(TIMES):
            pid = until(machine.worker)
            machine.sh(f"kill -9 {pid}")
            until(lambda: machine.worker() not in (0, pid))
        load.more()
    finally:
        load.stop()
    assert len(load.bad) <= TIMES * CLIENTS, load.bad
    socket_is_there(machine)
    assert takes_hook(PORT)


@tap.test("without its secret the worker is tried again and again, beside a "
          "socket that stays, and serves once it is back")
def worker_without_secret_is_restarted():
    m = machine
    m.sh(f"mv {SECRET_FILE} {SECRET_FILE}.away")
    begin = int(m.show("NRestarts"))
    m.sh(f"kill -9 {until(m.worker)}")
    # Hooks that wait are what starts it again at once.
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(os.path.join("/proc", m.init, "root/run/sentry-webhooks/"
                               "sentry-webhooks.sock"))
        until(lambda: int(m.show("NRestarts")) >= begin + 30)
    socket_is_there(m)
    assert "243/CREDENTIALS" in m.sh(f"journalctl -u {WORKER} -n 50")
    m.sh(f"mv {SECRET_FILE}.away {SECRET_FILE}")
    until(lambda: takes_hook(PORT), "it does not come back")


@tap.test("the journal knows what is a warning")
def journal_shows_warnings():
    body = compact(issue())
    equal(http_post(PORT, PATH, body, signed(body, secret="somebody's"))
          .status, 401)
    said = machine.sh(f"journalctl -o cat -u {WORKER} -p warning")
    assert "event=hook status=401" in said, said[-2000:]
    assert "status=200" not in said and "<4>" not in said, said[-2000:]


def rows():
    return int(machine.sh("sqlite3 -readonly /var/lib/sentry-webhooks/"
                          "outbox.db 'SELECT count(*) FROM webhook'"))


@tap.test("make uninstall stops all, and nginx starts without it")
def uninstall_stops_everything():
    machine.sh("make -C sentry-webhooks/build uninstall")
    equal(machine.sh("systemctl list-units --no-legend --all 'sentry-*'"), "")
    equal(machine.sh("systemctl list-unit-files --no-legend 'sentry-*' || :"),
          "")
    machine.sh("test ! -S /run/sentry-webhooks/sentry-webhooks.sock; "
               "nginx -t; systemctl restart nginx")


@tap.test("and installed again it takes hooks beside those that it had")
def installed_again_keeps_old_hooks():
    before = rows()
    assert before > 0
    machine.sh("make -C sentry-webhooks/build install; systemctl "
               "daemon-reload; systemctl enable --now sentry-webhooks.socket "
               "sentry-webhooks.service; systemctl reload nginx")
    until(lambda: takes_hook(PORT), "no hook is taken")
    socket_is_there(machine)
    until(lambda: rows() > before)


tap.run()
