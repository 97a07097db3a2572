#!/usr/bin/env python3
"""What must hold while things break: kill -9, restarts, a locked database,
disks and readers that hang, two workers with one spool, clocks that jump.
RUNTESTS_FULL=1 for the long forms. Every hook that was answered 200 is there,
once."""
import fcntl
import os
import re
import shutil
import signal
import subprocess
import threading
import time

from crowd import at_once
from database import Snapshot, map_everything, shell_ok
from environment import FULL, LIMIT, SLOW, wrapped
from expect import equal, until
from fastcgi import (PARAMS, STDIN, begin_request, pairs, post_params,
                     post_request, read_answer, record, stream)
from hammer import no_answer_but_200
from hooks import (MAX_BODY, RECEIVED, SECRET, SENTRY_WAITS, compact, error,
                   issue, signed, unique)
from latency import Latency
from ledger import Ledger, kept_once
from logfmt import logfmt
from process import finish_process, run_program
from scratch import Scratch, write_file
from service_manager import ServiceManager
from shim import Clock
from sockets import connect, unread
from strace import Strace, need_strace
from tap import Skip, Tap, need_program
from webhook_site import Site, on_site
from wire import raw_hook
from worker import BRIEF, Worker

need_program()
tap = Tap()
KILLS = 20 if FULL else 3
LOCK_SECONDS = 30 if FULL else 2
LOAD_SECONDS = 60 if FULL else 2
SNAPSHOT_SECONDS = 60 if FULL else 2


# ---- an answer means stored ----------------------------------------------

def calls_before_answer(w, trace):
    """The system calls of one post, in order, up to its answer."""
    begin = len(open(trace).readlines())
    answer = w.send()
    equal((answer.status, answer.body), (200, RECEIVED))

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
    """Asserts that these calls were made in this order. Others may stand
    between them."""
    at = 0
    for want in wanted:
        while at < len(calls) and not all(w in calls[at] for w in want):
            at += 1
        assert at < len(calls), f"no {want} in: {''.join(calls)}"
        at += 1


@tap.test("200 comes after the sync of the WAL, or of spool file and folder")
def answer_comes_after_sync():
    need_strace()
    folder = Scratch.new("trace")
    w = Worker("--commit-wait", "2000", folder=folder)  # a pause fits
    tracer = Strace(w, calls=["pwrite64", "write", "fsync", "fdatasync",
                              "renameat", "renameat2", "rename", "sendto"])
    w.send()                                     # so that all files are open
    order(calls_before_answer(w, tracer.log),
          ("pwrite64", "outbox.db-wal"), ("fdatasync", "outbox.db-wal"))
    until(w.spool_is_empty)
    lock = w.lock()
    os.rmdir(w.spool)           # it is made again, and its folder is synced
    order(calls_before_answer(w, tracer.log), ("fsync", folder + ">"),
          ("write(", "outbox.db-spool"), ("sync(", "outbox.db-spool/"),
          ("rename", ".hook"), ("fsync", "outbox.db-spool>"))
    lock.release()
    equal(w.stop(), 0, "exit status")
    tracer.stop()


# ---- load ----------------------------------------------------------------

@tap.test(f"64 clients for {LOAD_SECONDS} s: all 200, every hook one row")
@on_site
def load_stores_each_hook_once(site, w):
    load = site.hammer(LOAD_SECONDS)
    figures = load.result()
    no_answer_but_200(figures)
    equal(len(load.ids()), figures["ok"])
    # Checkpoints keep up: a WAL that only grows would be hundreds of MB.
    wal = os.path.getsize(w.db + "-wal")
    assert wal < 24 << 20, f"the WAL has {wal} bytes"
    kept_once(w, load.ids(), True, "none", figures["sent"])


@tap.test("a reader holds a snapshot: intake goes on, the WAL shrinks after")
@on_site
def reader_snapshot_under_load(site, w):
    limit = 64 << 20                    # journal_size_limit
    reader = Snapshot(w.db)
    equal(reader.count(), 0)
    size = 20000 if FULL else 200000
    ledger = Ledger(f"a snapshot held for {SNAPSHOT_SECONDS} s")
    with Latency(site.folder) as latency:
        figures = ledger.load(site.hammer(SNAPSHOT_SECONDS, size=size,
                                          clients=2 if FULL else 16))
    no_answer_but_200(figures)
    latency.allows(figures["max_ms"] / 1000, SENTRY_WAITS, figures)
    equal(reader.count(), 0)
    # Beside other work a hook may have gone through the spool: it comes.
    until(lambda: SLOW > 1 or os.path.getsize(w.db + "-wal") >
          size * figures["ok"], "the WAL is not as long as all hooks")
    grown = os.path.getsize(w.db + "-wal")
    reader.release()
    # Two hooks are enough: a checkpoint comes after the first, and with the
    # second the WAL begins anew.
    until(lambda: ledger.post(w) == 200 and w.metric("wal_bytes") <= limit,
          "the WAL stays as long")
    print(f"# the WAL had {grown:.0f} bytes", flush=True)
    equal(ledger.refused, [])
    ledger.close(w, exactly=True)


