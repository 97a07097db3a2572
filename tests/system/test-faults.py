#!/usr/bin/env python3
"""What must hold while things break: kill -9, restarts of the worker and of
nginx, a locked database, crowds, clients that vanish, no descriptors, clocks
that jump. RUNTESTS_FULL=1 for the long forms. Every hook that was answered
200 is there, once."""
import fcntl
import os
import re
import resource
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

sys.dont_write_bytecode = True
import harness as h
from faults import (SECOND, Books, Calendar, Site,
                    Strace, held, hooks, kept_once, metric, need_strace,
                    no_answer_but_200, post, ready, spool_is_empty)
from harness import equal, signed, until

h.need_program()
tap = h.Tap()
KILLS = 20 if h.FULL else 3
LOCK_SECONDS = 30 if h.FULL else 2
LOAD_SECONDS = 60 if h.FULL else 2
SNAPSHOT_SECONDS = 60 if h.FULL else 2
CROWD = 4000 if h.FULL else 1000


# ---- an answer means stored ----------------------------------------------

def calls_before_answer(w, trace):
    """The system calls of one post, in order, up to its answer."""
    begin = len(open(trace).readlines())
    answer, _ = post(w)
    equal((answer.status, answer.body), (200, h.RECEIVED))

    def lines():
        return open(trace).readlines()[begin:]
    until(lambda: any("received" in line for line in lines()),
          "no answer in the trace")
    calls = []
    for line in lines():
        if '"received' in line or "received" in line and "sendto" in line:
            break
        calls.append(line)
    return [call for call in calls if "= -1" not in call]


def order(calls, *wanted):
    """Each of these stands in the calls, behind the one before it."""
    at = 0
    for want in wanted:
        while at < len(calls) and not all(w in calls[at] for w in want):
            at += 1
        assert at < len(calls), f"no {want} in: {''.join(calls)}"
        at += 1


@tap.test("200 comes after the sync of the WAL, or of spool file and folder")
def answer_comes_after_sync():
    need_strace()
    folder = h.Scratch.new("trace")
    w = h.Worker(*h.BRIEF, folder=folder, wait=False)
    until(w.answers)
    tracer = Strace(w, calls=["pwrite64", "write", "fsync", "fdatasync",
                              "renameat", "renameat2", "rename", "sendto"])
    post(w)                                     # opens what is opened late
    order(calls_before_answer(w, tracer.log),
          ("pwrite64", "outbox.db-wal"), ("fdatasync", "outbox.db-wal"))
    shell = held(w)
    os.rmdir(w.spool)           # made anew, and that synced too
    order(calls_before_answer(w, tracer.log),
          ("fsync", folder + ">"), ("write(", "outbox.db-spool"),
          ("sync(", "outbox.db-spool/"),
          ("rename", ".hook"), ("fsync", "outbox.db-spool>"))
    shell.execute("ROLLBACK")
    shell.close()
    equal(w.stop(), 0, "exit status")
    tracer.stop()


# ---- load ----------------------------------------------------------------

@tap.test(f"64 clients for {LOAD_SECONDS} s: all 200, every hook one row")
def load_stores_each_hook_once():
    site = Site()
    load = site.hammer(LOAD_SECONDS)
    figures = load.result()
    no_answer_but_200(figures)
    equal(len(load.ids()), figures["ok"])
    # Checkpoints keep up: a WAL that only grows would be hundreds of MB.
    wal = os.path.getsize(site.worker.db + "-wal")
    assert wal < 24 << 20, f"the WAL has {wal} bytes"
    kept_once(site.worker, load.ids(), True, "none", figures["sent"])
    site.close()


@tap.test("a reader holds a snapshot: intake goes on, the WAL shrinks after")
def reader_snapshot_under_load():
    site = Site()
    w = site.worker
    limit = 64 << 20                    # journal_size_limit
    reader = h.open_db(w.db)
    reader.execute("BEGIN")
    equal(reader.execute("SELECT count(*) FROM webhook").fetchone()[0], 0)
    size = 20000 if h.FULL else 200000
    books = Books(f"a snapshot held for {SNAPSHOT_SECONDS} s")
    with h.Pace(site.folder) as pace:
        figures = books.load(site.hammer(SNAPSHOT_SECONDS, size=size,
                                         clients=2 if h.FULL else 16))
    no_answer_but_200(figures)
    pace.keeps(figures["max_ms"] / 1000, SECOND, figures)
    equal(reader.execute("SELECT count(*) FROM webhook").fetchone()[0], 0)
    grown = os.path.getsize(w.db + "-wal")  # the metric may be a second old
    assert h.SLOW > 1 or grown > size * figures["ok"], \
        f"the WAL has only {grown} bytes"
    reader.execute("COMMIT")
    reader.close()
    # Two hooks do: a checkpoint behind one, a new beginning with the next.
    until(lambda: books.post(w) == 200 and metric(w, "wal_bytes") <= limit,
          "the WAL stays as long")
    print(f"# the WAL had {grown:.0f} bytes", flush=True)
    equal(books.refused, [])
    books.close(w, exactly=True)
    site.close()


