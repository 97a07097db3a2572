#!/usr/bin/env python3
"""The worker is killed anywhere: at each system call between accept and answer,
and a thousand times while others use the database; or one of its allocations
fails, each one in turn. RUNTESTS_FULL=1 for every call, every kill and every
allocation; else a choice of them."""
import ctypes
import os
import random
import re
import select
import subprocess
import threading
import time

from database import WriteLock, map_everything, open_db, shell_ok
from deliverer import start_printing
from environment import FULL, LIMIT, PROGRAM, clean_environment
from expect import equal, until
from fastcgi import cgi_answer, post_params, read_answer
from hooks import RECEIVED, SECRET, compact, issue, signed
from ledger import Ledger, print_fault
from process import finish_process
from scratch import Scratch, write_file
from shim import need_shim
from sockets import connect
from strace import Strace, need_strace
from tap import Skip, Tap, need_program
from webhook_site import Site, on_site
from wire import raw_hook
from worker import Worker

need_program()
tap = Tap()
MOST = 60           # calls of one name that a hook may need
KILLS = 1000 if FULL else 10


# ---- kill -9 at each system call -----------------------------------------

def one_thread():
    """A site whose worker makes its calls in the same order each time."""
    return Site("--threads", "1", "--commit-wait", "100")


def send_hook(w):
    """A hook that is on its way: its id, and the connection."""
    id, data = raw_hook()
    s = connect(w.socket)
    try:
        s.sendall(data)
    except OSError:
        pass                            # died while it was read
    return id, s


def status_of(s):
    """The answer's status; None if there is none."""
    with s:
        try:
            return read_answer(s).status
        except OSError:
            return None


def calls_of(w, act):
    """The names of the system calls that the worker makes for it."""
    trace = Strace(w)
    act()
    trace.stop()
    calls = {m[1] for m in (re.match(r"\d+ +(\w+)\(", line)
                            for line in trace.lines()) if m}
    # An idle thread is blocked in these: no hook needs them.
    return sorted(calls - {"restart_syscall", "rt_sigtimedwait",
                           "exit", "exit_group"})


def is_dead(w):
    """Asks until it answers or has died: a worker that is about to die does
    neither."""
    while w.process.poll() is None:
        try:
            if w.get(timeout=0.5).status == 200:
                return False
        except OSError:
            pass
    return True


def killed_at(w, call, n, act):
    """Whether the worker dies at the nth such call while act is done;
    restarted if so."""
    trace = Strace(w, f"{call}:signal=KILL:when={n}")
    w.expected = True
    done = act(lambda: w.process.poll() is not None)
    trace.stop()
    died = is_dead(w)
    if died:
        finish_process(w.process)
        w.start()
    w.expected = False
    return died, done


def matrix(w, calls, act, each=lambda done: None):
    """For each call: kills the worker at the first such call of an act, then at
    the second, ... until the act is done before it comes to that call. The
    short form kills at the first alone."""
    points = 0
    for call in calls:
        for n in range(1, MOST if FULL else 2):
            died, done = killed_at(w, call, n, act)
            each(done)
            if not died:
                break
            points += 1
        else:
            assert not FULL, f"{call} has no end"
    print(f"# {points} points in {len(calls)} calls: {' '.join(calls)}",
          flush=True)
    return points


def one_hook(w):
    """Sends a hook and waits until it is answered or the worker has died."""
    def act(dead):
        id, s = send_hook(w)
        while not dead() and not select.select([s], [], [], 0.005)[0]:
            pass
        return id, s
    return act


def crash_matrix(name, w, least):
    """The matrix of one hook for each kill. A hook that gets no answer is not
    sent again."""
    ledger = Ledger(name)
    calls = calls_of(w, lambda: ledger.post(w))
    points = matrix(w, calls, one_hook(w),
                    lambda done: ledger.add(done[0], status_of(done[1])))
    assert points >= least, points
    return ledger


@tap.test("killed at each call from accept to answer: a 200 is kept once")
def kill_at_each_call_of_a_request():
    need_strace()
    site = one_thread()
    w = site.worker
    w.send()
    before = w.hook_count()
    ledger = crash_matrix("kill -9 at each call, database", w, 10)
    # One that was committed but not answered is kept too, once.
    assert before + len(ledger.ids) <= w.hook_count() <= before + ledger.sent
    ledger.close(w)
    site.close()