@tap.test("edits of the map by a plain shell under load are neither refused "
          "nor in the way, and the log stays short of its checkpoints")
@on_site
def map_edits_under_load(site, w):
    pages = 1000                        # a shell's wal_autocheckpoint
    longest = 0
    with Latency(site.folder) as latency:
        load = site.hammer()
        for n in range(100):
            shell_ok(w.db, "INSERT INTO workspace_map (project_slug, "
                     f"workspace_id) VALUES ('shop-{n}', 'w'); UPDATE "
                     f"workspace_map SET note = '{n}'")
            longest = max(longest, os.path.getsize(w.db + "-wal"))
        until(lambda: w.hook_count() > 1000, "no hook comes in")
        figures = load.result()
    no_answer_but_200(figures)
    latency.allows(figures["max_ms"] / 1000, SENTRY_WAITS, figures)
    longest = max(longest, os.path.getsize(w.db + "-wal"))
    longest //= 24 + w.value("PRAGMA page_size")
    print(f"# {longest} pages in the log at most", flush=True)
    assert longest < pages, f"{longest} pages"
    kept_once(w, load.ids(), exactly=True)


# ---- kill -9 and restarts ------------------------------------------------

@tap.test(f"killed -9 {KILLS} times under load: every 200 is kept once")
@on_site
def kills_under_load(site, w):
    load = site.hammer()
    for _ in range(KILLS):
        w.stores(300)
        w.restart()
    figures = load.result()
    equal(len(load.ids()), figures["ok"])
    w.restart()
    kept_once(w, load.ids(), False, f"kill -9, {KILLS} times under load",
              figures["sent"])


@tap.test("killed -9 under load while the database is locked: the same")
@on_site
def kills_under_load_while_locked(site, w):
    load = site.hammer()
    for _ in range(10 if FULL else 2):
        lock = w.lock()
        before = len(w.spooled())
        until(lambda: len(w.spooled()) > before + 50, "nothing is spooled")
        w.restart()
        lock.release()
        w.stores()
    figures = load.result()
    w.restart()
    kept_once(w, load.ids(), False, "kill -9 under load, locked database",
              figures["sent"])


@tap.test("SIGTERM under load and a new worker: no answer but 200")
@on_site
def sigterm_and_new_worker_under_load(site, w):
    rounds = 10 if FULL else 3
    load = site.hammer()
    for _ in range(rounds):
        w.stores(200)
        equal(w.stop(), 0, "exit status")
        w.start(wait=False)
    figures = load.result()
    no_answer_but_200(figures)
    kept_once(w, load.ids(), True, f"worker restarted, {rounds} times under "
              "load", figures["sent"])


@tap.test("SIGTERM amid a slow request lets it end")
@on_site
def sigterm_amid_slow_request(site, w):
    body = compact(issue())
    data = post_request(body, signed(body))
    with connect(w.socket) as s:
        s.sendall(data[:-200])
        until(lambda: unread(s) == 0)   # so a thread has begun on it
        w.terminate()
        s.sendall(data[-200:])
        answer = read_answer(s)
    equal(answer.status, 200, answer)
    equal(finish_process(w.process), 0)
    equal(w.hook_count(), 1)
    w.start()


@tap.test("SIGTERM with silent peers is done within 10 s")
@on_site
def sigterm_with_silent_peers(site, w):
    silent = [connect(w.socket) for _ in range(20)]
    for s in silent[:10]:
        s.sendall(begin_request())
    with Latency(site.folder) as latency:
        equal(w.stop(), 0)
    latency.within(10)
    for s in silent:
        s.close()
    w.start()


@tap.test("SIGTERM with a peer that drips its body is done within 15 s")
@on_site
def sigterm_with_dripping_peer(site, w):
    values = post_params(b"", signed(b""), "9999")
    with connect(w.socket) as s, Latency(site.folder) as latency:
        s.sendall(begin_request() + stream(PARAMS, pairs(values)) +
                  record(STDIN, length=9999))
        until(lambda: not unread(s), "no thread begins on it")
        start = time.monotonic()
        w.terminate()

        def ended():
            try:
                s.send(b"x")
            except OSError:
                pass
            return w.process.poll() is not None
        until(ended, "it goes on and on")
        equal(finish_process(w.process), 0)
        took = time.monotonic() - start
    latency.allows(took, 15)
    w.start()


