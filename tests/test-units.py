#!/usr/bin/env python3
"""The systemd units: how exposed they leave the programs, and that the
programs run under what the units take away, as far as that can be shown
without systemd as the first process."""
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
import harness as h  # noqa: E402
from harness import equal, signed, until  # noqa: E402

h.need_program()
tap = h.Tap()
HERE = h.Scratch.new("units")
CONF = os.path.join(h.SRC, "conf")
DELIVER = os.path.join(h.BUILD, "sentry-deliver")
BODY = h.compact(h.issue())
# The limits are the unit's to set, and the C library, which asks for them,
# does without. Only as root SQLite gives its files to the database's owner.
MAY_FAIL = {"prlimit64", "fchown"}
# These fail in the tests as they would under the unit.
STRACE = ["strace", "-D", "-f", "-e",
          f"inject={','.join(MAY_FAIL)}:error=EPERM", "-o"]


def need(*commands):
    for command in commands:
        if not shutil.which(command):
            raise h.Skip(f"no {command}")


def unit(name):
    """A unit with the programs of this build in it."""
    path = os.path.join(HERE, name)
    with open(os.path.join(CONF, name + ".in"), encoding="utf-8") as f:
        h.write(path, re.sub("@s?bindir@", h.BUILD, f.read()))
    return path


def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


# ---- what systemd says ---------------------------------------------------

@tap.table("{} leaves no more exposed than it promises", [
    ("sentry-webhooks.service", 0.3), ("sentry-deliver.service", 1.2)])
def _(name, limit):
    need("systemd-analyze")
    code, out, err = run("systemd-analyze", "security", "--offline=true",
                         "--no-pager", unit(name))
    found = re.search(r"exposure level for \S+: ([0-9.]+)", out)
    assert found, (code, out, err)
    print(f"# {name}: {found[1]}, limit {limit}")
    assert float(found[1]) <= limit, out


@tap.test("systemd-analyze verify finds nothing wrong with the units")
def _():
    need("systemd-analyze")
    socket = shutil.copy(os.path.join(CONF, "sentry-webhooks.socket"), HERE)
    code, out, err = run("systemd-analyze", "verify", socket, *(
        unit(f"sentry-{name}.service") for name in ("webhooks", "deliver")))
    ours = [line for line in err.splitlines() if "sentry-" in line]
    equal((code, out, ours), (0, "", []), err)


@tap.test("systemd-sysusers makes the units' user, with its folder")
def _():
    need("systemd-sysusers")
    root = os.path.join(HERE, "root")
    os.makedirs(os.path.join(root, "etc"), exist_ok=True)
    code, _, err = run("systemd-sysusers", "--root=" + root,
                       os.path.join(CONF, "sentry-webhooks.sysusers"))
    equal(code, 0, err)
    with open(os.path.join(root, "etc/passwd"), encoding="utf-8") as f:
        entry = f.read().split("\n")[0].split(":")
    equal((entry[0], entry[5]), ("sentry-webhooks",
                                 "/var/lib/sentry-webhooks"))
    for name in ("webhooks", "deliver"):
        with open(unit(f"sentry-{name}.service"), encoding="utf-8") as f:
            text = f.read()
        assert "\nUser=sentry-webhooks\n" in text
        assert "\nStateDirectory=sentry-webhooks\n" in text


# ---- the system calls ----------------------------------------------------

def calls_of(sets):
    """The names in systemd's groups of system calls."""
    found, queue = set(), list(sets)
    while queue:
        code, out, err = run("systemd-analyze", "syscall-filter",
                             "--no-pager", queue.pop())
        equal(code, 0, err)
        for word in re.findall(r"^    ([@\w-]+)$", out, re.M):
            (queue.append if word[0] == "@" else found.add)(word)
    return found


def allowed(name):
    """What the unit's SystemCallFilter= lines let through."""
    with open(unit(name), encoding="utf-8") as f:
        lines = re.findall(r"^SystemCallFilter=(~?)(.*)$", f.read(), re.M)
    calls = set()
    for minus, groups in lines:
        if minus:
            calls -= calls_of(groups.split())
        else:
            calls |= calls_of(groups.split())
    assert "read" in calls and "ptrace" not in calls, sorted(calls)
    return calls