@tap.test("edits of the map by a plain shell under load are neither refused "
          "nor in the way, and the log stays short of its checkpoints")
def map_edits_under_load():
    site = Site()
    w = site.worker
    pages = 1000                        # a shell's wal_autocheckpoint
    longest = 0
    with h.Pace(site.folder) as pace:
        load = site.hammer()
        for n in range(100):
            h.shell_ok(w.db, "INSERT INTO workspace_map (project_slug, "
                       f"workspace_id) VALUES ('shop-{n}', 'w'); UPDATE "
                       f"workspace_map SET note = '{n}'")
            longest = max(longest, os.path.getsize(w.db + "-wal"))
        until(lambda: hooks(w) > 1000, "no hook comes in")
        figures = load.result()
    no_answer_but_200(figures)
    pace.keeps(figures["max_ms"] / 1000, SECOND, figures)
    longest = max(longest, os.path.getsize(w.db + "-wal"))
    longest //= 24 + w.value("PRAGMA page_size")
    print(f"# {longest} pages in the log at most", flush=True)
    assert longest < pages, f"{longest} pages"
    kept_once(site.worker, load.ids(), exactly=True)
    site.close()


# ---- kill -9 and restarts ------------------------------------------------

@tap.test(f"killed -9 {KILLS} times under load: every 200 is kept once")
def kills_under_load():
    site = Site()
    w = site.worker
    load = site.hammer()
    for _ in range(KILLS):
        before = hooks(w)
        until(lambda: hooks(w) >= before + 300, "no hook comes in")
        w.kill()
        w.start()
    figures = load.result()
    equal(len(load.ids()), figures["ok"])
    w.kill()
    w.start()
    kept_once(w, load.ids(), False, f"kill -9, {KILLS} times under load",
              figures["sent"])
    site.close()


@tap.test("killed -9 under load while the database is locked: the same")
def kills_under_load_while_locked():
    site = Site()
    w = site.worker
    load = site.hammer()
    for _ in range(10 if h.FULL else 2):
        shell = held(w)
        before = len(w.spooled())
        until(lambda: len(w.spooled()) > before + 50, "nothing is spooled")
        w.kill()
        w.start()
        shell.execute("ROLLBACK")
        shell.close()
        rows = hooks(w)
        until(lambda: hooks(w) > rows, "nothing is brought in")
    figures = load.result()
    w.kill()
    w.start()
    kept_once(w, load.ids(), False, "kill -9 under load, locked database",
              figures["sent"])
    site.close()


@tap.test("SIGTERM under load and a new worker: no answer but 200")
def sigterm_and_new_worker_under_load():
    site = Site()
    w = site.worker
    rounds = 10 if h.FULL else 3
    load = site.hammer()
    for _ in range(rounds):
        before = hooks(w)
        until(lambda: hooks(w) >= before + 200, "no hook comes in")
        equal(w.stop(), 0, "exit status")
        w.start(wait=False)
    figures = load.result()
    no_answer_but_200(figures)
    kept_once(w, load.ids(), True, f"worker restarted, {rounds} times under "
              "load", figures["sent"])
    site.close()


def unread(s):
    """Bytes that the other end of a Unix socket has not yet taken."""
    return struct.unpack("i", fcntl.ioctl(s, termios.TIOCOUTQ, bytes(4)))[0]


@tap.test("SIGTERM amid a slow request lets it end")
def sigterm_amid_slow_request():
    site = Site()
    w = site.worker
    body = h.compact(h.issue())
    data = h.fcgi_request(h.params("POST", h.PATH, {
        "CONTENT_LENGTH": str(len(body)),
        **dict(h.cgi_names(signed(body)))}), body)
    with h.connect(w.socket) as s:
        s.sendall(data[:-200])
        until(lambda: unread(s) == 0)   # so a thread has begun on it
        w.expected = True
        w.process.terminate()
        s.sendall(data[-200:])
        answer = h.fcgi_answer(h.read_all(s))
    equal(answer.status, 200, answer)
    equal(h.finish(w.process), 0)
    equal(hooks(w), 1)
    w.start()
    site.close()


@tap.test("SIGTERM with silent peers is done within 10 s")
def sigterm_with_silent_peers():
    site = Site()
    silent = [h.connect(site.worker.socket) for _ in range(20)]
    for s in silent[:10]:
        s.sendall(h.begin())
    with h.Pace(site.folder) as pace:
        start = time.monotonic()
        equal(site.worker.stop(), 0)
        took = time.monotonic() - start
    pace.keeps(took, 10)
    for s in silent:
        s.close()
    site.worker.start()
    site.close()


