#!/usr/bin/env python3
"""The process that ends anywhere: kill -9 at each system call between accept
and answer, and a thousand times amid all who use the database at once; an
allocation that fails, each one in turn. RUNTESTS_FULL=1 for every call, every
kill and every allocation; else a choice of them."""
import ctypes
import os
import random
import re
import select
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
import faults
import harness as h
from faults import (Books, Strace, held, hooks, need_strace,
                    post, spool_is_empty)
from harness import equal, signed, until

h.need_program()
tap = h.Tap()
MOST = 60           # calls of one name that a hook may need
KILLS = 1000 if h.FULL else 10


# ---- kill -9 at each system call -----------------------------------------

class Site:
    """A worker of one thread, whose calls come in the same order each time,
    on a socket that outlives it."""

    def __init__(self, *options):
        self.folder = h.Scratch.new("crash")
        self.listen = h.listening_socket(os.path.join(self.folder, "s"))
        self.worker = h.Worker("--threads", "1", "--commit-wait", "100",
                               *options, folder=self.folder,
                               listen=self.listen)
        h.map_everything(self.worker.db)

    def close(self):
        equal(self.worker.stop(), 0, "exit status")
        self.listen.close()


def send(w):
    """A hook that is on its way: its id, and the connection."""
    body = h.issue()
    raw = h.compact(body)
    values = h.params("POST", h.PATH, {
        "CONTENT_LENGTH": str(len(raw)), **dict(h.cgi_names(signed(raw)))})
    s = h.connect(w.socket)
    try:
        s.sendall(h.fcgi_request(values, raw))
    except OSError:
        pass                            # died while it was read
    return "issue:" + body["data"]["issue"]["id"], s


def receive(s):
    """The answer's status; None if there is none."""
    with s:
        try:
            return h.fcgi_answer(h.read_all(s)).status
        except OSError:
            return None


def calls_of(w, act):
    """The names of the system calls that the worker makes for it."""
    trace = Strace(w)
    act()
    trace.stop()
    calls = {m[1] for m in (re.match(r"\d+ +(\w+)\(", line)
                            for line in trace.lines()) if m}
    # What a thread is blocked in when nothing happens is not of the hook.
    return sorted(calls - {"restart_syscall", "rt_sigtimedwait",
                           "exit", "exit_group"})


def is_dead(w):
    """One that is about to die answers nothing."""
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
        h.finish(w.process)
        w.start()
    w.expected = False
    return died, done


def matrix(w, calls, act, each=lambda done: None):
    """Kills at every call, 1st, 2nd, ... until the act is done first. The
    short form takes the first of each."""
    points = 0
    for call in calls:
        for n in range(1, MOST if h.FULL else 2):
            died, done = killed_at(w, call, n, act)
            each(done)
            if not died:
                break
            points += 1
        else:
            assert not h.FULL, f"{call} has no end"
    print(f"# {points} points in {len(calls)} calls: {' '.join(calls)}",
          flush=True)
    return points


def one_hook(w):
    """Sends a hook and waits until it is answered or the worker has died."""
    def act(dead):
        id, s = send(w)
        while not dead() and not select.select([s], [], [], 0.005)[0]:
            pass
        return id, s
    return act


def crash_matrix(name, w, least):
    """Over one hook each; those without an answer are never sent again."""
    books = Books(name)
    calls = calls_of(w, lambda: books.post(w))
    points = matrix(w, calls, one_hook(w),
                    lambda done: books.add(done[0], receive(done[1])))
    assert points >= least, points
    return books


@tap.test("killed at each call from accept to answer: a 200 is kept once")
def kill_at_each_call_of_a_request():
    need_strace()
    site = Site()
    w = site.worker
    post(w)
    before = hooks(w)
    books = crash_matrix("kill -9 at each call, database", w, 10)
    # One that was committed but not answered is kept too, once.
    assert before + len(books.ids) <= hooks(w) <= before + books.sent
    books.close(w)
    site.close()