def traced(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return set(re.findall(r"^(?:\d+ +)?(\w+)\(", f.read(), re.M))


def check_calls(name, trace):
    calls = traced(trace)
    assert {"execve", "openat", "pwrite64"} <= calls, sorted(calls)
    equal(sorted(calls - allowed(name) - MAY_FAIL), [],
          "calls outside of SystemCallFilter=")


def need_strace():
    need("systemd-analyze", "strace")
    if h.WRAPPER or h.sanitized():
        raise h.Skip("the calls would be a sanitizer's or valgrind's")
    if run("strace", "-o", "/dev/null", "true")[0] != 0:
        raise h.Skip("strace may not trace here")


@tap.test("the worker makes no system call that its unit forbids")
def _():
    need_strace()
    trace = os.path.join(HERE, "worker.trace")
    folder = h.Scratch.new("units")
    listen = h.listening_socket(folder + "/inherited")
    # With -D the worker itself is our child, and gets the signals.
    h.WRAPPER[:] = [*STRACE, trace]
    try:
        w = h.Worker(listen=listen, folder=folder)
    finally:
        h.WRAPPER[:] = []
    equal(w.post(BODY, signed(BODY)).status, 200)
    equal(w.get(h.PATH + "/ready").status, 200)
    equal(w.get(h.PATH + "/metrics").status, 200)
    with h.sqlite3.connect(w.db) as db:
        db.execute("BEGIN EXCLUSIVE")
        equal(w.post(h.compact(h.issue(id="77")), signed(h.compact(
            h.issue(id="77")))).status, 200)
        assert w.spooled(), "the lock did not make it spool"
        db.rollback()
    until(lambda: not w.spooled(), 10)
    equal(w.stop(), 0)
    until(lambda: "+++ exited with 0 +++" in tail(trace), 10)
    check_calls("sentry-webhooks.service", trace)
    listen.close()


def tail(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()[-4096:]


class Sink(http.server.BaseHTTPRequestHandler):
    taken = 0

    def do_POST(self):
        events = json.loads(self.rfile.read(
            int(self.headers["Content-Length"])))
        Sink.taken += len(events) if isinstance(events, list) else 1
        answer = b'{"ids":[],"status":200}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@tap.test("the deliverer makes no system call that its unit forbids")
def _():
    need_strace()
    w = h.Worker()
    equal(w.post(BODY, signed(BODY)).status, 200)
    h.map_everything(w.db)
    until(lambda: w.value("SELECT state FROM outbox") == "pending", 10)
    trace = os.path.join(HERE, "deliver.trace")
    server = http.server.HTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        done = subprocess.run(
            [*STRACE, trace, DELIVER, "--db", w.db, "--once",
             "--to", f"http://localhost:{server.server_port}/e/key"],
            capture_output=True, text=True, timeout=60,
            env=h.clean_environment({"no_proxy": "*"}))
    finally:
        server.shutdown()
        server.server_close()
    equal((done.returncode, Sink.taken), (0, 1), done.stderr)
    until(lambda: "+++ exited with 0 +++" in tail(trace), 10)
    check_calls("sentry-deliver.service", trace)


# ---- the walls, as far as they can be put up by hand ----------------------

WALLS = """set -e
mount --make-rprivate /
mount --bind "$1" "$1"
mount -o remount,bind,ro /
exec setpriv --reuid=nobody --regid="$(id -gn nobody)" --clear-groups \\
    --no-new-privs --bounding-set=-all --inh-caps=-all -- "$2" \\
    --db "$1/outbox.db" --secret-file "$1/secret" --redact
"""


@tap.test("the worker serves with no network, no rights and nothing to write "
          "to but its state")
def _():
    need("unshare", "setpriv", "mount")
    if os.geteuid() != 0 or run("unshare", "-n", "-m", "true")[0] != 0:
        raise h.Skip("needs root that may unshare")
    if h.WRAPPER:
        raise h.Skip("the wrapper wants more than that")
    state = h.Scratch.new("state")
    h.write(state + "/secret", h.SECRET + "\n", 0o600)
    listen = h.listening_socket(state + "/socket")
    for path in (state, state + "/secret"):
        shutil.chown(path, "nobody")
    with open(state + "/stderr", "wb") as log:
        process = h.start(
            ["unshare", "-n", "-m", "sh", "-c", WALLS, "sh", state,
             h.PROGRAM], stdin=listen.fileno(), stderr=log,
            env=h.clean_environment())
    if not can_read(h.PROGRAM):
        raise h.Skip("nobody may not run the program where it is")
    try:
        answer = until(lambda: posted(state, process), 20)
        equal(answer.status, 200)
        equal([row[0] for row in h.rows(
            state + "/outbox.db", "SELECT outcome FROM webhook")],
            ["observed"])
        equal(os.stat(state + "/outbox.db").st_uid, os.stat(state).st_uid)
        net = os.readlink(f"/proc/{process.pid}/ns/net")
        assert net != os.readlink("/proc/self/ns/net")
        with open(f"/proc/{process.pid}/status", encoding="ascii") as f:
            status = f.read()
        assert re.search(r"^CapEff:\s+0+$", status, re.M), status
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.M), status
    finally:
        process.terminate()
        code = h.finish(process, 20)
        listen.close()
    equal(code, 0)


def can_read(path):
    """Whether nobody gets to it: scratch builds lie below root's folders."""
    return run("setpriv", "--reuid=nobody", "--clear-groups",
               "test", "-x", path)[0] == 0


def posted(state, process):
    with open(state + "/stderr", encoding="utf-8") as f:
        assert process.poll() is None, f.read()
    more = dict(h.cgi_names(signed(BODY)), CONTENT_LENGTH=str(len(BODY)))
    try:
        return h.fcgi(state + "/socket", h.params("POST", h.PATH, more), BODY)
    except OSError:
        return None


tap.run()
