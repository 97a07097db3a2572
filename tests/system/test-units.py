#!/usr/bin/env python3
"""Least privilege. The systemd units: how exposed they leave the programs, and
that the programs run under what the units take away, as far as that can be
shown without systemd as the first process. And what the worker sees to by
itself: root, file modes, secrets in memory, core dumps."""
import os
import re
import shutil
import stat
import subprocess

from database import map_everything, query
from deliverer import Deliverer
from environment import (BUILD, DELIVER, LIMIT, PAGE_PROGRAM, PROGRAM, SRC,
                         WRAPPER, clean_environment, sanitized, strip_valgrind,
                         wrapped)
from eventapi import KEY, EventApi
from expect import equal, until
from fastcgi import fcgi, params, post_params
from hooks import PATH, SECRET, compact, issue, signed
from logfmt import logfmt
from process import finish_process, run_program, start_process
from scratch import Scratch, write_file
from sockets import listening_socket
from tap import Skip, Tap, need_program
from worker import BRIEF, Worker

need_program()
tap = Tap()
HERE = Scratch.new("units")
CONF = os.path.join(SRC, "conf")
BODY = compact(issue())
# The limits are the unit's to set, and the C library, which asks for them,
# does without. Only as root SQLite gives its files to the database's owner.
MAY_FAIL = {"prlimit64", "fchown"}
# These fail in the tests as they would under the unit.
STRACE = ["strace", "-D", "-f", "-e",
          f"inject={','.join(MAY_FAIL)}:error=EPERM", "-o"]


def need(*commands):
    for command in commands:
        if not shutil.which(command):
            raise Skip(f"no {command}")


def unit(name):
    """A unit with the programs of this build in it."""
    path = os.path.join(HERE, name)
    with open(os.path.join(CONF, name + ".in"), encoding="utf-8") as f:
        write_file(path, re.sub("@s?bindir@", BUILD, f.read()))
    return path


def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT)
    return done.returncode, done.stdout, done.stderr


# ---- what systemd says ---------------------------------------------------

@tap.table("{} leaves no more exposed than it promises", [
    ("sentry-webhooks.service", 0.3), ("sentry-deliver.service", 1.2),
    ("sentry-webhooks-page.service", 0.3)])
def exposure_of_unit(name, limit):
    need("systemd-analyze")
    code, out, err = run("systemd-analyze", "security", "--offline=true",
                         "--no-pager", unit(name))
    found = re.search(r"exposure level for \S+: ([0-9.]+)", out)
    assert found, (code, out, err)
    print(f"# {name}: {found[1]}, limit {limit}")
    assert float(found[1]) <= limit, out


@tap.test("systemd-analyze verify finds nothing wrong with the units")
def systemd_analyze_verify():
    need("systemd-analyze")
    sockets = [shutil.copy(os.path.join(CONF, name), HERE) for name in
               ("sentry-webhooks.socket", "sentry-webhooks-page.socket")]
    # Their pages need not be installed here.
    code, out, err = run("systemd-analyze", "verify", "--man=no", *sockets, *(
        unit(f"sentry-{name}.service")
        for name in ("webhooks", "deliver", "webhooks-page")))
    ours = [line for line in err.splitlines() if "sentry-" in line]
    equal((code, out, ours), (0, "", []), err)


UNITS = [os.path.basename(name).removesuffix(".in")
         for name in sorted(os.listdir(CONF))
         if re.search(r"\.(service|socket)(\.in)?$", name)]


def sections(name):
    """{section: [(key, value), ...]} of a unit's text."""
    path = os.path.join(CONF, name)
    found, here = {}, None
    with open(path if os.path.exists(path) else path + ".in",
              encoding="utf-8") as f:
        for line in f:
            head = re.match(r"\[(\w+)\]$", line)
            if head:
                here = found.setdefault(head[1], [])
            elif "=" in line and line[0] not in "#;":
                here.append(tuple(line.rstrip("\n").split("=", 1)))
    return found


# A service that was started too often takes its socket with it, and that its
# file: from then on nginx has nobody to hand hooks to.
@tap.table("{} is started however often: no limit ends it for good",
           [(name,) for name in UNITS])
