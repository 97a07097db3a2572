#!/usr/bin/env python3
"""The Debian package: it is built from the files of the repository, installed
in a fresh tree of this system's own release, serves hooks behind its nginx,
is upgraded under load, removed and purged.

systemd is not the first process there. What the package's scripts ask of it
is written down by a stand-in for systemctl, which ends the worker where it is
told to restart it; this test holds the socket and starts the worker as the
units say. The tree is kept in build/, and used again; it is changed in a layer
of memory alone, in a network of its own."""
import configparser
import ctypes
import fcntl
import glob
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading

from clients import Clients
from database import query
from environment import BUILD, FULL, SRC, clean_environment
from expect import equal, until
from hooks import PATH, RECEIVED, SECRET, compact, issue
from http_client import http_request
from process import start_process
from scratch import Scratch, write_file
from sockets import listening_socket
from tap import Skip, Tap, skip_all

CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
PORT = 80                       # in a network of our own
NEXT = "0.1.0+next"
STATE = "var/lib/sentry-webhooks"
TOOLS = ("debootstrap", "dpkg-buildpackage", "dh", "lintian", "chroot",
         "setpriv", "mount")
LIBC = ctypes.CDLL(None, use_errno=True)

# What stands for systemd: it knows whether something is enabled, and that the
# worker and its socket are running.
SYSTEMCTL = """#!/bin/sh
echo "$*" >>/run/systemctl.log
case "$*" in
*is-enabled*)
	exec /usr/bin/systemctl "$@" ;;
*is-active*sentry-webhooks.*)
	test -e /run/worker.pid ;;
*restart*sentry-webhooks.socket*)
	rm /run/sentry-webhooks/sentry-webhooks.sock ;;
*restart*sentry-webhooks.service*)
	kill -TERM "$(cat /run/worker.pid)" ;;
*is-active*)
	exit 3 ;;
esac
"""
SITE = """server {
	listen 127.0.0.1:80 default_server;
	include snippets/sentry-webhooks*.conf;
}
"""

if not FULL:
    skip_all("takes long; set RUNTESTS_FULL")
if os.getuid() != 0:
    skip_all("wants root")
for tool in TOOLS:
    if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
        skip_all(f"no {tool}")
os.environ["PATH"] += ":/usr/sbin:/sbin"
# Mounts that end with this process, whatever ends it.
if LIBC.unshare(CLONE_NEWNS):
    skip_all("may not mount")
tap = Tap()
HERE = Scratch.new("package")


def run(*argv, want=0, seconds=300, **how):
    how.setdefault("input", "")
    done = subprocess.run(argv, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=seconds, **how)
    if want is not None:
        assert done.returncode == want, \
            f"{argv} ended with {done.returncode}:\n{done.stdout[-4000:]}"
    return done.stdout


def mount(*argv):
    run("mount", *argv)


mount("--make-rprivate", "/")


# ---- the tree ------------------------------------------------------------

def sources():
    """(URI, suite, component) of this release, as apt here has them."""
    with open("/etc/os-release", encoding="utf-8") as f:
        suite = re.search(r"^VERSION_CODENAME=(\w+)", f.read(), re.M)[1]
    out = run("apt-get", "indextargets", "Created-By: Packages",
              "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)")
    wanted = (suite, f"{suite}-updates", f"{suite}-security")
    found = {tuple(line.split()) for line in out.splitlines()}
    found = sorted(x for x in found if len(x) == 3 and x[1] in wanted)
    if not any(x[1] == suite for x in found):
        raise Skip(f"apt has no packages of {suite}")
    return suite, found


TREE_PATH = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Tree:
    """A root folder; its programs run in chroot."""
    base = None                 # what debootstrap made, and apt downloaded
    root = None                 # the same under a layer of memory

    def __init__(self, folder):
        self.folder = folder

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def run(self, *argv, frontend="noninteractive", **how):
        env = {"PATH": TREE_PATH, "LC_ALL": "C", "HOME": "/root",
               "DEBIAN_FRONTEND": frontend, "SYSTEMD_OFFLINE": "1"}
        env.update({k: v for k, v in os.environ.items()
                    if k.lower().endswith("_proxy")})
        return run("chroot", self.folder, *argv, env=env, **how)

    def apt(self, *argv):
        return self.run("apt-get", "-q", "-y", "--no-install-recommends",
                        "-o", "Acquire::Retries=2", "-o",
                        f"DPkg::Path={TREE_PATH}", *argv)

    def read(self, *names):
        with open(self.path(*names), encoding="utf-8") as f:
            return f.read()