@tap.test("killed at each call on the way to the spool: the same")
def kill_at_each_call_of_spooling():
    need_strace()
    site = Site()
    w = site.worker
    shell = held(w)
    post(w)
    books = crash_matrix("kill -9 at each call, spool", w, 10)
    equal(hooks(w), 0)
    shell.execute("ROLLBACK")
    shell.close()
    books.close(w)
    site.close()


@tap.test("killed at each call while the spool is brought in: the same")
def kill_at_each_call_of_draining():
    need_strace()
    site = Site()
    w = site.worker
    books = Books("kill -9 at each call, spool to database")
    # What is brought in can only be killed while there is some: anew for
    # each point.

    def act(dead):
        shell = held(w)
        try:
            until(lambda: dead() or books.post(w) is None or
                  not spool_is_empty(w))
        finally:
            shell.execute("ROLLBACK")
            shell.close()
        until(lambda: dead() or spool_is_empty(w))
    calls = calls_of(w, lambda: act(lambda: False))
    steps = ["fdatasync", "pread64", "pwrite64", "renameat2", "unlinkat"]
    assert set(steps) <= set(calls), calls
    assert matrix(w, calls if h.FULL else steps, act) >= len(steps)
    books.close(w)
    site.close()


# ---- kill -9 amid all others ----------------------------------------------

class Others:
    """Who else uses the database meanwhile, in threads: a reader that comes
    and goes, a person at the shell who edits the mapping, and somebody who
    locks it now and then, so that hooks go to the spool."""

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
        db = h.open_db(self.db)
        db.execute("BEGIN")
        db.execute("SELECT max(id) FROM webhook").fetchone()
        self.over.wait(random.random() / 5)
        db.execute("SELECT state, count(*) FROM outbox GROUP BY state "
                   ).fetchall()
        db.close()
        self.reads += 1

    def edit(self):
        h.shell_ok(self.db, "INSERT INTO workspace_map (project_slug, "
                   f"workspace_id) VALUES ('other-{self.edits}', 'w'); "
                   "UPDATE workspace_map SET note = 'seen' WHERE note IS "
                   f"NULL; DELETE FROM workspace_map WHERE project_slug = "
                   f"'other-{self.edits - 20}'")
        self.edits += 1
        self.over.wait(random.random() / 10)

    def lock(self):
        db = h.open_db(self.db, write=True)
        db.execute("BEGIN IMMEDIATE")
        self.over.wait(random.random() / 2)
        db.execute("ROLLBACK")
        db.close()
        self.locks += 1
        self.over.wait(random.random() * 2)

    def stop(self):
        self.over.set()
        for t in self.threads:
            t.join()
        print(f"# {self.reads} reads, {self.edits} edits, {self.locks} locks",
              flush=True)
        equal(self.wrong, [])


def deliverer(w):
    return h.start([os.path.join(h.BUILD, "sentry-deliver"), "--db", w.db,
                    "--to", "-"], stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, env=h.clean_environment())


def kept(w):
    """How many hooks, about: in the database, or in the spool."""
    return w.value("SELECT ifnull(max(id), 0) FROM webhook") + \
        len(w.spooled())


@tap.test(f"killed -9 {KILLS} times amid load, a deliverer, a reader, edits by "
          "a shell and locks: none is lost or doubled, the database is sound")