def restart_has_no_limit(name):
    unit_of = sections(name)
    equal([value for key, value in unit_of["Unit"]
           if key == "StartLimitIntervalSec"], ["0"], "in [Unit]")
    for key, value in unit_of.get("Socket", []):
        assert key not in ("TriggerLimitIntervalSec", "TriggerLimitBurst") \
            or value == "0", (key, value)
    if name.endswith(".socket"):
        equal([value for key, value in unit_of["Socket"]
               if key == "TriggerLimitIntervalSec"], ["0"], "in [Socket]")


@tap.test("systemd-sysusers makes the units' user, with its folder")
def sysusers_makes_user():
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
    if WRAPPER or sanitized():
        raise Skip("the calls would be a sanitizer's or valgrind's")
    if run("strace", "-o", "/dev/null", "true")[0] != 0:
        raise Skip("strace may not trace here")


@tap.test("the worker makes no system call that its unit forbids")
def worker_system_calls():
    need_strace()
    trace = os.path.join(HERE, "worker.trace")
    folder = Scratch.new("units")
    listen = listening_socket(folder + "/inherited")
    # With -D the worker itself is our child, and gets the signals.
    with wrapped(*STRACE, trace):
        w = Worker(*BRIEF, listen=listen, folder=folder)
    equal(w.send(BODY).status, 200)
    equal(w.get(PATH + "/ready").status, 200)
    equal(w.get(PATH + "/metrics").status, 200)
    lock = w.lock()
    equal(w.send().status, 200)
    assert w.spooled(), "the lock did not make it spool"
    lock.release()
    until(lambda: not w.spooled())
    equal(w.stop(), 0)
    until(lambda: "+++ exited with 0 +++" in tail(trace))
    check_calls("sentry-webhooks.service", trace)
    listen.close()


