"""What the bench stands on: hooks of realistic sizes, the receivers and their
private nginx, one run of wrk, and what /proc says of the processes."""
import glob
import json
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests"))
import harness as h  # noqa: E402

THREADS = 16
KIB = 1024
TICK = os.sysconf("SC_CLK_TCK")
UNLIKELY = 30       # s; a receiver that needs longer to catch up is broken


# ---- hooks ---------------------------------------------------------------

def frame(i):
    return {"function": f"step_{i}", "filename": f"shop/steps/part_{i}.py",
            "module": f"shop.steps.part_{i}", "lineno": 40 + i,
            "abs_path": f"/srv/shop/releases/current/shop/steps/part_{i}.py",
            "context_line": "    total = total + cart.price(item, rate)",
            "pre_context": ["def step(cart, rate):", "    total = 0",
                            "    for item in cart.items():"],
            "post_context": ["    return total", ""],
            "vars": {"rate": "0.19", "item": f"<Item {i}>"},
            "in_app": i % 3 == 0}


def crumb(i):
    return {"type": "default", "category": "shop.cart", "level": "info",
            "timestamp": 1768078500.5 + i, "data": {"cart": i},
            "message": f"item {i} was looked up in the cache and not found"}


def grow(hook, items, make, size):
    """Adds to a list inside of the hook until it is as long as wanted."""
    each = len(h.compact(make(100))) + 1
    items += [make(i) for i in range(
        max(0, (size - len(h.compact(hook))) // each))]
    return h.compact(hook)


def issue(size):
    notes = []
    return grow(h.issue(annotations=notes), notes, lambda i: {
        "displayName": f"TICKET-{i}",
        "url": f"https://tracker.example.com/browse/TICKET-{i}"}, size)


def long_issue():
    """Whose observation, not only whose hook, takes 2 KiB: the value stands
    in the observation's body and in its metadata."""
    return h.compact(h.issue(metadata={
        "type": "ValueError", "value": ("the café is closed, " * 22)}))


def eventful(hook, event, size):
    frames, crumbs = [], []
    event["exception"]["values"][0]["stacktrace"]["frames"] = frames
    event["breadcrumbs"] = {"values": crumbs}
    grow(hook, frames, frame, size * 2 // 3)
    return grow(hook, crumbs, crumb, size)


def alert(size):
    hook = h.event_alert()
    return eventful(hook, hook["data"]["event"], size)


def error(size):
    hook = h.error()
    return eventful(hook, hook["data"]["error"], size)


# Name: resource, size, maker.
HOOKS = {
    "issue-2k": ("issue", 2 * KIB, issue),
    "alert-20k": ("event_alert", 20 * KIB, alert),
    "error-200k": ("error", 200 * KIB, error),
    "error-1m": ("error", 1024 * KIB, error),
}
_requests = {}


def request_file(name, target):
    """A whole HTTP request; @KEY@ is where hooks.lua puts the key."""
    if (name, target.path) in _requests:
        return _requests[name, target.path]
    resource_, size, make = HOOKS[name]
    body = make(size)
    headers = h.signed(body, resource_)
    # A trace id in a body of adnanh/webhook's would be no HTTP header; the
    # rest is what Sentry sends.
    headers["User-Agent"] = "sentry/26.9.0 (https://sentry.io)"
    headers["Idempotency-Key"] = "@KEY@"
    head = f"POST {target.path} HTTP/1.1\r\nHost: bench\r\n" + "".join(
        f"{k}: {v}\r\n" for k, v in headers.items())
    head += f"Content-Length: {len(body)}\r\n\r\n"
    path = os.path.join(h.Scratch.new("request"), "request")
    h.write(path, head.encode() + body)
    return _requests.setdefault((name, target.path), path)


# ---- /proc ---------------------------------------------------------------

def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(word) for word in f.read().split()]


def cpu(pids):
    """Seconds of CPU of processes and of their children that have ended."""
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as f:
            ticks += sum(map(int, f.read().rpartition(")")[2].split()[11:15]))
    return ticks / TICK


def memory(pid, what="VmRSS"):
    """MiB; VmHWM is the most that it ever was."""
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(what + r":\s+(\d+)", f.read())[1]) / 1024


# ---- the disk ------------------------------------------------------------

def sync_times(folder, count=200):
    """Milliseconds that each fdatasync of 4 KiB takes, over a laid-out file,
    as SQLite's log is once it has been round."""
    path = os.path.join(folder, "sync-probe")
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.write(fd, b"\0" * 4096 * count)
        os.fsync(fd)
        times = []
        for i in range(count):
            begin = time.perf_counter()
            os.pwrite(fd, b"x" * 4096, i * 4096)
            os.fdatasync(fd)
            times.append((time.perf_counter() - begin) * 1e3)
        return times
    finally:
        os.close(fd)
        os.unlink(path)


def file_system(folder):
    return subprocess.run(["stat", "-f", "-c", "%T", folder], text=True,
                          capture_output=True).stdout.strip()


def size(path):
    try:
        return os.path.getsize(path)
    except FileNotFoundError:
        return 0


# ---- receivers -----------------------------------------------------------

class Target:
    """What is driven: where it listens, who pays, and how it counts."""

    def __init__(self, name, port, path, pid):
        self.name, self.port, self.path, self.pid = name, port, path, pid

    def spooled(self):
        return 0

    def mark(self):
        """Before a run: what is there is not this run's."""

    def count(self, run):
        """What it has kept since mark(), of that run if it can tell; None
        if it keeps nothing."""
        return None


class Table(Target):
    """A receiver that has a row for each hook in a table with an id."""

    def __init__(self, name, port, path, pid, db, table):
        super().__init__(name, port, path, pid)
        self.db, self.table = db, table
        self.marked = 0

    def one(self, sql, *values):
        return h.rows(self.db, sql, *values)[0][0]

    def mark(self):
        self.marked = self.one(f"SELECT coalesce(max(id), 0) "
                               f"FROM {self.table}")

    def count(self, run):
        return self.one(f"SELECT count(*) FROM {self.table} WHERE id > ?",
                        self.marked)


class Worker(Table):
    """Its rows have the keys that hooks.lua gave them: what comes late, of
    the run before, is not counted."""

    def __init__(self, name, port, path, worker):
        super().__init__(name, port, path, worker.process.pid, worker.db,
                         "webhook")
        self.worker = worker

    def spooled(self):
        """How many hooks went to the spool first, since its start."""
        text = self.worker.get(h.PATH + "/metrics").body.decode()
        return sum(map(int, re.findall(r'result="spooled"\} (\d+)', text)))

    def warm(self):
        """Reads the unique indexes once: those of a database in use are in
        memory, where a fill of many GiB leaves only its end."""
        for table in ("webhook", "outbox"):
            for index, in h.rows(self.db, "SELECT name FROM pragma_index_list"
                                 "(?) WHERE origin = 'u'", table):
                self.one(f"SELECT count(*) FROM {table} INDEXED BY {index} "
                         f"WHERE +rowid > 0")

    def count(self, run):
        return self.one("SELECT count(*) FROM webhook WHERE id > ? AND "
                        "substr(idempotency_key, 17, 8) = ?", self.marked,
                        run)


class NodeTarget(Target):
    """It keeps nothing: what the event API got is counted."""

    def __init__(self, port, pid, stub):
        super().__init__("node", port, h.PATH, pid)
        self.stub = stub

    def total(self):
        return int(h.http(self.stub.port, "GET", "/").body)

    def mark(self):
        self.marked = self.total()

    def count(self, run):
        return self.total() - self.marked


class Stub:
    """The event API that the Node.js receiver posts to."""

    def __init__(self):
        self.port = h.free_port()
        self.process = h.start([sys.executable, os.path.join(HERE, "stub.py"),
                                str(self.port)])
        wait_for_port(self.port, self.process)
        self.url = f"http://127.0.0.1:{self.port}/e/bench"


def wait_for_port(port, process):
    def listens():
        assert process.poll() is None, f"{process.args[0]} has ended"
        try:
            h.socket.create_connection(("127.0.0.1", port)).close()
            return True
        except OSError:
            return False
    h.until(listens, f"{process.args[0]} does not listen")


KEPT = "upstream kept { server unix:%s; keepalive 64; }\n"


class Front(h.Nginx):
    """nginx by nginx.conf.sample; more = {path: socket} are locations that
    are a copy of the hooks' own, but for the socket. /kept keeps connections
    as the sample says."""

    def __init__(self, socket, more):
        self.more = more
        super().__init__(socket)

    def from_sample(self):
        text = super().from_sample()
        found = re.search(r"^ *location = %s \{.*?\n        \}\n" % h.PATH,
                          text, re.S | re.M)
        assert found, "nginx.conf.sample has no location of the hooks"
        for path, socket in self.more.items():
            # libfcgi holds a thread for each connection that is kept.
            how = f"fastcgi_keep_conn off; fastcgi_pass unix:{socket};"
            if path.endswith("/kept"):
                how = "fastcgi_keep_conn on; fastcgi_next_upstream " \
                    "error non_idempotent; fastcgi_pass kept;"
                text = KEPT % socket + text
            copy = re.sub(r"fastcgi_pass [^;]*;", how,
                          found[0].replace(h.PATH, path))
            text = text.replace(found[0], found[0] + copy, 1)
        return text

    def pids(self):
        return [self.process.pid, *children(self.process.pid)]


class Bench:
    """A worker or several, the empty responder, and nginx before them. The
    databases lie in a folder of their own on the file system to measure."""

    def __init__(self, folder, databases=("outbox",), empty=True):
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        self.others = list(h.RUNNING)       # not ours to stop
        self.workers = {}
        for name in databases:
            self.workers[name] = h.Worker(
                "--threads", str(THREADS),
                db=os.path.join(folder, name + ".db"))
        first, *rest = self.workers.values()
        more = {f"{h.PATH}/{i}": w.socket for i, w in enumerate(rest)}
        if empty:
            more[h.PATH + "/kept"] = first.socket
            more[h.PATH + "/empty"] = self.start_empty()
        self.nginx = Front(first.socket, more)
        self.targets = {}
        for (name, w), path in zip(self.workers.items(), [h.PATH, *more]):
            if not w.value("SELECT count(*) FROM workspace_map"):
                h.map_everything(w.db, "ws_bench")
            self.targets[name] = Worker(name, self.nginx.port, path, w)
        if empty:
            self.targets["kept"] = Worker("kept", self.nginx.port,
                                          h.PATH + "/kept", first)
            self.targets["empty"] = Target(
                "empty", self.nginx.port, h.PATH + "/empty", self.empty.pid)

    def start_empty(self):
        program = os.path.join(h.BUILD, "bench", "empty")
        if not os.access(program, os.X_OK):
            raise h.Skip("bench/empty is not built: make bench/empty")
        socket = os.path.join(h.Scratch.new("empty"), "socket")
        self.empty = h.start([program, socket, str(THREADS)])
        h.until(lambda: os.path.exists(socket), "empty does not listen")
        return socket

    def add_webhook(self):
        """adnanh/webhook with an HMAC rule and a script that runs sqlite3;
        it answers when the script has ended, so 200 means stored."""
        folder = h.Scratch.new("adnanh")
        db = os.path.join(self.folder, "adnanh.db")
        h.shell_ok(db, "PRAGMA journal_mode=WAL; CREATE TABLE hook ("
                   "id INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        script = h.write(os.path.join(folder, "store"), "#!/bin/sh\n"
                         "exec sqlite3 -batch -init /dev/null -cmd "
                         f"'.timeout 10000' '{db}' \"INSERT INTO hook (body) "
                         "VALUES (readfile('$HOOK'))\"\n", 0o755)
        port = h.free_port()
        h.write(os.path.join(folder, "hooks.json"), json.dumps([{
            "id": "sentry", "execute-command": script,
            "include-command-output-in-response": True,
            "pass-file-to-command": [{"source": "raw-request-body",
                                      "envname": "HOOK"}],
            "trigger-rule": {"match": {
                "type": "payload-hmac-sha256", "secret": h.SECRET,
                "parameter": {"source": "header",
                              "name": "Sentry-Hook-Signature"}}}}]))
        process = h.start(["webhook", "-hooks", folder + "/hooks.json", "-ip",
                           "127.0.0.1", "-port", str(port)], cwd=folder,
                          stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
        wait_for_port(port, process)
        self.targets["adnanh"] = Table("adnanh", port, "/hooks/sentry",
                                       process.pid, db, "hook")

    def add_node(self):
        stub = Stub()
        port = h.free_port()
        with open(os.path.join(h.Scratch.new("node"), "log"), "wb") as log:
            process = h.start(
                ["node", os.path.join(HERE, "receiver.mjs"), str(port),
                 stub.url], stdout=log,
                env=dict(os.environ, SENTRY_CLIENT_SECRET=h.SECRET))
        wait_for_port(port, process)
        self.targets["node"] = NodeTarget(port, process.pid, stub)

    def add_others(self):
        if shutil.which("webhook"):
            self.add_webhook()
        if shutil.which("node"):
            self.add_node()

    def stop(self):
        """Ends what it has started, and removes the databases."""
        for process in [p for p in h.RUNNING if p not in self.others]:
            process.terminate()
            try:
                h.finish(process)
            except AssertionError:
                print(f"bench: killed, for it did not end: "
                      f"{process.args[0]}", file=sys.stderr)
        for w in self.workers.values():
            w.expected = True
        for path in glob.glob(os.path.join(self.folder, "*")):
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


# ---- one run of wrk ------------------------------------------------------

def settled_count(target, run, answered):
    """What it kept, once that has come to rest."""
    end = time.monotonic() + UNLIKELY
    last = None
    while time.monotonic() < end:
        got = target.count(run)
        if got is None or (got == last and got >= answered):
            break
        last = got
        time.sleep(0.2)
    return got


def drive(bench, target, hook, clients, seconds):
    """One run; a dict with what came of it. An answer of 200 without its row
    ends the bench. Hooks that were on their way when wrk hung up are stored
    too: there may be up to one row more a client."""
    key = os.urandom(4).hex()
    argv = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "10s",
            "-s", os.path.join(HERE, "hooks.lua"),
            f"http://127.0.0.1:{target.port}{target.path}", "--",
            request_file(hook, target), key]
    target.mark()
    spooled = target.spooled()
    nginx = bench.nginx.pids()
    before = cpu([target.pid]), cpu(nginx), children_cpu()
    process = h.start(argv, stdout=subprocess.PIPE, text=True)
    text = process.communicate(timeout=seconds + 60)[0]
    h.finish(process)
    spent = [b - a for a, b in zip(before, (
        cpu([target.pid]), cpu(nginx), children_cpu()))]
    found = re.search(r"^figures (.*)$", text, re.M)
    assert found, f"wrk said {text!r}"
    out = {k: float(v) for k, v in
           (pair.split("=") for pair in found[1].split())}
    good = int(out["answers"] - out["refused"])
    kept = settled_count(target, key, good)
    if kept is not None:
        most = good + clients + int(out["refused"] + out["broken"])
        assert good <= kept <= most, \
            f"{target.name}: {kept} rows, but {good} times 200: {found[1]}"
    out.update(target=target.name, hook=hook, clients=clients, good=good,
               spooled=target.spooled() - spooled, rows="" if kept is None else kept,
               rate=good / out["seconds"], rss_mib=memory(target.pid))
    for name, s in zip(("cpu", "nginx_cpu", "wrk_cpu"), spent):
        out[name + "_s_1000"] = s / max(good, 1) * 1000
    return out


def children_cpu():
    r = resource.getrusage(resource.RUSAGE_CHILDREN)
    return r.ru_utime + r.ru_stime


def median(values):
    return statistics.median(list(values) or [float("nan")])


# ---- the whole -----------------------------------------------------------

def guarded(main):
    """Runs main() and ends every process by its pid, whatever happens."""
    def stop(number, _):
        raise SystemExit(128 + number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    try:
        return main()
    except KeyboardInterrupt:
        return 130
    except (h.Skip, AssertionError) as why:
        print(f"bench: {why}", file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        h.stop_everything()
        h.Scratch.remove_all()