def kills_amid_everything():
    site = faults.Site()
    w = site.worker
    delivers = deliverer(w)
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
            h.finish(delivers)
            delivers = deliverer(w)
        w.start()
    figures = load.result()
    others.stop()
    until(lambda: spool_is_empty(w), f"{len(w.spooled())} files")
    until(lambda: w.value("SELECT count(*) FROM outbox WHERE state <> "
                          "'delivered'") == 0, "not all is delivered")
    w.kill()
    delivers.kill()
    h.finish(delivers)
    found = [row[0].removeprefix("error:")
             for row in w.rows("SELECT source_id FROM outbox")]
    lost = set(load.ids()) - set(found)
    faults.table_line(f"kill -9, {KILLS} times amid all others",
                      int(figures["sent"]), len(load.ids()),
                      len(load.ids()) - len(lost),
                      len(found) - len(set(found)))
    equal((sorted(lost)[:3], len(found)), ([], len(set(found))))
    equal(hooks(w), len(found))
    equal(w.value("PRAGMA integrity_check"), "ok")
    w.start()
    site.close()


# ---- an allocation that fails --------------------------------------------

def json_c_looks():
    """Whether json-c looks at its own allocations (0.17 and later)."""
    try:
        library = ctypes.CDLL("libjson-c.so.5")
    except OSError:
        return False
    return library.json_c_version_num() >= 0x1100


def shim():
    path = os.path.join(h.BUILD, "tests", "support",
                            "shim.so")
    if not os.path.exists(path):
        raise h.Skip("the shim is not built")
    if h.SLOW > 1:
        raise h.Skip("not under a tool that has an allocator of its own")
    return path


def counts_lines():
    with open(h.PROGRAM, "rb") as f:
        return b"__gcov_" in f.read()


ANSWERS = [(200, h.RECEIVED),
           (500, b'{"error":"Internal server error"}'),
           (500, b'{"error":"Webhook secret not configured"}')]


class OneRequest:
    """The program as CGI: one request, one process."""

    def __init__(self, name, *options):
        self.folder = h.Scratch.new("memory")
        self.db = os.path.join(self.folder, "outbox.db")
        self.count = os.path.join(self.folder, "count")
        self.argv = [h.PROGRAM, "--db", self.db, "--commit-wait", "100",
                     "--secret-file", h.write(os.path.join(
                         self.folder, "secret"), h.SECRET, 0o600), *options]
        self.books = Books(name)
        self.preload = shim()

    def run(self, fail_at, all_from_there=False, **more):
        """One hook; the number of allocations, and the answer or None."""
        body = h.issue(**more)
        raw = h.compact(body)
        env = h.params("POST", h.PATH, {
            "CONTENT_LENGTH": str(len(raw)), "LD_PRELOAD": self.preload,
            "SHIM_COUNT": self.count, "SHIM_FAIL_AT": str(fail_at),
            **dict(h.cgi_names(signed(raw)))})
        if json_c_looks():
            env["SHIM_JSON"] = "1"
        if all_from_there:
            env["SHIM_FAIL_ALL"] = "1"
        done = subprocess.run(self.argv, input=raw, capture_output=True,
                              env=h.clean_environment(env), timeout=h.LIMIT)
        what = f"at {fail_at}: {done.stderr.decode()[-1500:]}"
        assert done.returncode in (0, 1), f"{done.returncode} {what}"
        answer = h.cgi_answer(done.stdout) if done.stdout else None
        if answer:
            assert (answer.status, answer.body) in ANSWERS, what
        self.books.add("issue:" + body["data"]["issue"]["id"],
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
        raise h.Skip("libgcov needs memory at the end")
    one = OneRequest("out of memory, " + name, *options)
    for _ in range(2):                  # the first makes the database
        total, answer = one.run(0)
        equal(answer.status, 200)
    h.map_everything(one.db)
    print(f"# {total} allocations", flush=True)
    step = 1 if h.FULL else total // 60 + 1
    begin = time.monotonic()
    for n in range(1, total + 1, step):
        one.run(n, all_from_there)
    print(f"# {time.monotonic() - begin:.0f} s", flush=True)
    equal(one.run(0)[1].status, 200)
    books = one.books
    assert books.refused and len(books.ids) >= 3, books.refused
    w = h.Worker(*options, db=one.db)
    w.spool = one.db + "-spool"
    books.close(w)
    equal(w.stop(), 0)


tap.run()
