"""What the end-to-end tests stand on: a private nginx, the worker, raw
FastCGI, a small HTTP client, a look into the database, and TAP.

Nothing here needs a fixed port or a folder that stays. The environment:
  top_srcdir, top_builddir   as automake gives them; else this repository
  SENTRY_TEST_WRAPPER        words put before the worker (valgrind ...)
  RUNTESTS_FULL              1: the long forms of the load and fault tests
"""
import ctypes
import fcntl
import hashlib
import hmac
import json
import os
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
SRC = os.path.abspath(os.environ.get(
    "top_srcdir", os.path.dirname(os.path.dirname(HERE))))
BUILD = os.path.abspath(
    os.environ.get("top_builddir", os.path.join(SRC, "build")))
PROGRAM = os.path.join(BUILD, "sentry-webhooks")
WRAPPER = shlex.split(os.environ.get("SENTRY_TEST_WRAPPER", ""))
FULL = bool(os.environ.get("RUNTESTS_FULL"))

# Whoever starts the tests with & in a script has them ignore Ctrl-C, and what
# they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

PATH = "/api/sentry/webhooks"
SECRET = "3f1c0a5be2d94b7f8a6c1d2e3f405162738495a6b7c8d9eaf0b1c2d3e4f50627"
INSTALLATION = "7a485448-a9e2-4c85-8a3c-4f44175783c9"
RECEIVED = b'{"received":true}'
MAX_BODY = 8388608

# What a tool for memory errors says on standard error.
MEMORY_ERROR = re.compile(
    r"ERROR: AddressSanitizer|ERROR: LeakSanitizer|runtime error:"
    r"|WARNING: ThreadSanitizer|ERROR SUMMARY: [1-9]"
    r"|Assertion .* failed|stack smashing|free\(\): invalid")


def sanitized():
    """Whether the worker was built with a sanitizer."""
    try:
        with open(PROGRAM, "rb") as f:
            text = f.read()
    except OSError:
        return False
    return any(s in text for s in (b"__asan_init", b"__tsan_init"))


# A promise in seconds is stretched by this.
SLOW = 20 if WRAPPER else 4 if sanitized() else 1
# The one limit, in seconds, of all that is waited for: it costs nothing while
# all is well, and no neighbour is as noisy as that.
LIMIT = 120 if SLOW == 1 and not FULL else 600


# ---- TAP -----------------------------------------------------------------

class Skip(Exception):
    """Raised by a test that cannot run here; the text says why."""


class Tap:
    """Collects tests, runs them, prints a line for each in order."""

    def __init__(self):
        self.tests = []
        self.last_tests = []

    def test(self, sentence):
        def add(function):
            self.tests.append((sentence, function))
            return function
        return add

    def table(self, sentence, rows):
        """One test a row: sentence is formatted with the row's first
        member, the function gets the whole row."""
        def add(function):
            for row in rows:
                self.tests.append((sentence.format(row[0]),
                                   lambda row=row: function(*row)))
            return function
        return add

    def last(self, sentence):
        """A test of what all others have left: the last, whatever runs."""
        def add(function):
            self.last_tests.append((sentence, function))
            return function
        return add

    def run(self, lanes=1):
        """lanes: so many tests at a time, where each stands alone: they share
        nothing that a test changes, and none counts on one before it. Long
        forms run one by one: each is to have the machine for its load."""
        only = sys.argv[1:]
        if only:
            self.tests = [t for t in self.tests
                          if any(word in t[0] for word in only)]
        self.last("no worker died by itself or left a memory error")(
            Worker.inspect_all)
        print(f"1..{len(self.tests) + len(self.last_tests)}\n# met {met()}",
              flush=True)
        bad = 0
        try:
            if lanes > 1 and not FULL:
                bad = Lanes(self, min(lanes, len(self.tests) or 1)).run()
            else:
                for number, test in enumerate(self.tests + self.last_tests, 1):
                    bad += not self.one(number, *test)
        finally:
            leave(bad)
        sys.exit(1 if bad else 0)

    @staticmethod
    def one(number, sentence, function):
        start = time.monotonic()
        try:
            function()
        except Skip as why:
            print(f"ok {number} - {sentence} # SKIP {why}", flush=True)
            return True
        except Exception:
            print(f"not ok {number} - {sentence}")
            for line in traceback.format_exc().splitlines():
                print("# " + line[:2000])
            sys.stdout.flush()
            return False
        took = time.monotonic() - start
        print(f"ok {number} - {sentence}", flush=True)
        if took > 0.5:
            print(f"# {took:.1f} s", flush=True)
        return True


def leave(bad):
    """Ends what was started; what is written stays if a test failed."""
    stop_everything()
    if bad:
        print(f"# kept: {' '.join(Scratch.made)}", flush=True)
    else:
        Scratch.remove_all()