@tap.test("SIGTERM with a peer that drips its body is done within 15 s")
def sigterm_with_dripping_peer():
    site = Site()
    w = site.worker
    values = h.params("POST", h.PATH, {
        "CONTENT_LENGTH": "9999", **dict(h.cgi_names(signed(b"")))})
    with h.connect(w.socket) as s, h.Pace(site.folder) as pace:
        s.sendall(h.begin() + h.stream(h.PARAMS, h.pairs(values)) +
                  h.record(h.STDIN, length=9999))
        until(lambda: not h.unread(s), "no thread begins on it")
        start = time.monotonic()
        w.expected = True
        w.process.terminate()

        def ended():
            try:
                s.send(b"x")
            except OSError:
                pass
            return w.process.poll() is not None
        until(ended, "it goes on and on")
        equal(h.finish(w.process), 0)
        took = time.monotonic() - start
    pace.keeps(took, 15)
    w.start()
    site.close()


# ---- a locked database ---------------------------------------------------

@tap.test(f"BEGIN IMMEDIATE for {LOCK_SECONDS} s under load: all 200 in 1 s")
def lock_under_load():
    site = Site()
    w = site.worker
    with h.Pace(site.folder) as pace:
        load = site.hammer()
        until(lambda: hooks(w) > 100)
        shell = held(w)
        before = hooks(w)
        time.sleep(LOCK_SECONDS * h.SLOW)   # the lock's length, not luck
        until(w.spooled, "nothing is spooled")
        equal(hooks(w), before)
        shell.execute("ROLLBACK")
        shell.close()
        figures = load.result()
    no_answer_but_200(figures)
    pace.keeps(figures["max_ms"] / 1000, SECOND, figures)
    pace.keeps(figures["p50_ms"] / 1000, 0.4, f"each waits: {figures}")
    kept_once(w, load.ids(), True, f"database locked for {LOCK_SECONDS} s",
              figures["sent"])
    equal(w.spooled(), [])
    equal(ready(w).status, 200)
    site.close()


@tap.test("spooled hooks survive kill -9, come in once, and in order")
def spooled_hooks_survive_kill_in_order():
    site = Site()
    w = site.worker
    shell = held(w)
    sent = []
    for _ in range(40):
        body = h.issue()
        answer, _ = post(w, body)
        equal((answer.status, answer.body), (200, h.RECEIVED))
        sent.append("issue:" + body["data"]["issue"]["id"])
        if len(sent) == 20:             # half before, half after
            w.kill()
            w.start()
    assert w.spooled()
    w.kill()
    shell.execute("ROLLBACK")
    shell.close()
    w.start()
    until(lambda: hooks(w) == len(sent))
    equal([r[0] for r in w.rows("SELECT source_id FROM outbox ORDER BY id")],
          sent)
    until(lambda: spool_is_empty(w))
    equal(w.value("SELECT count(*) FROM webhook WHERE seen <> 1"), 0)
    site.close()


@tap.test("a delivery sent twice while spooled is one row, seen 2")
def spooled_delivery_twice_is_one_row():
    site = Site()
    w = site.worker
    shell = held(w)
    raw = h.compact(h.issue("resolved"))
    headers = signed(raw)
    for _ in range(2):
        equal(w.post(raw, headers).status, 200)
        time.sleep(0.002)               # in one millisecond it is one receipt
    shell.execute("ROLLBACK")
    equal(w.post(raw, headers).status, 200)
    until(lambda: hooks(w) == 1 and spool_is_empty(w))
    until(lambda: w.value("SELECT seen FROM webhook") == 3)
    equal(w.value("SELECT count(*) FROM outbox"), 1)
    shell.close()
    site.close()


@tap.test("an unreadable hook under a lock is answered 400 and kept")
def unreadable_hook_under_lock():
    site = Site()
    w = site.worker
    shell = held(w)
    equal(w.post(b"[]", signed(b"[]")).status, 400)
    shell.execute("ROLLBACK")
    shell.close()
    until(lambda: hooks(w) == 1)
    equal(w.value("SELECT outcome FROM webhook"), "unreadable")
    site.close()


@tap.test("under a lock a release learned is there for a later issue hook")
def release_learned_under_lock():
    site = Site()
    w = site.worker
    shell = held(w)
    id = str(h.unique())
    raw = h.compact(h.error(issue_id=id, release="shop@5"))
    equal(w.post(raw, signed(raw, "error")).status, 200)
    raw = h.compact(h.issue("resolved", id))
    equal(w.post(raw, signed(raw)).status, 200)
    shell.execute("ROLLBACK")
    shell.close()
    until(lambda: hooks(w) == 2)
    equal(w.value("SELECT release FROM outbox WHERE source_type = "
                  "'issue.resolved'"), "shop@5")
    site.close()