# ---- a locked database ---------------------------------------------------

@tap.test(f"BEGIN IMMEDIATE for {LOCK_SECONDS} s under load: all 200 in 1 s")
@on_site
def lock_under_load(site, w):
    with Latency(site.folder) as latency:
        load = site.hammer()
        until(lambda: w.hook_count() > 100)
        lock = w.lock()
        before = w.hook_count()
        time.sleep(LOCK_SECONDS * SLOW)   # the lock's length, not luck
        until(w.spooled, "nothing is spooled")
        equal(w.hook_count(), before)
        lock.release()
        figures = load.result()
    no_answer_but_200(figures)
    latency.allows(figures["max_ms"] / 1000, SENTRY_WAITS, figures)
    latency.allows(figures["p50_ms"] / 1000, 0.4, f"each waits: {figures}")
    kept_once(w, load.ids(), True, f"database locked for {LOCK_SECONDS} s",
              figures["sent"])
    equal(w.spooled(), [])
    equal(w.ready().status, 200)


@tap.test("spooled hooks survive kill -9, come in once, and in order")
@on_site
def spooled_hooks_survive_kill_in_order(site, w):
    lock = w.lock()
    sent = []
    for _ in range(40):
        body = issue()
        answer = w.send(body)
        equal((answer.status, answer.body), (200, RECEIVED))
        sent.append("issue:" + body["data"]["issue"]["id"])
        if len(sent) == 20:             # half before, half after
            w.restart()
    assert w.spooled()
    w.kill()
    lock.release()
    w.start()
    until(lambda: w.hook_count() == len(sent))
    equal([r[0] for r in w.rows("SELECT source_id FROM outbox ORDER BY id")],
          sent)
    until(w.spool_is_empty)
    equal(w.value("SELECT count(*) FROM webhook WHERE seen <> 1"), 0)


@tap.test("a delivery sent twice while spooled is one row, seen 2")
@on_site
def spooled_delivery_twice_is_one_row(site, w):
    lock = w.lock()
    raw = compact(issue("resolved"))
    headers = signed(raw)
    for _ in range(2):
        equal(w.post(raw, headers).status, 200)
        time.sleep(0.002)               # within a millisecond both count as one
    lock.release()
    equal(w.post(raw, headers).status, 200)
    until(lambda: w.hook_count() == 1 and w.spool_is_empty())
    until(lambda: w.value("SELECT seen FROM webhook") == 3)
    equal(w.value("SELECT count(*) FROM outbox"), 1)


@tap.test("spooled: another body under one key, another resource: both said")
@on_site
def spooled_oddities_are_said(site, w):
    number = unique()
    equal(w.send(issue(id=number)).status, 200)
    lock = w.lock()
    equal(w.send(issue(id=number, title="Another")).status, 200)
    equal(w.send(issue(), resource="error").status, 200)
    lock.release()
    until(lambda: w.hook_count() == 2 and w.spool_is_empty())
    until(lambda: w.log_events("spool-duplicate"))
    said = w.log_events("spool-duplicate")[0]
    equal((said["resource"], said["duplicate"], said["event_id"]),
          ("issue", "differs", w.value("SELECT event_id FROM outbox"
                                       " ORDER BY id LIMIT 1")))
    equal(len(w.log_events("spool-duplicate")), 1)
    equal([x.get("taken_for") for x in w.log_events("hook")],
          [None, None, "issue"])
    equal(w.metric("hooks_total", 'result="duplicate_differs"'), 1)


@tap.test("an unreadable hook under a lock is answered 400 and kept")
@on_site
def unreadable_hook_under_lock(site, w):
    lock = w.lock()
    equal(w.post(b"[]", signed(b"[]")).status, 400)
    lock.release()
    until(lambda: w.hook_count() == 1)
    equal(w.value("SELECT outcome FROM webhook"), "unreadable")


@tap.test("under a lock a release learned is there for a later issue hook")
@on_site
def release_learned_under_lock(site, w):
    lock = w.lock()
    id = str(unique())
    equal(w.send(error(issue_id=id, release="shop@5"), "error").status, 200)
    equal(w.send(issue("resolved", id)).status, 200)
    lock.release()
    until(lambda: w.hook_count() == 2)
    equal(w.value("SELECT release FROM outbox WHERE source_type = "
                  "'issue.resolved'"), "shop@5")