class Lanes:
    """Tests beside each other, since most of the time a test waits: each lane
    is a process that takes the next test when it has done with one. (Threads
    would not do: start() and the limit of descriptors are a process's.) What
    is said of a test goes to a file, and is shown in the order of the tests.
    """

    def __init__(self, tap, count):
        self.tests, self.last_tests = tap.tests, tap.last_tests
        self.folder = tempfile.mkdtemp(prefix="sentry-lanes-")
        # Two bytes a test: who reads has one of them, whole.
        self.waiting, end = os.pipe()
        os.write(end, b"".join(struct.pack("H", n)
                               for n in range(len(self.tests))))
        os.close(end)
        sys.stdout.flush()
        self.lanes = range(count)
        self.running = {self.fork(lane) for lane in self.lanes}

    def run(self):
        """How many tests failed."""
        bad = 0
        for n, (sentence, _) in enumerate(self.tests):
            bad += not self.show(n, sentence, [n])
        while self.running:
            self.wait()
        out = os.dup(1)
        self.look_back("main")          # at what was there before the lanes
        os.dup2(out, 1)
        for n, (sentence, _) in enumerate(self.last_tests, len(self.tests)):
            bad += not self.show(n, sentence, [
                f"{n}-{lane}" for lane in [*self.lanes, "main"]])
        shutil.rmtree(self.folder)
        return bad

    def fork(self, lane):
        parent = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        try:
            _LIBC.prctl(1, signal.SIGTERM)
            if os.getppid() == parent:
                self.work(lane)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)

    def work(self, lane):
        # What there was before is not this lane's, to end or to look at.
        for theirs in RUNNING, Worker.every, Scratch.made:
            theirs.clear()
        start_ids(lane + 1)
        out = os.dup(1)
        bad = 0
        try:
            while number := os.read(self.waiting, 2):
                n, = struct.unpack("H", number)
                bad += not self.one(n, n, *self.tests[n])
            bad += self.look_back(lane)
        finally:
            os.dup2(out, 1)
            leave(bad)

    def look_back(self, lane):
        return sum(not self.one(f"{n}-{lane}", n, *test) for n, test
                   in enumerate(self.last_tests, len(self.tests)))

    def one(self, name, n, sentence, function):
        path = os.path.join(self.folder, str(name))
        with open(path + ".part", "wb") as f:
            os.dup2(f.fileno(), 1)
        good = Tap.one(n + 1, sentence, function)
        sys.stdout.flush()
        os.rename(path + ".part", path)
        return good

    def show(self, n, sentence, names):
        """A result; the worst, if each lane has one."""
        said = [self.said(name) or f"not ok {n + 1} - {sentence}\n"
                "# its lane ended before it did\n" for name in names]
        wrong = [text for text in said if text.startswith("not ok")
                 or "\nnot ok" in text]
        print((wrong or said)[0], end="", flush=True)
        return not wrong

    def said(self, name):
        """Once it is there, or no lane is left that could say it."""
        path = os.path.join(self.folder, str(name))
        while not os.path.exists(path) and self.running:
            self.wait()
        if os.path.exists(path):
            with open(path, errors="replace") as f:
                return f.read()
        return None

    def wait(self):
        """A moment; what bounds the tests bounds how many there are."""
        time.sleep(0.02)
        self.running -= {pid for pid in self.running
                         if os.waitpid(pid, os.WNOHANG)[0]}


def met():
    """Which of those whose versions differ between releases are here."""
    said = []
    for name, *command in (("SQLite", "pkg-config", "--modversion", "sqlite3"),
                           ("json-c", "pkg-config", "--modversion", "json-c"),
                           # Its own fcgi.pc is behind.
                           ("libfcgi", "dpkg-query", "-W",
                            "-f${Version}", "libfcgi-dev"),
                           ("nats-server", "nats-server", "--version")):
        try:
            text = subprocess.run(command, capture_output=True).stdout
        except OSError:
            text = b""
        found = re.search(rb"\d[\d.]+", text)
        said.append(f"{name} {found[0].decode() if found else 'unknown'}")
    return ", ".join(said)


def skip_all(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(0)


def need_program():
    if not os.access(PROGRAM, os.X_OK):
        skip_all("sentry-webhooks is not built")


def equal(got, want, what=""):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def until(condition, why="it never came true"):
    """Polls until condition() is true, and returns what it gave."""
    end = time.monotonic() + LIMIT
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f"after {LIMIT} s: {why}")
        time.sleep(0.02)