@tap.test("killed at each call on the way to the spool: the same")
def kill_at_each_call_of_spooling():
    need_strace()
    site = one_thread()
    w = site.worker
    lock = w.lock()
    w.send()
    ledger = crash_matrix("kill -9 at each call, spool", w, 10)
    equal(w.hook_count(), 0)
    lock.release()
    ledger.close(w)
    site.close()


@tap.test("killed at each call while the spool is brought in: the same")
def kill_at_each_call_of_draining():
    need_strace()
    site = one_thread()
    w = site.worker
    ledger = Ledger("kill -9 at each call, spool to database")
    # Each kill needs hooks in the spool that are just being brought in.

    def act(dead):
        lock = w.lock()
        try:
            until(lambda: dead() or ledger.post(w) is None or
                  not w.spool_is_empty())
        finally:
            lock.release()
        until(lambda: dead() or w.spool_is_empty())
    calls = calls_of(w, lambda: act(lambda: False))
    steps = ["fdatasync", "pread64", "pwrite64", "renameat2", "unlinkat"]
    assert set(steps) <= set(calls), calls
    assert matrix(w, calls if FULL else steps, act) >= len(steps)
    ledger.close(w)
    site.close()


# ---- kill -9 amid all others ----------------------------------------------

class Others:
    """Three threads that use the database at the same time: one reads, one
    edits the mapping with the shell, and one takes the write lock now and
    then, so that hooks go to the spool."""

    def __init__(self, db):
        self.db, self.over, self.wrong = db, threading.Event(), []
        self.reads = self.edits = self.locks = 0
        self.threads = [threading.Thread(target=self.repeat, args=(what,),
                                         daemon=True)
                        for what in (self.read, self.edit, self.lock)]
        for t in self.threads:
            t.start()

    def repeat(self, what):
        while not self.over.is_set() and not self.wrong:
            try:
                what()
            except Exception as e:
                self.wrong.append(f"{what.__name__}: {e!r}")

    def read(self):
        db = open_db(self.db)
        db.execute("BEGIN")
        db.execute("SELECT max(id) FROM webhook").fetchone()
        self.over.wait(random.random() / 5)
        db.execute("SELECT state, count(*) FROM outbox GROUP BY state "
                   ).fetchall()
        db.close()
        self.reads += 1

    def edit(self):
        shell_ok(self.db, "INSERT INTO workspace_map (project_slug, "
                 f"workspace_id) VALUES ('other-{self.edits}', 'w'); "
                 "UPDATE workspace_map SET note = 'seen' WHERE note IS "
                 f"NULL; DELETE FROM workspace_map WHERE project_slug = "
                 f"'other-{self.edits - 20}'")
        self.edits += 1
        self.over.wait(random.random() / 10)

    def lock(self):
        lock = WriteLock(self.db)
        self.over.wait(random.random() / 2)
        lock.release()
        self.locks += 1
        self.over.wait(random.random() * 2)

    def stop(self):
        self.over.set()
        for t in self.threads:
            t.join()
        print(f"# {self.reads} reads, {self.edits} edits, {self.locks} locks",
              flush=True)
        equal(self.wrong, [])


def kept(w):
    """How many hooks, about: in the database, or in the spool."""
    return w.value("SELECT ifnull(max(id), 0) FROM webhook") + len(w.spooled())


@tap.test(f"killed -9 {KILLS} times amid load, a deliverer, a reader, edits "
          "by a shell and locks: none is lost or doubled, the database is "
          "sound")