def debootstrap(folder, suite, found):
    part = folder + ".part"
    shutil.rmtree(part, ignore_errors=True)
    uri = next(x[0] for x in found if x[1] == suite)
    run("debootstrap", "--variant=minbase", suite, part, uri, seconds=600)
    # Nothing is started by what is installed here.
    write_file(os.path.join(part, "usr/sbin/policy-rc.d"),
               "#!/bin/sh\ncase $1 in sentry-*) exit 0; esac\nexit 101\n",
               0o755)
    os.rename(part, folder)


def base_tree(packages):
    """The tree with everything downloaded that the packages need."""
    suite, found = sources()
    folder = os.path.join(BUILD, f"package-tree-{suite}")
    if not os.path.exists(folder):
        debootstrap(folder, suite, found)
    tree = Tree(folder)
    write_file(tree.path("etc/apt/sources.list"),
               "".join("deb %s %s %s\n" % x for x in found))
    proxy = run("apt-config", "dump", "Acquire::http::Proxy")
    write_file(tree.path("etc/apt/apt.conf.d/90proxy"), proxy)
    shutil.copy("/etc/resolv.conf", tree.path("etc/resolv.conf"))
    tree.apt("update")
    shutil.copy(packages[0], tree.path("package.deb"))
    tree.apt("install", "--download-only", "/package.deb", *packages[1:])
    return tree


def layered(base):
    # Nobody else sees what is mounted on /mnt here, nor does it outlive us.
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/mnt")
    names = [os.path.join("/mnt", x) for x in ("upper", "work", "root")]
    for name in names:
        os.mkdir(name)
    upper, work, root = names
    mount("-t", "overlay", "overlay", "-o",
          f"lowerdir={base.folder},upperdir={upper},workdir={work}", root)
    mount("-t", "proc", "proc", os.path.join(root, "proc"))
    mount("-t", "devpts", "-o", "ptmxmode=666", "devpts",
          os.path.join(root, "dev/pts"))
    return Tree(root)


def own_network():
    if LIBC.unshare(CLONE_NEWNET):
        raise Skip("no network of our own")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        # SIOCSIFFLAGS: IFF_UP
        fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", 1))


# ---- systemd's part ------------------------------------------------------

def unit(name):
    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    # Debian 12 has them in /lib, which is a link where there is a merged one.
    assert parser.read([Tree.root.path(usr + "lib/systemd/system", name)
                        for usr in ("", "usr/")]), name
    return parser


def listen():
    """The socket, as its unit has it."""
    conf = unit("sentry-webhooks.socket")["Socket"]
    path = Tree.root.path(conf["ListenStream"].lstrip("/"))
    sock = listening_socket(path)
    os.chmod(path, int(conf["SocketMode"], 8))
    Tree.root.run("chgrp", conf["SocketGroup"], conf["ListenStream"])
    return sock


class Service:
    """The worker under its unit: user, environment, credential, and a start
    whenever it has ended."""

    def __init__(self, listener):
        self.listener = listener
        self.starts = 0
        self.stopping = False
        self.process = None
        self.log = open(os.path.join(HERE, "worker.log"), "ab")
        self.thread = threading.Thread(target=self.keep, daemon=True)
        self.thread.start()

    def keep(self):
        conf = unit("sentry-webhooks.service")["Service"]
        user = conf["User"]
        folder = "run/credentials"
        os.makedirs(Tree.root.path(folder), exist_ok=True)
        name, source = conf["LoadCredential"].split(":")
        shutil.copy(Tree.root.path(source.lstrip("/")),
                    Tree.root.path(folder, name))
        Tree.root.run("chown", "-R", user, "/" + folder)
        env = {"STATE_DIRECTORY": "/var/lib/" + conf["StateDirectory"],
               "CREDENTIALS_DIRECTORY": "/" + folder,
               "PATH": os.environ["PATH"]}
        argv = [shutil.which("chroot"), Tree.root.folder, "setpriv",
                "--pdeathsig", "TERM", "--reuid", user,
                "--regid", conf["Group"], "--clear-groups", "--no-new-privs",
                "--bounding-set=-all", *conf["ExecStart"].split()]
        while not self.stopping:
            self.process = subprocess.Popen(
                argv, stdin=self.listener, stdout=self.log, stderr=self.log,
                env=env)
            write_file(Tree.root.path("run/worker.pid"), str(self.process.pid))
            self.starts += 1
            self.process.wait()
            if self.process.returncode != 0 and not self.stopping:
                break

    def stop(self):
        self.stopping = True
        os.remove(Tree.root.path("run/worker.pid"))
        self.process.send_signal(signal.SIGTERM)
        self.thread.join(30)
        equal(self.process.returncode, 0, "the worker's exit status")


def rows(sql="SELECT count(*) FROM outbox"):
    return query(Tree.root.path(STATE, "outbox.db"), sql)