@tap.test("a worker that starts on a locked database serves at once")
def start_on_locked_database():
    site = Site()
    w = site.worker
    equal(w.stop(), 0)
    shell = held(w)
    w.start()
    answer, _ = post(w)
    equal(answer.status, 200)
    shell.execute("ROLLBACK")
    shell.close()
    until(lambda: hooks(w) == 1)
    site.close()


@tap.test("a body of 8 MB is spooled and brought in to the byte")
def large_body_is_spooled_exactly():
    site = Site()
    w = site.worker
    shell = held(w)
    body = h.issue(padding="")
    body["data"]["issue"]["padding"] = "x" * (
        h.MAX_BODY - len(h.compact(body)))
    answer, raw = post(w, body)
    equal((answer.status, len(raw)), (200, h.MAX_BODY))
    shell.execute("ROLLBACK")
    shell.close()
    until(lambda: hooks(w) == 1)
    equal(w.value("SELECT body FROM webhook"), raw)
    site.close()


@tap.test("30 hooks at once while locked are all answered within 1 s")
def many_hooks_under_lock():
    site = Site()
    w = site.worker
    shell = held(w)
    took, wrong = [], []

    def one():
        start = time.monotonic()
        try:
            equal(post(w)[0].status, 200)
        except Exception as e:
            wrong.append(repr(e))
        took.append(time.monotonic() - start)
    crowd = [threading.Thread(target=one) for _ in range(30)]
    with h.Pace(site.folder) as pace:
        for t in crowd:
            t.start()
        for t in crowd:
            t.join()
    shell.execute("ROLLBACK")
    shell.close()
    equal(wrong, [])
    pace.keeps(max(took), SECOND)
    until(lambda: hooks(w) == 30)
    site.close()


# ---- what hangs ----------------------------------------------------------

class Manager:
    """The service manager's end: what it was told."""

    def __init__(self):
        path = os.path.join(h.Scratch.new("notify"), "socket")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.env = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "300000"}

    def pings(self):
        """All that came since the last time."""
        count = 0
        try:
            while self.socket.recv(4096, socket.MSG_DONTWAIT):
                count += 1
        except BlockingIOError:
            return count


@tap.test("a sync that hangs: unready, no ping, hooks go to the spool, and "
          "it recovers")
def hanging_sync():
    need_strace()
    manager = Manager()
    site = Site(env=manager.env)
    w = site.worker
    books = Books("fdatasync hangs")
    equal(books.post(w), 200)
    until(manager.pings, "no sign of life")
    trace = Strace(w, f"fdatasync:delay_enter={h.LIMIT * 1000000}",
                   path=w.db + "-wal")
    for _ in range(3):
        equal(books.post(w), 200)
    until(lambda: ready(w).status == 503, "it says that it is ready")
    assert b'"writer":"stuck"' in ready(w).body, ready(w)
    equal(metric(w, "writer_up"), 0)
    manager.pings()
    time.sleep(1)                       # the fault's length, not luck
    equal(manager.pings(), 0, "pings")
    equal(books.post(w), 200)
    equal(ready(w).status, 503)
    trace.stop()
    until(lambda: ready(w).status == 200, w.log()[-900:])
    until(manager.pings, "no sign of life")
    equal(metric(w, "writer_up"), 1)
    books.close(w, exactly=True)
    site.close()
    manager.socket.close()


@tap.test("a spool that hangs with every thread in it: no ping, and it "
          "recovers")
def hanging_spool():
    need_strace()
    manager = Manager()
    site = Site("--threads", "4", env=manager.env)
    w = site.worker
    books = Books("every thread hangs in the spool")
    shell = held(w)
    equal(books.post(w), 200)
    trace = Strace(w, f"fsync:delay_enter={h.LIMIT * 1000000}")
    on_their_way = []
    for _ in range(8):
        id, data = raw_hook(w)
        s = h.connect(w.socket)
        s.sendall(data)
        on_their_way.append((id, s))
    until(lambda: sum(n.endswith(".tmp") for n in w.spooled()) == 4)
    time.sleep(1)                       # and the last ping is told
    manager.pings()
    time.sleep(1)                       # the fault's length, not luck
    equal(manager.pings(), 0, "pings")
    trace.stop()
    until(manager.pings, "no sign of life")
    shell.execute("ROLLBACK")
    shell.close()
    for id, s in on_their_way:
        with s:
            equal(books.add(id, h.fcgi_answer(h.read_all(s)).status), 200)
    until(lambda: ready(w).status == 200, w.log()[-900:])
    books.close(w, exactly=True)
    site.close()
    manager.socket.close()