@on_site
def kills_amid_everything(site, w):
    delivers = start_printing(w.db)
    others = Others(w.db)
    load = site.hammer(clients=16)
    for n in range(KILLS):
        before = kept(w)
        until(lambda: kept(w) > before + 10 or others.wrong,
              "no hook comes in")
        time.sleep(random.random() / 20)        # anywhere in a batch
        w.kill()
        if n % 10 == 9:
            delivers.kill()
            finish_process(delivers)
            delivers = start_printing(w.db)
        w.start()
    figures = load.result()
    others.stop()
    until(w.spool_is_empty, f"{len(w.spooled())} files")
    until(lambda: w.value("SELECT count(*) FROM outbox WHERE state <> "
                          "'delivered'") == 0, "not all is delivered")
    w.kill()
    delivers.kill()
    finish_process(delivers)
    found = [row[0].removeprefix("error:")
             for row in w.rows("SELECT source_id FROM outbox")]
    lost = set(load.ids()) - set(found)
    print_fault(f"kill -9, {KILLS} times amid all others",
                int(figures["sent"]), len(load.ids()),
                len(load.ids()) - len(lost), len(found) - len(set(found)))
    equal((sorted(lost)[:3], len(found)), ([], len(set(found))))
    equal(w.hook_count(), len(found))
    equal(w.value("PRAGMA integrity_check"), "ok")
    w.start()


# ---- an allocation that fails --------------------------------------------

def json_c_looks():
    """Whether json-c checks its own allocations (0.17 and later do)."""
    try:
        library = ctypes.CDLL("libjson-c.so.5")
    except OSError:
        return False
    return library.json_c_version_num() >= 0x1100


def counts_lines():
    with open(PROGRAM, "rb") as f:
        return b"__gcov_" in f.read()


ANSWERS = [(200, RECEIVED),
           (500, b'{"error":"Internal server error"}'),
           (500, b'{"error":"Webhook secret not configured"}')]


class OneRequest:
    """The program as CGI: one request, one process."""

    def __init__(self, name, *options):
        self.folder = Scratch.new("memory")
        self.db = os.path.join(self.folder, "outbox.db")
        self.count = os.path.join(self.folder, "count")
        self.argv = [PROGRAM, "--db", self.db, "--commit-wait", "100",
                     "--secret-file", write_file(os.path.join(
                         self.folder, "secret"), SECRET, 0o600), *options]
        self.ledger = Ledger(name)
        self.preload = need_shim()

    def run(self, fail_at, all_from_there=False, **more):
        """One hook; the number of allocations, and the answer or None."""
        body = issue(**more)
        raw = compact(body)
        env = post_params(
            raw, signed(raw), LD_PRELOAD=self.preload, SHIM_COUNT=self.count,
            SHIM_FAIL_AT=str(fail_at))
        if json_c_looks():
            env["SHIM_JSON"] = "1"
        if all_from_there:
            env["SHIM_FAIL_ALL"] = "1"
        done = subprocess.run(self.argv, input=raw, capture_output=True,
                              env=clean_environment(env), timeout=LIMIT)
        what = f"at {fail_at}: {done.stderr.decode()[-1500:]}"
        assert done.returncode in (0, 1), f"{done.returncode} {what}"
        answer = cgi_answer(done.stdout) if done.stdout else None
        if answer:
            assert (answer.status, answer.body) in ANSWERS, what
        self.ledger.add("issue:" + body["data"]["issue"]["id"],
                       answer and answer.status)
        with open(self.count) as f:
            return int(f.read()), answer


@tap.table("{} fails: answered as documented, kept if 200, no crash", [
    ("each allocation in turn", False, ()),
    ("each allocation and all after it", True, ()),
    ("each allocation in turn, with --redact", False, ("--redact",)),
])
def failed_allocation_or_call(name, all_from_there, options):
    if counts_lines():
        raise Skip("libgcov needs memory at the end")
    one = OneRequest("out of memory, " + name, *options)
    for _ in range(2):                  # the first makes the database
        total, answer = one.run(0)
        equal(answer.status, 200)
    map_everything(one.db)
    print(f"# {total} allocations", flush=True)
    step = 1 if FULL else total // 60 + 1
    begin = time.monotonic()
    for n in range(1, total + 1, step):
        one.run(n, all_from_there)
    print(f"# {time.monotonic() - begin:.0f} s", flush=True)
    equal(one.run(0)[1].status, 200)
    ledger = one.ledger
    assert ledger.refused and len(ledger.ids) >= 3, ledger.refused
    w = Worker(*options, db=one.db)
    w.spool = one.db + "-spool"
    ledger.close(w)
    equal(w.stop(), 0)


tap.run()