def asked():
    """What the package's scripts have asked of systemd, and forgets it."""
    path = Tree.root.path("run/systemctl.log")
    with open(path, encoding="utf-8") as f:
        lines = [re.sub(r"--(quiet|system) ?", "", line.strip()) for line in f]
    os.truncate(path, 0)
    return [x for x in lines if "sentry-" in x and not x.startswith("is-")]


def enabled():
    return sorted(os.path.basename(x) for x in glob.glob(Tree.root.path(
        "etc/systemd/system/*.wants/sentry-*")))


def installed(name):
    return os.path.lexists(Tree.root.path(name))


# ---- the tests -----------------------------------------------------------

built = {}


def package():
    if not built:
        raise Skip("no package")
    return built["deb"]


def fresh():
    if Tree.root is None or not installed("usr/sbin/sentry-webhooks"):
        raise Skip("nothing is installed")
    return Tree.root


def serving():
    if "service" not in built:
        raise Skip("no worker is running")
    return Tree.root


@tap.test("the package is built from the files of the repository")
def package_is_built():
    source = os.path.join(HERE, "build", "source")
    os.makedirs(source)
    # A tarball has no .git; then it is all there is but the build.
    listed = subprocess.run(
        ["git", "-C", SRC, "ls-files", "-z", "--cached", "--others",
         "--exclude-standard"], capture_output=True, check=False)
    if os.path.exists(os.path.join(SRC, ".git")) and not listed.returncode:
        names = [x for x in listed.stdout.decode().split("\0")
                 if x and os.path.lexists(os.path.join(SRC, x))]
        for name in names:
            os.makedirs(os.path.dirname(os.path.join(source, name)),
                        exist_ok=True)
            shutil.copy2(os.path.join(SRC, name), os.path.join(source, name))
    else:
        shutil.copytree(SRC, source, dirs_exist_ok=True,
                        ignore=lambda folder, _: (
                            ["build", ".git"] if folder == SRC else []))
    env = {k: v for k, v in clean_environment().items()
           if not k.startswith(("MAKE", "MFLAGS", "CFLAGS", "LDFLAGS",
                                "AM_", "TESTS", "RUNTESTS"))}
    env["DEB_BUILD_OPTIONS"] = f"parallel={os.cpu_count()} noautodbgsym"
    run("dpkg-buildpackage", "-us", "-uc", "-b", cwd=source, env=env,
        seconds=600)
    built["deb"], = glob.glob(os.path.join(HERE, "build", "*.deb"))
    built["changes"], = glob.glob(os.path.join(HERE, "build", "*.changes"))


@tap.test("lintian has nothing to say of it")
def lintian_is_silent():
    package()
    out = run("lintian", "--display-info", "--pedantic", "--fail-on",
              "error,warning,info,pedantic", "--allow-root",
              built["changes"], want=None)
    # A tag that Debian 12's lintian has, and newer ones know no more.
    equal([line for line in out.splitlines() if "alien-tag package-supports-"
           "alternative-init-but-no-init.d-script" not in line], [], "lintian")


@tap.test("it is installed in a fresh tree with all that it needs")
def package_is_installed():
    Tree.base = base_tree([package(), "nginx", "curl"])
    root = layered(Tree.base)
    own_network()
    os.makedirs(root.path("run/systemd/system"))
    write_file(root.path("usr/local/bin/systemctl"), SYSTEMCTL, 0o755)
    write_file(root.path("run/systemctl.log"), "")
    Tree.root = root
    root.apt("install", "/package.deb", "nginx", "curl")
    for name in ("usr/bin/sentry-backfill", "usr/bin/sentry-deliver",
                 "usr/bin/sentry-replay", "usr/bin/sentry-send-hook",
                 "usr/sbin/sentry-webhooks", "usr/sbin/sentry-webhooks-page"):
        out = root.run("/" + name, "--version")
        equal(out.split()[0], os.path.basename(name), out)


@tap.test("that enables and starts nothing")
def nothing_is_started():
    root = fresh()
    equal(asked(), [], "of systemd")
    equal(enabled(), [], "enabled")
    assert not installed("etc/sentry-webhooks/secret")


@tap.test("user, folders, units and settings are there")
def setup_is_there():
    root = fresh()
    out = root.run("stat", "-c", "%a %U %n", "/" + STATE,
                   "/etc/sentry-webhooks", "/run/sentry-webhooks")
    equal(out.splitlines(), [f"750 sentry-webhooks /{STATE}",
                             "750 root /etc/sentry-webhooks",
                             "755 root /run/sentry-webhooks"], "folders")
    for name in ("sentry-webhooks.env", "sentry-deliver.env"):
        assert f"/etc/sentry-webhooks/{name}\n" in root.read(
            "var/lib/dpkg/info/sentry-webhooks.conffiles"), name
    out = root.run("systemd-analyze", "verify", "--man=no",
                   "sentry-webhooks.service", "sentry-deliver.service",
                   "sentry-webhooks.socket", "sentry-webhooks-page.service",
                   want=None)
    assert "sentry" not in out, out