@tap.test("a FIFO in the place of the secrets file holds up nobody")
def fifo_as_secrets_file():
    site = Site()
    w = site.worker
    books = Books("a FIFO for a secrets file")
    equal(books.post(w), 200)
    os.unlink(w.secret_file)
    os.mkfifo(w.secret_file)
    for _ in range(20):                 # one a thread, and more
        equal(books.post(w), 200)
    equal(ready(w).status, 200)
    equal(metric(w, "writer_up"), 1)
    equal(w.stop(), 0)
    w.start()                           # with no secret at all
    equal(w.get().status, 200)
    equal(post(w)[0].status, 500)
    equal(ready(w).status, 503)
    os.unlink(w.secret_file)
    h.write(w.secret_file, h.SECRET + "\n")
    until(lambda: post(w)[0].status == 200)
    books.ids.append("issue:" + w.value(
        "SELECT issue_id FROM outbox ORDER BY id DESC LIMIT 1"))
    books.close(w, exactly=True)
    site.close()


def read_pipe(end):
    try:
        return os.read(end, 1 << 20).decode()
    except BlockingIOError:
        return ""


@tap.test("a log that nobody reads holds up no hook: lines are dropped, "
          "counted, and that is said")
def unread_log_drops_lines():
    folder = h.Scratch.new("pipe")
    path = os.path.join(folder, "stderr")
    os.mkfifo(path)
    end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 4096)
    w = h.Worker(*h.BRIEF, folder=folder)
    h.map_everything(w.db)
    books = Books("the log's reader stops")
    for _ in range(200):
        equal(books.post(w), 200)
    equal(ready(w).status, 200)
    dropped = metric(w, "log_dropped_total")
    assert dropped >= 150, f"{dropped} dropped"
    text = read_pipe(end)

    def said():
        nonlocal text
        equal(books.post(w), 200)
        text += read_pipe(end)
        return sum(map(int, re.findall(r"event=log-dropped lines=(\d+)",
                                       text)))
    until(said)
    equal(said(), metric(w, "log_dropped_total"))
    for line in text.splitlines():
        h.logfmt(line)
    books.close(w, exactly=True)
    equal(w.stop(), 0)
    os.close(end)
    os.unlink(path)
    h.write(path, text)


# ---- two of them ---------------------------------------------------------

def one_in_a_namespace(db):
    """A worker that is process 1 to itself, as in a container."""
    before = h.WRAPPER
    h.WRAPPER = ["unshare", "-p", "-f", "--mount-proc", "--kill-child",
                 *before]
    try:
        return h.Worker(*h.BRIEF, "--threads", "8", db=db)
    finally:
        h.WRAPPER = before


def stop_in_namespace(w):
    pid = w.process.pid
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        os.kill(int(f.read().split()[0]), signal.SIGTERM)
    w.expected = True
    equal(h.finish(w.process), 0)


@tap.test("two workers, each process 1 of its own, share a spool: none is "
          "overwritten")
def two_workers_share_a_spool():
    if not shutil.which("unshare") or subprocess.run(
            ["unshare", "-p", "-f", "--mount-proc", "true"],
            stderr=subprocess.DEVNULL, check=False).returncode != 0:
        raise h.Skip("no namespaces here")
    db = os.path.join(h.Scratch.new("shared"), "outbox.db")
    two = [one_in_a_namespace(db) for _ in range(2)]
    h.map_everything(db)
    books = Books("two process namespaces, one spool")
    shell = held(two[0])
    for w in two:
        equal(books.post(w), 200)
        until(lambda w=w: metric(w, "writer_up") == 0)  # spooled at once
    start_together = threading.Barrier(2)

    def send(w):
        for _ in range(400):
            start_together.wait(h.LIMIT)
            books.post(w)
    threads = [threading.Thread(target=send, args=(w,)) for w in two]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    equal(books.refused, [])
    equal(len([n for n in two[0].spooled() if n.endswith(".hook")]),
          len(books.ids))
    shell.execute("ROLLBACK")
    shell.close()
    books.close(two[0], exactly=True)
    for w in two:
        stop_in_namespace(w)


# ---- crowds --------------------------------------------------------------

def raw_hook(w, http=False):
    """A hook's id, and its bytes on the wire."""
    body = h.issue()
    raw = h.compact(body)
    if http:
        head = "".join(f"{k}: {v}\r\n" for k, v in signed(raw).items())
        data = (f"POST {h.PATH} HTTP/1.1\r\nHost: test\r\nConnection: close"
                f"\r\nContent-Length: {len(raw)}\r\n{head}\r\n"
                ).encode() + raw
    else:
        data = h.fcgi_request(h.params("POST", h.PATH, {
            "CONTENT_LENGTH": str(len(raw)),
            **dict(h.cgi_names(signed(raw)))}), raw)
    return "issue:" + body["data"]["issue"]["id"], data