def tail(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()[-4096:]


@tap.test("the page makes no system call that its unit forbids")
def page_system_calls():
    need_strace()
    folder = Scratch.new("units")
    equal(Worker(folder=folder).stop(), 0)
    trace = os.path.join(HERE, "page.trace")
    listen = listening_socket(folder + "/inherited")
    page = start_process(
        [*STRACE, trace, PAGE_PROGRAM],
        stdin=listen.fileno(), stderr=subprocess.DEVNULL,
        env=clean_environment({
            "SENTRY_WEBHOOKS_DB": folder + "/outbox.db"}))
    equal(fcgi(folder + "/inherited", params("GET")).status, 200)
    page.terminate()
    equal(finish_process(page), 0)
    until(lambda: "+++ exited with 0 +++" in tail(trace))
    check_calls("sentry-webhooks-page.service", trace)
    listen.close()


@tap.test("the deliverer makes no system call that its unit forbids")
def deliverer_system_calls():
    need_strace()
    w = Worker()
    equal(w.send(BODY).status, 200)
    map_everything(w.db)
    until(lambda: w.value("SELECT state FROM outbox") == "pending")
    trace = os.path.join(HERE, "deliver.trace")
    api = EventApi()
    done = subprocess.run(
        [*STRACE, trace, DELIVER, "--db", w.db, "--once",
         "--to", f"http://localhost:{api.port}/e/{KEY}"],
        capture_output=True, text=True, timeout=LIMIT,
        env=clean_environment({"no_proxy": "*"}))
    equal((done.returncode, api.count()), (0, 1), done.stderr)
    api.stop()
    until(lambda: "+++ exited with 0 +++" in tail(trace))
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
def worker_in_sandbox():
    need("unshare", "setpriv", "mount")
    if os.geteuid() != 0 or run("unshare", "-n", "-m", "true")[0] != 0:
        raise Skip("needs root that may unshare")
    if WRAPPER:
        raise Skip("the wrapper wants more than that")
    state = Scratch.new("state")
    write_file(state + "/secret", SECRET + "\n", 0o600)
    listen = listening_socket(state + "/socket")
    for path in (state, state + "/secret"):
        shutil.chown(path, "nobody")
    with open(state + "/stderr", "wb") as log:
        process = start_process(
            ["unshare", "-n", "-m", "sh", "-c", WALLS, "sh", state,
             PROGRAM], stdin=listen.fileno(), stderr=log,
            env=clean_environment())
    if not can_read(PROGRAM):
        raise Skip("nobody may not run the program where it is")
    try:
        answer = until(lambda: posted(state, process))
        equal(answer.status, 200)
        equal([row[0] for row in query(
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
        code = finish_process(process)
        listen.close()
    equal(code, 0)


def can_read(path):
    """Whether nobody gets to it: scratch builds lie below root's folders."""
    return run("setpriv", "--reuid=nobody", "--clear-groups",
               "test", "-x", path)[0] == 0


def posted(state, process):
    with open(state + "/stderr", encoding="utf-8") as f:
        assert process.poll() is None, f.read()
    try:
        return fcgi(state + "/socket", post_params(BODY, signed(BODY)), BODY)
    except OSError:
        return None


# ---- root ----------------------------------------------------------------

def need_root():
    if os.geteuid() != 0:
        raise Skip("needs root")


def refused(*argv, env=None):
    """The program ends at once, with 77 and one line; gives the line."""
    done = subprocess.run(WRAPPER + list(argv), capture_output=True, text=True,
                          timeout=LIMIT, env=clean_environment(env))
    said = strip_valgrind(done.stderr)
    equal((done.returncode, done.stdout, said.count("\n")), (77, "", 1), said)
    return said


def foreign_database():
    """Another user's database, and how a worker would be started on it."""
    w = Worker()
    w.stop()
    for name in os.listdir(w.folder):
        if name.startswith("outbox.db"):
            shutil.chown(os.path.join(w.folder, name), "nobody")
    return w


@tap.test("root is refused on another user's database, with 77 and its name")
def root_is_refused():
    need_root()
    w = foreign_database()
    said = refused(*w.argv[len(WRAPPER):])
    assert "nobody" in said and w.db in said and "--allow-root" in said, said


@tap.test("--check says that root is refused, unless --allow-root is there")
def check_says_that_root_is_refused():
    need_root()
    w = foreign_database()
    argv = ["--check", *w.argv[len(WRAPPER) + 1:]]
    done = run_program(*argv)
    equal(done.returncode, 1, done)
    assert re.search("user +FAILED running as root, .*nobody.*--allow-root",
                     done.stdout), done
    done = run_program(*argv, "--allow-root")
    equal((done.returncode, "FAILED" in done.stdout), (0, False), done)


@tap.table("root may, on another user's database, with {}", [
    ("--allow-root", ["--allow-root"], None),
    ("SENTRY_WEBHOOKS_ALLOW_ROOT=1", [],
     {"SENTRY_WEBHOOKS_ALLOW_ROOT": "1"})])
def root_may(_name, options, env):
    need_root()
    w = foreign_database()
    w.argv += options
    w.env = env
    w.start()
    equal(w.send(BODY).status, 200)


@tap.test("root is refused when systemd itself has started the program")
def root_is_refused_by_systemd():
    need_root()
    said = refused("sh", "-c", "SYSTEMD_EXEC_PID=$$; export SYSTEMD_EXEC_PID; "
                   'exec "$0" "$@"', PROGRAM, "--db", HERE + "/new.db",
                   "--socket", HERE + "/s")
    assert "User=" in said, said
    assert not os.path.exists(HERE + "/new.db")


@tap.test("root is told of elsewhere, once, and served: no hook is lost")
def root_is_warned_once():
    need_root()
    # Somebody further up was started by systemd: that says nothing of us.
    w = Worker(env={"SYSTEMD_EXEC_PID": str(os.getpid())})
    equal(w.send(BODY).status, 200)
    lines = [logfmt(line) for line in w.log_lines()]
    equal([x["level"] for x in lines if x["event"] == "root"], ["warning"])


# ---- files ---------------------------------------------------------------

FILES = ("", "-wal", "-shm")


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@tap.test("database, its files, spool and hooks in it are closed to others, "
          "whatever the umask")
def files_are_private():
    old = os.umask(0)
    try:
        w = Worker(*BRIEF)
    finally:
        os.umask(old)
    equal(w.send(BODY).status, 200)   # the -wal comes with it
    equal([mode(w.db + end) for end in FILES], [0o640] * 3)
    lock = w.lock()
    equal(w.send().status, 200)
    equal(mode(w.spool), 0o700)
    equal([mode(os.path.join(w.spool, name)) for name in w.spooled()], [0o600])
    lock.release()
    events = [logfmt(line)["event"] for line in w.log_lines()]
    assert "file-mode" not in events and "socket-mode" not in events, events


@tap.test("files that were open to others are closed at the start, and said")
def open_files_are_closed():
    w = Worker()
    equal(w.send(BODY).status, 200)
    w.kill()                            # leaves all three of them
    for end in FILES:
        os.chmod(w.db + end, 0o666)
    os.chmod(w.spool, 0o755)
    w.start()
    equal([mode(w.db + end) for end in FILES], [0o660] * 3)
    equal(mode(w.spool), 0o750)
    said = [logfmt(line) for line in w.log_lines()]
    equal(sorted(x["file"] for x in said if x["event"] == "file-mode"),
          sorted([w.spool] + [w.db + end for end in FILES]))
    equal(w.send(BODY).status, 200)


def not_ours(kind, w):
    """Something that stands where the worker would have its own."""
    path = os.path.join(w.folder, "other")
    if kind == "folder" or kind == "spool":
        os.mkdir(path)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        write_file(path, "")
        shutil.chown(path, "nobody")
    os.chmod(path, 0o1777 if os.path.isdir(path) else 0o666)
    return path


@tap.table("{}: its mode stays as it is, and that it is open is said", [
    ("--db with a folder", "folder", "--db"),
    ("--db with a FIFO", "fifo", "--db"),
    ("--db with another user's file", "file", "--db"),
    ("--spool with a folder that others use", "spool", "--spool")])
def mode_is_left_and_said(_name, kind, option):
    if kind == "file":
        need_root()
    w = Worker()
    w.stop()
    path = not_ours(kind, w)
    before = mode(path)
    w.argv += [option, path, "--allow-root"]
    w.start()
    equal(mode(path), before)
    said = [logfmt(line) for line in w.log_lines()]
    equal([(x["file"], "chmod" in x["msg"]) for x in said
           if x["event"] == "file-mode" and not x["file"].startswith(
               path + "-")], [(path, True)])


@tap.test("--check says what is open to others")
def check_says_what_is_open():
    w = Worker()
    w.stop()
    argv = ["--check", "--db", w.db, "--secret-file", w.secret_file,
            "--socket", w.socket]
    assert "others" not in run_program(*argv).stdout
    os.chmod(w.db, 0o644)
    os.chmod(w.spool, 0o711)
    done = run_program(*argv, "--socket-mode", "0666")
    equal(done.returncode, 0, done)
    equal(done.stdout.count("open to others"), 2, done.stdout)
    equal(done.stdout.count("everybody"), 1, done.stdout)


@tap.test("a socket that everybody may connect to is said, own or inherited")
def open_socket_is_said():
    listen = listening_socket(Scratch.new("units") + "/socket")
    for w in (Worker("--socket-mode", "0666"), Worker(listen=listen)):
        lines = [logfmt(line)["event"] for line in w.log_lines()]
        equal(lines.count("socket-mode"), 1)
        w.stop()
    listen.close()


# ---- the journal -----------------------------------------------------------

PRIORITY = {"error": 3, "warning": 4, "info": 6}


def journalled(where=lambda st: f"{st.st_dev}:{st.st_ino}"):
    """A worker whose standard error is the journal, as systemd says it."""
    folder = Scratch.new("journal")
    write_file(os.path.join(folder, "stderr"), "")
    return Worker(folder=folder, env={
        "JOURNAL_STREAM": where(os.stat(os.path.join(folder, "stderr")))})


@tap.test("where standard error is the journal each line has its level")
def journal_gets_levels():
    w = journalled()
    equal(w.send(BODY).status, 200)
    equal(w.send(BODY, secret="other").status, 401)
    write_file(w.secret_file, "short\n")   # said as a warning
    equal(w.get(PATH + "/ready").status, 200)
    w.stop()
    lines = [re.match(r"<(\d)>(ts=.*)", line) for line in w.log_lines()]
    assert all(lines), w.log()
    levels = {logfmt(m[2])["level"]: int(m[1]) for m in lines}
    equal({"warning", "info"} - set(levels), set())
    equal(levels, {k: PRIORITY[k] for k in levels})


@tap.table("where it is {}, no line has", [
    ("another file", lambda st: f"{st.st_dev}:{st.st_ino + 1}"),
    ("on another device", lambda st: f"{st.st_dev + 1}:{st.st_ino}"),
    ("nothing that is known", lambda st: "what")])
def other_logs_get_no_level(_name, where):
    w = journalled(where)
    w.stop()
    for line in w.log_lines():
        logfmt(line)


@tap.test("an error has a level of its own there, and what has none is one")
def error_level():
    folder = Scratch.new("journal")
    path = write_file(os.path.join(folder, "stderr"), "")
    st = os.stat(path)
    w = Worker(folder=folder, secret=None, env={
        "JOURNAL_STREAM": f"{st.st_dev}:{st.st_ino}"})
    w.stop()
    assert re.search(r"^<3>ts=\S+ level=error event=no-secret ", w.log(),
                     re.M), w.log()
    for name in UNITS:
        if name.endswith(".service"):
            assert ("SyslogLevel", "err") in sections(name)["Service"], name


@tap.test("strangers' refusals are counted always, and written seldom")
def refusals_are_limited():
    w = Worker()
    sent = 400
    for n in range(sent):
        answer = w.post(BODY, signed(BODY, secret="other") if n % 2 else {})
        equal(answer.status, 401)
    equal(w.send(BODY).status, 200)
    equal(w.metric("hooks_total", 'result="unauthentic"'), sent)
    lines = [logfmt(line) for line in w.log_lines()]
    said = sum(x.get("status") == "401" for x in lines)
    assert 10 <= said <= sent / 2, said
    equal(sum(x.get("status") == "200" for x in lines), 1)


# ---- memory --------------------------------------------------------------

def places(pid, needle):
    """Where in a process's memory `needle` stands: the flags of each place."""
    found, here, flags = [], None, {}
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as f:
        for line in f:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (r?)", line)
            if head:
                here = (int(head[1], 16), int(head[2], 16))
            elif line.startswith("VmFlags:"):
                flags[here] = line.split()[1:]
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for (begin, end), marks in flags.items():
            try:
                memory.seek(begin)
                data = memory.read(end - begin)
            except (OSError, ValueError, OverflowError):
                continue
            found += [marks] * data.count(needle)
    return found


def need_memory():
    if WRAPPER or sanitized():
        raise Skip("the memory would be a sanitizer's or valgrind's")
    try:
        with open("/proc/self/smaps", encoding="utf-8") as f:
            assert "VmFlags" in f.read()
        child = subprocess.Popen(["sleep", "20"])
        try:
            places(child.pid, SECRET.encode())
        finally:
            child.kill()
            child.wait()
    except (OSError, AssertionError) as error:
        raise Skip("a process's memory cannot be looked at") from error


@tap.table("a secret from {} stands in locked memory alone, out of dumps", [
    ("a file", SECRET, None),
    ("the environment", None, {"SENTRY_CLIENT_SECRET": SECRET})])
def secret_in_locked_memory(_name, secret, env):
    need_memory()
    w = Worker(secret=secret, env=env)
    for tries in (0, 50):
        for _ in range(tries):
            equal(w.send(BODY).status, 200)
            equal(w.send(BODY, secret="other").status, 401)
        found = places(w.process.pid, SECRET.encode())
        equal(len(found), 1)
        assert "lo" in found[0] and "dd" in found[0], found
    with open(f"/proc/{w.process.pid}/environ", "rb") as f:
        assert SECRET.encode() not in f.read()


@tap.test("secrets that cannot be locked are said once, and used")
def unlocked_secrets_are_said():
    need("setpriv", "prlimit")
    need_root()
    if WRAPPER or sanitized():
        raise Skip("a sanitizer or valgrind locks nothing")
    with wrapped("setpriv", "--bounding-set=-ipc_lock", "prlimit",
                 "--memlock=0"):
        w = Worker()
    write_file(w.secret_file, "# again\n" + SECRET + "\n", 0o600)
    equal(w.send(BODY).status, 200)
    said = [logfmt(line)["event"] for line in w.log_lines()]
    equal(said.count("secret-memory"), 1, said)
    assert "secret-file" in said, said          # it was read again


def core_limits(process):
    with open(f"/proc/{process.pid}/limits", encoding="ascii") as f:
        return re.search(r"^Max core file size +(\S+) +(\S+)", f.read(),
                         re.M).groups()


@tap.test("a worker or a deliverer that crashes leaves no core")
def crash_leaves_no_core():
    w = Worker()
    equal(core_limits(w.process), ("1", "1"))
    d = Deliverer(w.db, to="http://127.0.0.1:1/")
    d.has_started()
    equal(core_limits(d.process), ("1", "1"))
    equal(d.stop(), 0)


tap.run()