class Pace:
    """What this machine takes, meanwhile, for next to nothing: what a byte
    needs to another process and back, with a page synced to the same disk,
    after a short sleep. A noisy neighbour is in a promise of seconds and in
    this."""
    HANDS = 10                  # that a hook goes through, at the most

    def __init__(self, folder=None):
        self.path = os.path.join(folder or Scratch.new("pace"), "pace")
        self.slowest = 0

    def __enter__(self):
        self.over = threading.Event()
        self.cat = start(["cat"], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, bufsize=0)
        self.thread = threading.Thread(target=self.measure)
        self.thread.start()
        return self

    def measure(self):
        with open(self.path, "wb", 0) as page:
            while True:
                begin = time.monotonic()
                last = self.over.wait(0.03)
                self.cat.stdin.write(b"x")
                self.cat.stdout.read(1)
                page.write(bytes(4096))
                os.fsync(page.fileno())
                late = time.monotonic() - begin - (0 if last else 0.03)
                self.slowest = max(self.slowest, late)
                if last:
                    return

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.cat.stdin.close()
        finish(self.cat)
        self.cat.stdout.close()
        os.unlink(self.path)

    def keeps(self, took, promise, what="it"):
        """What took so many seconds is within the promise, as far as this
        machine was."""
        late = self.HANDS * self.slowest
        print(f"# {took:.3f} s of {promise} s, {late:.3f} s late",
              flush=True)
        assert took < promise * SLOW + late, \
            f"{what} took {took} s of {promise} s; late: {late} s"


# ---- scratch folders and processes ---------------------------------------

def mounted_in(folder):
    """Whether something is mounted in it: what is in there is not ours."""
    with open("/proc/self/mountinfo") as f:
        return any((line.split()[4] + "/").startswith(folder + "/")
                   for line in f)


class Scratch:
    """Folders of this run; removed at the end unless a test failed."""
    made = []

    @classmethod
    def new(cls, name="t"):
        folder = tempfile.mkdtemp(prefix=f"sentry-{name}-")
        os.chmod(folder, 0o755)
        cls.made.append(folder)
        return folder

    @classmethod
    def remove_all(cls):
        for folder in cls.made:
            if not mounted_in(folder):
                shutil.rmtree(folder, ignore_errors=True)


RUNNING = []        # every process that was started and not yet waited for
_LIBC = ctypes.CDLL(None)


def start(argv, **how):
    """Starts a process that gets SIGTERM if this one dies, in a group of its
    own. Main thread only: the kernel ties that signal to the thread that
    forked."""
    how.setdefault("stdin", subprocess.DEVNULL)
    how.setdefault("start_new_session", True)
    process = subprocess.Popen(
        argv, preexec_fn=lambda: _LIBC.prctl(1, signal.SIGTERM), **how)
    RUNNING.append(process)
    return process


def finish(process):
    """Waits for a process that was told to end; kills it if it does not."""
    try:
        code = process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
        raise AssertionError(f"process {process.pid} did not end")
    finally:
        if process in RUNNING and process.returncode is not None:
            RUNNING.remove(process)
    return code