@tap.test("a hook that sentry-send-hook sends becomes a row")
def sent_hook_becomes_row():
    root = fresh()
    write_file(root.path("etc/sentry-webhooks/secret"), SECRET + "\n", 0o600)
    os.remove(root.path("etc/nginx/sites-enabled/default"))
    write_file(root.path("etc/nginx/conf.d/hooks.conf"), SITE)
    write_file(root.path("hook.json"), compact(issue()))
    root.run("nginx", "-t")
    root.run("/usr/bin/systemctl", "enable", "sentry-webhooks.service")
    equal(enabled(), ["sentry-webhooks.service", "sentry-webhooks.socket"],
          "enabled")
    built["service"] = Service(listen())
    start_process(["chroot", root.folder, "nginx", "-g", "daemon off;"])
    until(lambda: http_request(PORT, "GET", PATH).status == 200
          if listening() else False)
    out = root.run("sentry-send-hook", "--secret-file",
                   "/etc/sentry-webhooks/secret", "--url",
                   f"http://127.0.0.1{PATH}", "/hook.json")
    assert RECEIVED.decode() in out, out
    equal([x[0] for x in rows("SELECT source_type FROM outbox")],
          ["issue.created"], "outbox")


def listening():
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", PORT)) == 0


def next_version():
    """The same package with a later version."""
    folder = os.path.join(HERE, "next")
    run("dpkg-deb", "--raw-extract", package(), folder)
    control = os.path.join(folder, "DEBIAN/control")
    with open(control, encoding="utf-8") as f:
        text = f.read()
    write_file(control, re.sub(r"(?m)^Version: .*$", f"Version: {NEXT}", text))
    run("dpkg-deb", "--build", "--root-owner-group", folder,
        Tree.root.path("next.deb"))


@tap.test("an upgrade under load restarts the worker and refuses no hook")
def upgrade_under_load():
    root, service = serving(), built["service"]
    next_version()
    before, starts = rows()[0][0], service.starts
    load = Clients(PORT)
    try:
        until(lambda: len(load.good) > 50)
        root.apt("install", "/next.deb")
        until(lambda: service.starts > starts)
        taken = len(load.good)
        until(lambda: len(load.good) > taken + 50)
    finally:
        load.stop()
    equal(load.bad[:3], [], "hooks refused")
    equal(rows()[0][0], before + len(load.good), "rows")
    equal(service.starts, starts + 1, "starts")
    out = root.run("dpkg-query", "-W", "-f", "${Version}", "sentry-webhooks")
    equal(out, NEXT, "version")


@tap.test("and touches neither the socket nor what was not running")
def upgrade_leaves_socket():
    serving()
    equal(asked(), ["restart sentry-webhooks.service",
                    "start sentry-webhooks.socket"], "of systemd")


@tap.test("a removal stops sockets and services")
def removal_stops_units():
    root = serving()
    root.apt("remove", "sentry-webhooks")
    equal(asked(), ["stop sentry-webhooks-page.socket sentry-webhooks.socket",
                    "stop sentry-deliver.service sentry-webhooks-page.service "
                    "sentry-webhooks.service"],
          "of systemd")
    built["service"].stop()
    assert not installed("usr/sbin/sentry-webhooks")


@tap.test("a purge that cannot ask keeps hooks and secret")
def purge_without_question():
    root = serving()
    before = rows()[0][0]
    out = root.apt("purge", "sentry-webhooks")
    assert f"kept /{STATE}" in out, out
    equal(rows()[0][0], before, "rows")
    assert installed("etc/sentry-webhooks/secret")
    assert not installed("etc/nginx/snippets/sentry-webhooks.conf")
    root.run("nginx", "-t")             # its site still includes that
    equal(enabled(), [], "enabled")


@tap.test("a purge asks, and deletes them for whoever says so")
def purge_with_question():
    root = serving()
    root.apt("install", "/package.deb")
    assert rows()[0][0], "no row is left after it was installed again"
    out = root.run("timeout", "60", "script", "-qec",
                   "dpkg --purge sentry-webhooks", "/dev/null",
                   frontend="teletype", input="yes\n")
    assert "Delete the received hooks and the secrets?" in out, out
    equal([installed(STATE), installed("etc/sentry-webhooks")],
          [False, False], "still there")


tap.run()