class Crowd:
    """So many connections, all open before the first byte is sent."""

    def __init__(self, count, connect, bytes_of):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        want = 2 * count + 200
        if hard != resource.RLIM_INFINITY and hard < want:
            raise h.Skip(f"no {want} descriptors")
        if soft < want:
            resource.setrlimit(resource.RLIMIT_NOFILE, (want, hard))
        self.all = []                   # [socket, id, what is left, answer]
        for _ in range(count):
            id, data = bytes_of()
            self.all.append([connect(), id, memoryview(data), b""])

    def run(self):
        """Sends, and reads until all are closed; ms until the last is."""
        begin = time.monotonic()
        waiting = selectors.DefaultSelector()
        for one in self.all:
            one[0].setblocking(False)
            waiting.register(one[0], selectors.EVENT_WRITE, one)
        left = len(self.all)
        while left and time.monotonic() - begin < h.LIMIT:
            for key, _ in waiting.select(1):
                left -= self.step(waiting, key)
        assert not left, f"{left} are not answered"
        return (time.monotonic() - begin) * 1000

    @staticmethod
    def step(waiting, key):
        s, _, data, _ = one = key.data
        try:
            if data:
                one[2] = data[s.send(data):]
                if not one[2]:
                    waiting.modify(s, selectors.EVENT_READ, one)
                return False
            part = s.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            part = b""
        one[3] += part
        if not part:
            waiting.unregister(s)
            s.close()
        return not part

    def book(self, books, ok):
        for _, id, _, answer in self.all:
            books.add(id, 200 if ok in answer and h.RECEIVED in answer
                      else answer[:80])


def crowd_of(site, count, http):
    def tcp():
        return socket.create_connection(("127.0.0.1", site.nginx.port),
                                        h.LIMIT)
    return Crowd(count, tcp if http else lambda: h.connect(
        site.worker.socket), lambda: raw_hook(site.worker, http))


@tap.table(f"{CROWD} connections at once {{}}: each hook is kept and answered",
           [("through nginx", True), ("straight to the socket", False)])
def crowd_of_connections(name, http):
    site = Site()
    books = Books(f"{CROWD} connections at once {name}")
    crowd = crowd_of(site, CROWD, http)
    took = crowd.run()
    crowd.book(books, b" 200 OK")
    print(f"# {took:.0f} ms", flush=True)
    equal(books.refused, [])
    books.close(site.worker, exactly=True)
    site.close()


@tap.test("a crowd at once while the database is locked: all 200, spooled")
def crowd_under_lock():
    site = Site()
    shell = held(site.worker)
    books = Books(f"{CROWD} connections at once, locked database")
    crowd = crowd_of(site, CROWD, False)
    crowd.run()
    crowd.book(books, b" 200 OK")
    equal(books.refused, [])
    shell.execute("ROLLBACK")
    shell.close()
    books.close(site.worker, exactly=True)
    site.close()


# ---- no descriptors ------------------------------------------------------