@tap.test("a worker that starts on a locked database serves at once")
@on_site
def start_on_locked_database(site, w):
    equal(w.stop(), 0)
    lock = w.lock()
    w.start()
    answer = w.send()
    equal(answer.status, 200)
    lock.release()
    until(lambda: w.hook_count() == 1)


@tap.test("a body of 8 MB is spooled and brought in to the byte")
@on_site
def large_body_is_spooled_exactly(site, w):
    lock = w.lock()
    body = issue(padding="")
    body["data"]["issue"]["padding"] = "x" * (MAX_BODY - len(compact(body)))
    raw = compact(body)
    answer = w.send(raw)
    equal((answer.status, len(raw)), (200, MAX_BODY))
    lock.release()
    until(lambda: w.hook_count() == 1)
    equal(w.value("SELECT body FROM webhook"), raw)


@tap.test("30 hooks at once while locked are all answered within 1 s")
@on_site
def many_hooks_under_lock(site, w):
    lock = w.lock()
    took = []

    def one(_):
        start = time.monotonic()
        equal(w.send().status, 200)
        took.append(time.monotonic() - start)
    with Latency(site.folder) as latency:
        at_once(one, range(30))
    lock.release()
    latency.allows(max(took), SENTRY_WAITS)
    until(lambda: w.hook_count() == 30)


# ---- what hangs ----------------------------------------------------------

@tap.test("a sync that hangs: unready, no ping, hooks go to the spool, and "
          "it recovers")
def hanging_sync():
    need_strace()
    manager = ServiceManager(300000)
    site = Site(env=manager.env)
    w = site.worker
    ledger = Ledger("fdatasync hangs")
    equal(ledger.post(w), 200)
    until(manager.pings, "no sign of life")
    trace = Strace(w, f"fdatasync:delay_enter={LIMIT * 1000000}",
                   path=w.db + "-wal")
    ledger.post_all(w, 3)
    until(lambda: w.ready().status == 503, "it says that it is ready")
    assert b'"writer":"stuck"' in w.ready().body, w.ready()
    equal(w.metric("writer_up"), 0)
    manager.pings()
    time.sleep(1)                       # the fault's length, not luck
    equal(manager.pings(), 0, "pings")
    equal(ledger.post(w), 200)
    equal(w.ready().status, 503)
    trace.stop()
    w.gets_ready()
    until(manager.pings, "no sign of life")
    equal(w.metric("writer_up"), 1)
    ledger.close(w, exactly=True)
    site.close()
    manager.close()


@tap.test("a spool that hangs with every thread in it: no ping, and it "
          "recovers")
def hanging_spool():
    need_strace()
    manager = ServiceManager(300000)
    site = Site("--threads", "4", env=manager.env)
    w = site.worker
    ledger = Ledger("every thread hangs in the spool")
    lock = w.lock()
    equal(ledger.post(w), 200)
    trace = Strace(w, f"fsync:delay_enter={LIMIT * 1000000}")
    on_their_way = []
    for _ in range(8):
        id, data = raw_hook()
        s = connect(w.socket)
        s.sendall(data)
        on_their_way.append((id, s))
    until(lambda: sum(n.endswith(".tmp") for n in w.spooled()) == 4)
    time.sleep(1)                       # and the last ping is told
    manager.pings()
    time.sleep(1)                       # the fault's length, not luck
    equal(manager.pings(), 0, "pings")
    trace.stop()
    until(manager.pings, "no sign of life")
    lock.release()
    for id, s in on_their_way:
        with s:
            equal(ledger.add(id, read_answer(s).status), 200)
    w.gets_ready()
    ledger.close(w, exactly=True)
    site.close()
    manager.close()


@tap.test("a FIFO in the place of the secrets file holds up nobody")
@on_site
def fifo_as_secrets_file(site, w):
    ledger = Ledger("a FIFO for a secrets file")
    equal(ledger.post(w), 200)
    os.unlink(w.secret_file)
    os.mkfifo(w.secret_file)
    ledger.post_all(w, 20)  # one a thread, and more
    equal(w.ready().status, 200)
    equal(w.metric("writer_up"), 1)
    equal(w.stop(), 0)
    w.start()                           # with no secret at all
    equal(w.get().status, 200)
    equal(w.send().status, 500)
    equal(w.ready().status, 503)
    os.unlink(w.secret_file)
    write_file(w.secret_file, SECRET + "\n")
    until(lambda: w.send().status == 200)
    ledger.ids.append("issue:" + w.value(
        "SELECT issue_id FROM outbox ORDER BY id DESC LIMIT 1"))
    ledger.close(w, exactly=True)


def read_pipe(end):
    try:
        return os.read(end, 1 << 20).decode()
    except BlockingIOError:
        return ""