def stop_everything():
    for process in list(RUNNING):
        process.terminate()
        try:
            finish(process)
        except AssertionError:
            pass
        # Children that it leaves (fcgiwrap's) keep the test's output open.
        try:
            os.killpg(process.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass


def write(path, content, mode=None):
    with open(path, "wb") as f:
        f.write(content.encode() if isinstance(content, str) else content)
    if mode is not None:
        os.chmod(path, mode)
    return path


def clean_environment(extra=None):
    """This environment without what the worker would take for its own."""
    own = ("SENTRY_CLIENT", "SENTRY_WEBHOOKS", "SENTRY_DELIVER", "INNGEST",
           "http_proxy", "all_proxy", "ALL_PROXY", "STATE_DIRECTORY",
           "CREDENTIALS_DIRECTORY", "GATEWAY_INTERFACE", "NOTIFY_SOCKET",
           "WATCHDOG", "LISTEN_", "REQUEST_METHOD", "CONTENT_", "HTTP_")
    env = {k: v for k, v in os.environ.items() if not k.startswith(own)}
    env.update(extra or {})
    return env


def run_program(*options, env=None, stdin=b"", cwd=None, wrapper=True):
    """Runs the program to its end; gives CompletedProcess with text."""
    argv = (WRAPPER if wrapper else []) + [PROGRAM, *options]
    done = subprocess.run(argv, input=stdin, capture_output=True, cwd=cwd,
                          env=clean_environment(env), timeout=LIMIT)
    done.stdout = done.stdout.decode("utf-8", "replace")
    done.stderr = done.stderr.decode("utf-8", "replace")
    assert not MEMORY_ERROR.search(done.stderr), done.stderr
    done.stderr = strip_valgrind(done.stderr)
    return done


def strip_valgrind(text):
    return "".join(line for line in text.splitlines(True)
                   if not re.match(r"[=-]{2}\d+[=-]{2}", line))


def listening_socket(path):
    """A Unix socket that lives longer than any worker that serves it."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(path)
    os.chmod(path, 0o666)
    sock.listen(4096)
    return sock


BRIEF = ("--commit-wait", "400")


class Worker:
    """One run of sentry-webhooks on a Unix socket, with a database.

    listen: a listening socket to inherit on fd 0; without one the worker
    makes its own. secret: text for --secret-file, or None for none at all.

    It waits long for its database: what was answered is in there, and not in
    the spool because a neighbour is noisy. Worker(*BRIEF) waits as one does
    that nobody told how long; it is for locked and broken databases.
    """
    every = []

    def __init__(self, *options, folder=None, listen=None, secret=SECRET,
                 db=None, env=None, wait=True):
        self.folder = folder or Scratch.new("worker")
        self.db = db or os.path.join(self.folder, "outbox.db")
        self.spool = self.db + "-spool"
        self.listen = listen
        self.socket = listen.getsockname() if listen else \
            os.path.join(self.folder, "socket")
        self.secret_file = os.path.join(self.folder, "secret")
        if secret is not None:
            write(self.secret_file, secret + "\n", 0o600)
        self.stderr = os.path.join(self.folder, "stderr")
        self.argv = WRAPPER + [PROGRAM, "--db", self.db]
        if secret is not None:
            self.argv += ["--secret-file", self.secret_file]
        if not listen:
            self.argv += ["--socket", self.socket]
        self.argv += options
        self.env = env
        self.process = None
        self.expected = False       # it was told to end
        Worker.every.append(self)
        self.start(wait)

    def start(self, wait=True):
        self.expected = False
        with open(self.stderr, "ab") as log:
            self.process = start(
                self.argv, stderr=log, stdout=subprocess.DEVNULL,
                stdin=self.listen.fileno() if self.listen
                else subprocess.DEVNULL,
                env=clean_environment({
                    "SENTRY_WEBHOOKS_COMMIT_WAIT": "60000",
                    **(self.env or {})}))
        if wait:
            until(self.answers, "the worker never answered")
        return self

    def answers(self):
        code = self.process.poll()
        assert code is None, f"the worker ended with {code}: {self.log()}"
        try:
            return self.get(timeout=2 * SLOW).status == 200
        except OSError:
            return False

    def kill(self):
        """kill -9"""
        self.expected = True
        self.process.kill()
        finish(self.process)

    def stop(self):
        """SIGTERM, and the exit status that came of it."""
        if self.process.poll() is None:
            self.expected = True
            self.process.terminate()
        code = finish(self.process)
        return code

    def log(self):
        with open(self.stderr, encoding="utf-8", errors="replace") as f:
            return f.read()

    def log_lines(self):
        return strip_valgrind(self.log()).splitlines()

    # Straight on the socket.

    def get(self, path=PATH, method="GET", timeout=None):
        return fcgi(self.socket, params(method, path), b"", timeout)

    def post(self, body, headers=(), length=None, timeout=None, path=PATH):
        more = dict(cgi_names(headers))
        if length is not False:
            more["CONTENT_LENGTH"] = \
                str(len(body)) if length is None else length
        return fcgi(self.socket, params("POST", path, more), body, timeout)

    # The database.

    def rows(self, sql, *values):
        return rows(self.db, sql, *values)

    def value(self, sql, *values):
        return rows(self.db, sql, *values)[0][0]

    def spooled(self):
        try:
            return sorted(os.listdir(self.spool))
        except FileNotFoundError:
            return []

    @classmethod
    def inspect_all(cls):
        """Ends what still runs, and looks for what no test looked for."""
        bad = []
        for worker in cls.every:
            if worker.process.poll() is None:
                code = worker.stop()
                if code != 0:
                    bad.append(f"SIGTERM gave exit status {code}")
            elif not worker.expected:
                bad.append(f"ended with {worker.process.returncode}")
            else:
                worker.stop()
            found = MEMORY_ERROR.search(worker.log())
            if found:
                at = max(0, found.start() - 500)
                bad.append(worker.log()[at:at + 4000])
        assert not bad, "\n".join(bad)


class Nginx:
    """A private nginx made from nginx.conf.sample, passing to one socket."""

    def __init__(self, fastcgi_socket, config=None):
        self.folder = Scratch.new("nginx")
        self.socket = fastcgi_socket
        self.server = config or self.from_sample
        for _ in range(5):          # another may take the port in between
            self.port = free_port()
            if self.start():
                return
        raise AssertionError("nginx does not start: " + self.errors())

    def from_sample(self):
        return sample_server(self.port, self.socket)

    def start(self):
        conf = write(os.path.join(self.folder, "nginx.conf"), NGINX_CONF
                     .replace("@USER@", nginx_user())
                     .replace("@DIR@", self.folder)
                     .replace("@SERVER@", self.server()))
        self.process = start(
            ["nginx", "-p", self.folder, "-e", self.folder + "/error.log",
             "-c", conf], stderr=subprocess.DEVNULL)
        end = time.monotonic() + LIMIT
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return True
            except OSError:
                time.sleep(0.02)
        if self.process.poll() is None:
            self.process.terminate()
        finish(self.process)
        return False

    def errors(self):
        with open(self.folder + "/error.log", errors="replace") as f:
            return f.read()

    def stop(self):
        self.process.terminate()
        return finish(self.process)

    def get(self, path=PATH, method="GET", headers=()):
        return http(self.port, method, path, headers)

    def post(self, body, headers=(), length=None, path=PATH, timeout=None):
        more = list(headers.items() if isinstance(headers, dict)
                    else headers)
        if length is not False:
            more.append(("Content-Length",
                         str(len(body)) if length is None else length))
        return http(self.port, "POST", path, more, body, timeout)


NGINX_CONF = """
@USER@
daemon off;
worker_processes 1;
pid @DIR@/pid;
error_log @DIR@/error.log;
worker_rlimit_nofile 10000;
events { worker_connections 10000; }
http {
    access_log off;
    client_body_temp_path @DIR@/body;
    proxy_temp_path @DIR@/proxy;
    fastcgi_temp_path @DIR@/fastcgi;
    uwsgi_temp_path @DIR@/uwsgi;
    scgi_temp_path @DIR@/scgi;
    @SERVER@
}
"""

OWN_SERVER = """
server {
    listen 127.0.0.1:@PORT@;
    client_max_body_size 8m;
    client_body_buffer_size 8m;
    location ~ ^/api/sentry/webhooks(/ready|/metrics)?$ {
        include /etc/nginx/fastcgi_params;
        fastcgi_pass unix:@SOCKET@;
    }
}
"""


def nginx_user():
    return "user root;" if os.geteuid() == 0 else ""


def sample_server(port, path):
    """The server of nginx.conf.sample, moved to a port and a socket."""
    try:
        with open(os.path.join(SRC, "nginx.conf.sample")) as f:
            text = f.read()
    except FileNotFoundError:
        return OWN_SERVER.replace("@PORT@", str(port)).replace(
            "@SOCKET@", path)
    text = re.sub(r"^(\s*)listen\s[^;]*;", rf"\1listen 127.0.0.1:{port};",
                  text, count=1, flags=re.M)
    text = re.sub(r"^\s*listen\s(?!127\.0\.0\.1:%d;)[^;]*;" % port, "",
                  text, flags=re.M)
    # Its limits are for the world: here a neighbour may be noisy.
    text = re.sub(r"^([^#\n]*_timeout) \d+s;", rf"\1 {LIMIT}s;", text,
                  flags=re.M)
    text, found = re.subn(r"^([^#\n]*\bunix:)[^;\s]+", rf"\g<1>{path}",
                          text, flags=re.M)
    assert found, "nginx.conf.sample passes to no Unix socket"
    return text


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ---- HTTP ----------------------------------------------------------------

class Answer:
    """status, headers (lower-case names), body; error: the error channel."""

    def __init__(self, status, headers, body, error=b"", raw=b""):
        self.status = status
        self.headers = headers
        self.body = body
        self.error = error
        self.raw = raw

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:300]!r}>"


def parse_head(head):
    headers = {}
    for line in head.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        assert colon, f"no header: {line!r}"
        name = name.decode("ascii").lower()
        assert name not in headers, f"{name} twice"
        headers[name] = value.strip().decode("latin-1")
    return headers


def http(port, method, path, headers=(), body=b"", timeout=None):
    """One request on one connection, bytes as they are given."""
    pairs = headers.items() if isinstance(headers, dict) else headers
    head = f"{method} {path} HTTP/1.1\r\nHost: test\r\n".encode()
    for name, value in pairs:
        value = value if isinstance(value, bytes) else value.encode()
        head += name.encode() + b": " + value + b"\r\n"
    head += b"Connection: close\r\n\r\n"
    return http_raw(port, head + body, method == "HEAD", timeout)


def http_raw(port, data, head_only=False, timeout=None):
    with socket.create_connection(("127.0.0.1", port),
                                  timeout or LIMIT) as s:
        try:
            s.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass                    # refused before its end: read the answer
        raw = read_all(s)
    head, found, rest = raw.partition(b"\r\n\r\n")
    assert found, f"no HTTP answer: {raw!r}"
    first, _, fields = head.partition(b"\r\n")
    match = re.fullmatch(rb"HTTP/1\.1 (\d{3})( .*)?", first)
    assert match, f"no status line: {first!r}"
    headers = parse_head(fields)
    if "content-length" in headers and not head_only:
        equal(len(rest), int(headers["content-length"]), "Content-Length")
    return Answer(int(match[1]), headers, rest, raw=raw)


def read_all(s):
    parts = []
    while True:
        try:
            part = s.recv(65536)
        except ConnectionResetError:
            part = b""
        if not part:
            return b"".join(parts)
        parts.append(part)


def unread(s):
    """How much was sent that nobody has read yet."""
    n = bytearray(4)
    fcntl.ioctl(s, termios.TIOCOUTQ, n)
    return int.from_bytes(n, sys.byteorder)


# ---- FastCGI, by hand ----------------------------------------------------

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES, \
    GET_VALUES_RESULT, UNKNOWN_TYPE = range(1, 12)


def record(kind, content=b"", request=1, version=1, padding=0, length=None):
    """One record; length lies about the content's."""
    length = len(content) if length is None else length
    return struct.pack("!BBHHBx", version, kind, request, length,
                       padding) + content + b"\0" * padding


def stream(kind, content, size=65000, request=1):
    """A stream of records, closed by an empty one."""
    out = b"".join(record(kind, content[i:i + size], request)
                   for i in range(0, len(content), size))
    return out + record(kind, b"", request)


def begin(role=1, flags=0, request=1):
    return record(BEGIN, struct.pack("!HB5x", role, flags), request)


def pair_length(n):
    return struct.pack("!B", n) if n < 128 else struct.pack(
        "!I", n | 0x80000000)


def pairs(values):
    out = b""
    for name, value in values.items() if isinstance(values, dict) \
            else values:
        name = name if isinstance(name, bytes) else name.encode()
        value = value if isinstance(value, bytes) else value.encode()
        out += pair_length(len(name)) + pair_length(len(value)) + \
            name + value
    return out


def params(method, path=PATH, more=None):
    """What nginx's fastcgi_params gives, in short."""
    out = {
        "QUERY_STRING": "", "REQUEST_METHOD": method,
        "SCRIPT_NAME": path, "REQUEST_URI": path,
        "SERVER_PROTOCOL": "HTTP/1.1", "GATEWAY_INTERFACE": "CGI/1.1",
        "REMOTE_ADDR": "127.0.0.1", "SERVER_NAME": "test",
    }
    out.update(more or {})
    return out


def cgi_names(headers):
    pairs_ = headers.items() if isinstance(headers, dict) else headers
    for name, value in pairs_:
        yield "HTTP_" + name.upper().replace("-", "_"), value


def fcgi_request(values, body=b"", flags=0):
    return begin(flags=flags) + stream(PARAMS, pairs(values)) + \
        stream(STDIN, body)


def connect(path, timeout=None):
    """path: a Unix socket's, or the address of a TCP one."""
    s = socket.socket(socket.AF_UNIX if isinstance(path, str)
                      else socket.AF_INET, socket.SOCK_STREAM)
    s.settimeout(timeout or LIMIT)
    s.connect(path)
    return s


def fcgi_raw(path, data, timeout=None, close_write=False):
    """Sends bytes, reads until the worker hangs up; gives them all."""
    with connect(path, timeout) as s:
        try:
            s.sendall(data)
            if close_write:
                s.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return read_all(s)


def fcgi(path, values, body=b"", timeout=None):
    return fcgi_answer(fcgi_raw(path, fcgi_request(values, body), timeout))


def fcgi_records(raw):
    out = []
    while raw:
        assert len(raw) >= 8, f"half a record: {raw!r}"
        version, kind, request, length, padding = struct.unpack(
            "!BBHHBx", raw[:8])
        equal(version, 1, "FastCGI version")
        assert len(raw) >= 8 + length + padding, "half a record"
        out.append((kind, request, raw[8:8 + length]))
        raw = raw[8 + length + padding:]
    return out


def fcgi_answer(raw):
    """One whole answer to request 1, as HTTP would have it."""
    records = fcgi_records(raw)
    out = b"".join(c for k, r, c in records if k == STDOUT and r == 1)
    error = b"".join(c for k, r, c in records if k == STDERR and r == 1)
    ends = [c for k, r, c in records if k == END and r == 1]
    if not ends:
        raise ConnectionError(f"no end of the request: {raw[:200]!r}")
    equal(len(ends), 1, "END_REQUEST records")
    equal(ends[0][4], 0, "protocol status")
    return cgi_answer(out, error)


def cgi_answer(out, error=b""):
    head, found, body = out.partition(b"\r\n\r\n")
    assert found, f"no CGI head: {out[:300]!r}"
    headers = parse_head(head)
    status = headers.pop("status", "200 OK")
    assert re.fullmatch(r"\d{3} [ -~]+", status), status
    return Answer(int(status[:3]), headers, body, error, out)


# ---- hooks ---------------------------------------------------------------

def compact(value):
    """JSON as Sentry writes it."""
    return json.dumps(value, separators=(",", ":"),
                      ensure_ascii=True).encode()


def sign(body, secret=SECRET):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def signed(body, resource="issue", secret=SECRET, **more):
    """The headers of a hook; more: request_id="..." and the like."""
    headers = {
        "Content-Type": "application/json",
        "Request-ID": os.urandom(16).hex(),
        "Sentry-Hook-Resource": resource,
        "Sentry-Hook-Timestamp": str(int(time.time())),
        "Sentry-Hook-Signature": sign(body, secret),
    }
    for name, value in more.items():
        name = name.replace("_", "-")
        name = {"request-id": "Request-ID"}.get(name, name.title())
        headers.pop(name, None)
        if value is not None:
            headers[name] = value
    return headers


_number = 5000000000        # above 32 bits: ids stay exact


def start_ids(lane):
    """Lanes do not meet, in a database of theirs all."""
    global _number
    _number += lane * 10**9


def unique():
    global _number
    _number += 1
    return _number


def envelope(action, data, installation=INSTALLATION):
    body = {"action": action, "data": data, "actor": {
        "type": "application", "id": "sentry", "name": "Sentry"}}
    if installation is not None:
        body["installation"] = {"uuid": installation}
    return body


def issue(action="created", id=None, project="4509877862268928",
          slug="shop", installation=INSTALLATION, **more):
    id = str(id or unique())
    data = {
        "id": id, "shareId": None, "shortId": f"SHOP-{id}",
        "title": "ValueError: the café is closed", "culprit": "shop.cart",
        "permalink": f"https://example.sentry.io/issues/{id}/",
        "logger": None, "level": "error", "status": "unresolved",
        "statusDetails": {}, "substatus": "new", "isPublic": False,
        "platform": "python", "project": {
            "id": project, "name": slug, "slug": slug,
            "platform": "python"},
        "type": "error", "metadata": {
            "type": "ValueError", "value": "the café is closed"},
        "numComments": 0, "assignedTo": None, "issueType": "error",
        "issueCategory": "error", "priority": "high", "count": "3",
        "userCount": 2, "firstSeen": "2026-01-10T20:56:00.679000Z",
        "lastSeen": "2026-01-10T20:57:00.738000Z",
    }
    data.update(more)
    return envelope(action, {"issue": data}, installation)


def event(id=None, issue_id=None, project=4509877862268928, slug="shop",
          release="shop@1.4.2", environment="production", **more):
    id = id or os.urandom(16).hex()
    issue_id = str(issue_id or unique())
    data = {
        "event_id": id, "project": project, "release": release,
        "platform": "python", "datetime": "2026-01-10T20:56:00.679000Z",
        "tags": [["level", "error"], ["environment", environment]],
        "environment": environment, "level": "error",
        "culprit": "shop.cart in total",
        "title": "ValueError: the café is closed",
        "metadata": {"type": "ValueError", "value": "the café is closed"},
        "user": {"id": "7", "email": "person@example.com"},
        "exception": {"values": [{
            "type": "ValueError", "value": "the café is closed",
            "stacktrace": {"frames": [{
                "function": "total", "filename": "shop/cart.py",
                "lineno": 42, "in_app": True}]}}]},
        "url": "https://sentry.io/api/0/projects/example/"
               f"{slug}/events/{id}/",
        "web_url": "https://sentry.io/organizations/example/issues/"
                   f"{issue_id}/events/{id}/",
        "issue_url": f"https://sentry.io/api/0/issues/{issue_id}/",
        "issue_id": issue_id,
    }
    data.update(more)
    return data


def error(installation=INSTALLATION, **more):
    return envelope("created", {"error": event(**more)}, installation)


def event_alert(rule="Page the shop", installation=INSTALLATION, **more):
    return envelope("triggered", {"event": event(**more),
                                  "triggered_rule": rule}, installation)


def metric_alert(action="critical", id=None, slug="shop", **more):
    id = str(id or unique())
    data = {
        "id": id, "identifier": id, "organization_id": "1",
        "projects": [slug], "title": "Checkout is slow", "status": 20,
        "date_started": "2026-01-10T20:56:00Z", "date_closed": None,
        "alert_rule": {"id": "7", "name": "Checkout", "aggregate":
                       "count()", "query": "", "time_window": 60,
                       "triggers": []},
    }
    data.update(more)
    return envelope(action, {
        "metric_alert": data, "description_text": "100 in ten minutes",
        "description_title": f"{action.title()}: Checkout is slow",
        "web_url": "https://sentry.io/organizations/example/alerts/7/"})


def comment(action="created", id=None, **more):
    data = {"comment": "look at this", "project_slug": "shop",
            "comment_id": id or unique(), "issue_id": unique(),
            "timestamp": "2026-01-10T20:56:00.679000Z"}
    data.update(more)
    return envelope(action, data)


def installation(action="created", uuid=None, **more):
    uuid = uuid or "a8e5d37a-696c-4c54-adb5-%012x" % unique()
    data = {"uuid": uuid, "status": "pending", "app": {
        "uuid": "2ebf071f-28df-4989-aca9-c37c763b278f", "slug": "memory"},
        "organization": {"slug": "example"},
        "code": "f3c71b491e3949b6b033ae45312a4fcb"}
    data.update(more)
    return envelope(action, {"installation": data}, uuid)


# ---- the database --------------------------------------------------------

def open_db(path, write=False):
    """A connection that never checkpoints while the worker is there, and
    never waits for the disk: what a test writes may go with the machine."""
    mode = "rw" if write else "ro"
    db = sqlite3.connect(f"file:{path}?mode={mode}", uri=True, timeout=LIMIT,
                         isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA wal_autocheckpoint=0")
    db.execute("PRAGMA synchronous=OFF")
    return db


def rows(path, sql, *values):
    db = open_db(path)
    try:
        return db.execute(sql, values).fetchall()
    finally:
        db.close()


def shell(path, sql):
    """The plain sqlite3 shell, as a person would use it."""
    return subprocess.run(
        ["sqlite3", "-batch", "-init", "/dev/null", "-cmd",
         f".timeout {LIMIT * 1000}", path, sql],
        capture_output=True, text=True, timeout=LIMIT)


def shell_ok(path, sql):
    done = shell(path, sql)
    equal((done.returncode, done.stderr), (0, ""), sql)
    return done.stdout


def map_everything(path, workspace="ws_test"):
    shell_ok(path, "INSERT INTO workspace_map (workspace_id) "
             f"VALUES ('{workspace}')")


# ---- the load generator --------------------------------------------------

def hammer_program():
    for path in (os.environ.get("SENTRY_TEST_HAMMER", ""),
                 os.path.join(BUILD, "hammer"),
                 os.path.join(BUILD, "tests", "support", "hammer")):
        if path and os.access(path, os.X_OK):
            return path
    raise Skip("hammer is not built")


class Hammer:
    """Load in the background, for so many seconds, or until result() ends
    it, which gives the figures."""

    def __init__(self, port, seconds=None, folder=None, clients=64, **more):
        self.folder = folder or Scratch.new("hammer")
        self.endless = seconds is None
        self.out = os.path.join(self.folder, f"ids-{unique()}")
        secret = write(os.path.join(self.folder, "hammer-secret"), SECRET)
        argv = [hammer_program(), "--port", str(port), "--path", PATH,
                "--secret-file", secret, "--clients", str(clients),
                "--seconds", str(seconds or 86400), "--out", self.out,
                "--timeout-ms", str(LIMIT * 1000)]
        for name, value in more.items():
            argv += ["--" + name.replace("_", "-"), str(value)]
        self.process = start(argv, stdout=subprocess.PIPE)

    def running(self):
        return self.process.poll() is None

    def result(self):
        if self.endless:
            self.process.terminate()
        code = finish(self.process)
        text = self.process.stdout.read().decode()
        self.process.stdout.close()
        equal(code, 0, "hammer's exit status")
        figures = dict(word.split("=") for word in text.split())
        print("# hammer: " + text.strip(), flush=True)
        return {k: float(v) for k, v in figures.items()}

    def ids(self):
        with open(self.out) as f:
            return f.read().split()


# ---- logfmt --------------------------------------------------------------

_PAIR = re.compile(
    r'([A-Za-z_][A-Za-z0-9_.-]*)=("(?:[^"\\\x00-\x1f\x7f]|\\.)*"'
    r'|[^\s"=\x00-\x1f\x7f]*)(?: |$)')


def logfmt(line):
    """A line's pairs; an AssertionError if it is not logfmt."""
    at, out = 0, {}
    while at < len(line):
        match = _PAIR.match(line, at)
        assert match, f"not logfmt at {at}: {line[:400]!r}"
        assert match[1] not in out, f"{match[1]} twice: {line[:400]!r}"
        out[match[1]] = match[2].strip('"')
        at = match.end()
    assert out, "an empty line in the log"
    return out