def limit_descriptors(w, most):
    resource.prlimit(w.process.pid, resource.RLIMIT_NOFILE,
                     (most, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def cpu_seconds(w):
    with open(f"/proc/{w.process.pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@tap.test("no descriptor is left: connections wait, and the worker rests")
def no_descriptor_left():
    site = Site()
    w = site.worker
    books = Books("no descriptor left")
    equal(books.post(w), 200)
    used = len(os.listdir(f"/proc/{w.process.pid}/fd"))
    limit_descriptors(w, used)
    before = cpu_seconds(w)
    crowd = crowd_of(site, 50, False)
    for one in crowd.all:
        one[0].sendall(one[2])
        one[2] = b""
    time.sleep(1)                       # the fault's length, not luck
    spent = cpu_seconds(w) - before
    assert spent < 0.3 * h.SLOW, f"it spins: {spent} s of one"
    limit_descriptors(w, 4096)
    while crowd.all:
        one = crowd.all.pop()
        with one[0] as s:
            answer = h.fcgi_answer(h.read_all(s))
        equal(books.add(one[1], answer.status), 200)
    books.close(w, exactly=True)
    equal(ready(w).status, 200)
    site.close()


@tap.test("descriptors are scarce and the database locked: all 200, spooled")
def scarce_descriptors_under_lock():
    site = Site()
    w = site.worker
    shell = held(w)
    books = Books("descriptors scarce, locked database")
    limit_descriptors(w, 200)
    crowd = crowd_of(site, 400, False)
    crowd.run()
    crowd.book(books, b" 200 OK")
    equal(books.refused, [])
    shell.execute("ROLLBACK")
    shell.close()
    limit_descriptors(w, 4096)
    books.close(w, exactly=True)
    site.close()


# ---- clients that vanish -------------------------------------------------

def vanish(site, http, n):
    _, data = raw_hook(site.worker, http)
    with crowd_of(site, 1, http).all[0][0] as s:
        s.sendall(data[:len(data) - 9 - n * 7 % 700])
        if n % 2:                       # with a reset, not an end
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                         struct.pack("ii", 1, 0))


@tap.table("clients that vanish in mid-body {}: others are served, none kept",
           [("before nginx", True), ("before the worker", False)])
def clients_vanish_in_body(name, http):
    site = Site()
    w = site.worker
    books = Books(f"clients vanish in mid-body {name}")
    rounds = 400 if h.FULL else 60
    slowest = 0
    with h.Pace(site.folder) as pace:
        for n in range(rounds):
            vanish(site, http, n)
            books.sent += 1
            if n % 10 == 0:
                begin = time.monotonic()
                equal(books.post(w), 200)
                slowest = max(slowest, time.monotonic() - begin)
    pace.keeps(slowest, SECOND)
    equal(books.post(w), 200)
    books.close(w, exactly=True)
    site.close()


@tap.test("clients that vanish before their answer: each hook is kept once")
def clients_vanish_before_answer():
    site = Site()
    w = site.worker
    sent = []
    for _ in range(300 if h.FULL else 60):
        id, data = raw_hook(w)
        with h.connect(w.socket) as s:
            s.sendall(data)
        sent.append(id)
    until(lambda: hooks(w) == len(sent))
    kept_once(w, sent, True, "clients vanish before the answer", len(sent))
    site.close()


@tap.test("a peer that never ends its request holds up no other's answer")
def endless_request_holds_up_nobody():
    site = Site()
    w = site.worker
    books = Books("peer does not end its request")
    for _ in range(5):
        shell = held(w)
        slow = []
        for _ in range(3):              # all in one commit with the next
            id, data = raw_hook(w)
            s = h.connect(w.socket)
            s.sendall(data[:-8])        # without the end of STDIN
            slow.append((id, s))
        id, data = raw_hook(w)
        quick = h.connect(w.socket)
        quick.sendall(data)
        until(lambda: metric(w, "writer_queued_hooks") == 4 or w.spooled())
        shell.execute("ROLLBACK")
        shell.close()
        with h.Pace(site.folder) as pace:
            begin = time.monotonic()
            answer = h.fcgi_answer(h.read_all(quick))
            took = time.monotonic() - begin
        quick.close()
        equal(books.add(id, answer.status), 200)
        pace.keeps(took, SECOND)
        for id, s in slow:
            with s:
                equal(books.add(id, 200 if h.RECEIVED in s.recv(4096)
                                else None), 200)
    books.close(w, exactly=True)
    site.close()


# ---- nginx restarted, connections kept ------------------------------------

def keeping_server(site):
    """nginx keeps its connections to the worker, and tries again on a new
    one when one of these has ended."""
    return (f"upstream worker {{ server unix:{site.listen.getsockname()} "
            "max_fails=0; keepalive 32; }\n"
            f"server {{ listen 127.0.0.1:{site.nginx.port};\n"
            "client_max_body_size 8m; client_body_buffer_size 8m;\n"
            "location /api/sentry/webhooks {\n"
            "include /etc/nginx/fastcgi_params;\n"
            "fastcgi_keep_conn on;\n"
            "fastcgi_next_upstream error timeout non_idempotent;\n"
            f"fastcgi_connect_timeout {h.LIMIT}s;\n"
            f"fastcgi_read_timeout {h.LIMIT}s;\n"
            "fastcgi_pass worker;\n} }\n")


@tap.test("the worker restarted on kept connections: no answer but 200")
def restart_on_kept_connections():
    site = Site(config=keeping_server)
    w = site.worker
    rounds = 20 if h.FULL else 4
    load = site.hammer()
    for _ in range(rounds):
        before = metric(w, "hooks_total", 'result="stored"')
        until(lambda: metric(w, "hooks_total", 'result="stored"') >=
              before + 200, "no hook comes in")
        equal(w.stop(), 0, "exit status")
        w.start()
    figures = load.result()
    no_answer_but_200(figures)
    # Tried again by nginx: the same row, seen once more.
    again = w.value("SELECT sum(seen) - count(*) FROM webhook")
    print(f"# {again} hooks came twice", flush=True)
    books_of_kept(w, load, figures, f"worker restarted, {rounds} times, kept "
                  "connections")
    site.close()


@tap.test("SIGTERM on kept connections: a request is answered or not taken")
def sigterm_on_kept_connections():
    folder = h.Scratch.new("kept")
    listen = h.listening_socket(os.path.join(folder, "s"))
    raw = h.compact(h.issue())
    request = h.fcgi_request(h.params("POST", h.PATH, {
        "CONTENT_LENGTH": str(len(raw)),
        **dict(h.cgi_names(signed(raw)))}), raw, 1)
    untold = []

    def ask(s):
        """One after the other, until one is not taken."""
        while True:
            try:
                s.sendall(request)
            except OSError:
                return
            got = b""
            while len(got) < 16 or got[-15] != h.END:
                try:
                    part = s.recv(65536)
                except OSError:
                    part = b""
                if not part:
                    untold.append(got)
                    return
                got += part

    for _ in range(20 if h.FULL else 5):
        w = h.Worker(folder=folder, listen=listen)
        kept = [h.connect(w.socket) for _ in range(24)]
        threads = [threading.Thread(target=ask, args=(s,)) for s in kept]
        for t in threads:
            t.start()
        time.sleep(0.2)
        equal(w.stop(), 0, "exit status")
        for t in threads:
            t.join()
        for s in kept:
            s.close()
    equal(len(untold), 0, "requests that were taken and got no answer")
    listen.close()


def books_of_kept(w, load, figures, name):
    """kept_once(), where a row may have been seen again."""
    db = h.open_db(w.db, write=True)
    db.execute("UPDATE webhook SET seen = 1")
    db.close()
    kept_once(w, load.ids(), figures["ok"] == figures["sent"], name,
              figures["sent"])


@tap.test("killed -9 on kept connections: every 200 is kept once")
def kill_on_kept_connections():
    site = Site(config=keeping_server)
    w = site.worker
    rounds = 10 if h.FULL else 3
    load = site.hammer()
    for _ in range(rounds):
        before = hooks(w)
        until(lambda: hooks(w) >= before + 200, "no hook comes in")
        w.kill()
        w.start()
    figures = load.result()
    books_of_kept(w, load, figures, f"kill -9, {rounds} times, kept "
                  "connections")
    site.close()


@tap.table("nginx {} under load: every 200 is kept once", [
    ("reloaded", lambda n: n.process.send_signal(signal.SIGHUP)),
    ("stopped and started", lambda n: (n.stop(), n.start())),
    ("told to quit and started", lambda n: (
        n.process.send_signal(signal.SIGQUIT), h.finish(n.process),
        n.start())),
])
def nginx_ends_under_load(name, restart):
    site = Site()
    rounds = 10 if h.FULL else 3
    load = site.hammer()
    for _ in range(rounds):
        before = hooks(site.worker)
        until(lambda: hooks(site.worker) >= before + 200,
              "no hook comes in")
        restart(site.nginx)
    figures = load.result()
    kept_once(site.worker, load.ids(), False, f"nginx {name}, {rounds} times "
              "under load", figures["sent"])
    site.close()


# ---- clocks that jump ----------------------------------------------------

DAY = 86400


@tap.test("the clock jumps a day forward and back: nothing waits, none lost")
def clock_jumps():
    calendar = Calendar()
    site = Site(env=calendar.env)
    w = site.worker
    books = Books("clock jumps by a day")
    with h.Pace(site.folder) as pace:
        load = site.hammer()
        for jump in (DAY, -DAY, 0) * (20 if h.FULL else 1):
            calendar.jump(jump)
            shell = held(w)
            before = len(w.spooled())   # past the commit wait
            until(lambda: len(w.spooled()) > before, "nothing is spooled")
            shell.execute("ROLLBACK")
            shell.close()
            before = hooks(w)
            until(lambda: hooks(w) > before, "no hook comes in")
        figures = books.load(load)
    no_answer_but_200(figures)
    pace.keeps(figures["max_ms"] / 1000, SECOND, figures)
    spread = w.value("SELECT (max(received_at) - min(received_at)) / 1000 "
                     "FROM webhook")
    assert spread > DAY, f"the shim does nothing: {spread} s"
    books.close(w, exactly=True)
    site.close()


@tap.test("as CGI the commit wait holds whatever the calendar says")
def cgi_commit_wait_ignores_clock():
    calendar = Calendar()
    calendar.jump(DAY)
    w = h.Worker()
    equal(w.stop(), 0)
    shell = held(w)
    raw = h.compact(h.issue())
    env = h.params("POST", h.PATH, {
        "CONTENT_LENGTH": str(len(raw)), **calendar.env,
        **dict(h.cgi_names(signed(raw)))})
    with h.Pace(w.folder) as pace:
        begin = time.monotonic()
        done = h.run_program("--db", w.db, "--secret-file", w.secret_file,
                             env=env, stdin=raw)
        took = time.monotonic() - begin
    pace.keeps(took, 2, "it waits by the calendar:")
    assert "200 OK" in done.stdout, done
    shell.execute("ROLLBACK")
    shell.close()
    w.start()
    until(lambda: hooks(w) == 1)


tap.run(lanes=4)