@tap.test("a log that nobody reads holds up no hook: lines are dropped, "
          "counted, and that is said")
def unread_log_drops_lines():
    folder = Scratch.new("pipe")
    path = os.path.join(folder, "stderr")
    os.mkfifo(path)
    end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 4096)
    w = Worker(*BRIEF, folder=folder)
    map_everything(w.db)
    ledger = Ledger("the log's reader stops")
    ledger.post_all(w, 200)
    equal(w.ready().status, 200)
    dropped = w.metric("log_dropped_total")
    assert dropped >= 150, f"{dropped} dropped"
    text = read_pipe(end)

    def said():
        nonlocal text
        equal(ledger.post(w), 200)
        text += read_pipe(end)
        return sum(map(int, re.findall(r"event=log-dropped lines=(\d+)",
                                       text)))
    until(said)
    equal(said(), w.metric("log_dropped_total"))
    for line in text.splitlines():
        logfmt(line)
    ledger.close(w, exactly=True)
    equal(w.stop(), 0)
    os.close(end)
    os.unlink(path)
    write_file(path, text)


# ---- two of them ---------------------------------------------------------

def one_in_a_namespace(db):
    """A worker that is process 1 to itself, as in a container."""
    with wrapped("unshare", "-p", "-f", "--mount-proc", "--kill-child"):
        return Worker(*BRIEF, "--threads", "8", db=db)


def stop_in_namespace(w):
    pid = w.process.pid
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        os.kill(int(f.read().split()[0]), signal.SIGTERM)
    w.expected = True
    equal(finish_process(w.process), 0)


@tap.test("two workers, each process 1 of its own, share a spool: none is "
          "overwritten")
def two_workers_share_a_spool():
    if not shutil.which("unshare") or subprocess.run(
            ["unshare", "-p", "-f", "--mount-proc", "true"],
            stderr=subprocess.DEVNULL, check=False).returncode != 0:
        raise Skip("no namespaces here")
    db = os.path.join(Scratch.new("shared"), "outbox.db")
    two = [one_in_a_namespace(db) for _ in range(2)]
    map_everything(db)
    ledger = Ledger("two process namespaces, one spool")
    lock = two[0].lock()
    for w in two:
        equal(ledger.post(w), 200)
        until(lambda w=w: w.metric("writer_up") == 0)  # spooled at once
    start_together = threading.Barrier(2)

    def send(w):
        for _ in range(400):
            start_together.wait(LIMIT)
            ledger.post(w)
    at_once(send, two)
    equal(ledger.refused, [])
    equal(len([n for n in two[0].spooled() if n.endswith(".hook")]),
          len(ledger.ids))
    lock.release()
    ledger.close(two[0], exactly=True)
    for w in two:
        stop_in_namespace(w)


# ---- clocks that jump ----------------------------------------------------

DAY = 86400


@tap.test("the clock jumps a day forward and back: nothing waits, none lost")
def clock_jumps():
    clock = Clock()
    site = Site(env=clock.env)
    w = site.worker
    ledger = Ledger("clock jumps by a day")
    with Latency(site.folder) as latency:
        # Fewer clients than the worker has threads: one that waits for a
        # thread under one lock could wait for its commit under the next.
        load = site.hammer(clients=8)
        for jump in (DAY, -DAY, 0) * (20 if FULL else 1):
            clock.jump(jump)
            lock = w.lock()
            before = len(w.spooled())   # it waits as long as --commit-wait says
            until(lambda: len(w.spooled()) > before, "nothing is spooled")
            lock.release()
            w.stores()
        figures = ledger.load(load)
    no_answer_but_200(figures)
    latency.allows(figures["max_ms"] / 1000, SENTRY_WAITS, figures)
    ledger.close(w, exactly=True)
    spread = w.value("SELECT (max(received_at) - min(received_at)) / 1000 "
                     "FROM webhook")
    assert spread > DAY, f"the shim does nothing: {spread} s"
    site.close()


@tap.test("as CGI the commit wait holds whatever the calendar says")
def cgi_commit_wait_ignores_clock():
    clock = Clock()
    clock.jump(DAY)
    w = Worker()
    equal(w.stop(), 0)
    lock = w.lock()
    raw = compact(issue())
    env = post_params(raw, signed(raw), **clock.env)
    with Latency(w.folder) as latency:
        done = run_program("--db", w.db, "--secret-file", w.secret_file,
                           env=env, stdin=raw)
    latency.within(2, "it waits by the clock:")
    assert "200 OK" in done.stdout, done
    lock.release()
    w.start()
    until(lambda: w.hook_count() == 1)


tap.run(lanes=4)
