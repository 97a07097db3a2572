#!/usr/bin/env python3
"""What must hold while things break: kill -9, restarts, a locked database,
a database or a spool that cannot be used. RUNTESTS_FULL=1 for the long
forms. Every hook that was answered 200 is there, once."""
import json
import os
import shutil
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
import harness as h  # noqa: E402
from harness import equal, signed, until  # noqa: E402

h.need_program()
tap = h.Tap()
KILLS = 20 if h.FULL else 3
LOCK_SECONDS = 30 if h.FULL else 2
LOAD_SECONDS = 60 if h.FULL else 2
DRAIN_SECONDS = 120 if h.FULL else 30
SECOND_MS = 1000 * h.SLOW       # Sentry's second


class Site:
    """nginx, an inherited socket, and a worker with everything mapped."""

    def __init__(self, *options):
        self.folder = h.Scratch.new("site")
        self.listen = h.listening_socket(os.path.join(self.folder, "s"))
        self.worker = h.Worker(*options, folder=self.folder,
                               listen=self.listen)
        h.map_everything(self.worker.db)
        self.nginx = h.Nginx(self.listen.getsockname())

    def hammer(self, seconds, **more):
        return h.Hammer(self.nginx.port, seconds, **more)

    def close(self):
        equal(self.worker.stop(), 0, "exit status")
        assert os.path.exists(self.worker.socket), "the socket is gone"
        self.nginx.stop()
        self.listen.close()


def hooks(w):
    return w.value("SELECT count(*) FROM webhook")


def kept_once(w, ids, exactly=False):
    """Every id is in webhook and in outbox once, nothing else waits."""
    until(lambda: spool_is_empty(w), DRAIN_SECONDS,
          f"{len(w.spooled())} files in the spool")
    found = {}
    for source, hook, state in w.rows(
            "SELECT source_id, webhook_id, state FROM outbox"):
        found.setdefault(source.removeprefix("error:"), []).append(hook)
        equal(state, "pending", source)
    lost = [i for i in ids if i not in found]
    assert not lost, f"{len(lost)} of {len(ids)} lost: {lost[:3]}"
    twice = [i for i, n in found.items() if len(n) != 1]
    assert not twice, f"{len(twice)} doubled: {twice[:3]}"
    equal(len({n[0] for n in found.values()}), len(found))
    equal(hooks(w), len(found), "webhook rows")
    if exactly:
        equal(len(found), len(set(ids)), "rows")
    equal(w.value("SELECT count(*) FROM webhook WHERE seen <> 1"), 0)
    equal(w.value("PRAGMA integrity_check"), "ok")


def spool_is_empty(w):
    """Nothing waits there. What a kill left half written (.tmp) was
    answered to nobody, and is swept later."""
    return not [name for name in w.spooled() if not name.endswith(".tmp")]


def no_answer_but_200(figures):
    equal((figures["status_other"], figures["broken"]), (0, 0), figures)
    assert figures["ok"] > 0


def ready(w):
    answer = w.get(h.PATH + "/ready")
    assert answer.status in (200, 503), answer
    json.loads(answer.body)
    return answer


def post(w, body=None):
    raw = h.compact(body or h.issue())
    return w.post(raw, signed(raw)), raw


# ---- an answer means stored ----------------------------------------------

def calls_before_answer(w, trace):
    """The system calls of one post, in order, up to its answer."""
    begin = len(open(trace).readlines())
    answer, _ = post(w)
    equal((answer.status, answer.body), (200, h.RECEIVED))

    def lines():
        return open(trace).readlines()[begin:]
    until(lambda: any("received" in line for line in lines()), 10,
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
def _():
    works = shutil.which("strace") and not h.WRAPPER and subprocess.run(
        ["strace", "-o", os.devnull, "true"], check=False,
        stderr=subprocess.DEVNULL).returncode == 0
    if not works or h.SLOW > 1:
        raise h.Skip("no strace that works here")
    folder = h.Scratch.new("trace")
    trace = os.path.join(folder, "trace")
    w = h.Worker(folder=folder, wait=False)
    tracer = h.start(["strace", "-f", "-y", "-s", "4096", "-o", trace, "-e",
                      "trace=pwrite64,write,fsync,fdatasync,renameat,"
                      "renameat2,rename,sendto", "-p", str(w.process.pid)],
                     stderr=subprocess.DEVNULL)
    until(w.answers, 10)
    until(lambda: os.path.exists(trace), 10, "strace does not start")
    post(w)                                     # opens what is opened late
    order(calls_before_answer(w, trace),
          ("pwrite64", "outbox.db-wal"), ("fdatasync", "outbox.db-wal"))
    shell = held(w)
    os.rmdir(w.spool)           # made anew, and that synced too
    order(calls_before_answer(w, trace),
          ("fsync", folder + ">"), ("write(", "outbox.db-spool"), ("sync(", "outbox.db-spool/"),
          ("rename", ".hook"), ("fsync", "outbox.db-spool>"))
    shell.execute("ROLLBACK")
    shell.close()
    equal(w.stop(), 0, "exit status")
    h.finish(tracer)


# ---- load ----------------------------------------------------------------

@tap.test(f"64 clients for {LOAD_SECONDS} s: all 200, every hook one row")
def _():
    site = Site()
    load = site.hammer(LOAD_SECONDS)
    figures = load.result()
    no_answer_but_200(figures)
    equal(len(load.ids()), figures["ok"])
    # Checkpoints keep up: a WAL that only grows would be hundreds of MB.
    wal = os.path.getsize(site.worker.db + "-wal")
    assert wal < 24 << 20, f"the WAL has {wal} bytes"
    kept_once(site.worker, load.ids(), exactly=True)
    site.close()


@tap.test("a reader that holds a snapshot does not stop intake")
def _():
    site = Site()
    reader = h.open_db(site.worker.db)
    reader.execute("BEGIN")
    equal(reader.execute("SELECT count(*) FROM webhook").fetchone()[0], 0)
    load = site.hammer(2)
    figures = load.result()
    no_answer_but_200(figures)
    assert figures["max_ms"] < SECOND_MS, figures
    equal(reader.execute("SELECT count(*) FROM webhook").fetchone()[0], 0)
    reader.execute("COMMIT")
    reader.close()
    kept_once(site.worker, load.ids(), exactly=True)
    site.close()


@tap.test("edits of the map under load are neither refused nor in the way")
def _():
    site = Site()
    load = site.hammer(2)
    edits = 0
    while load.running() and edits < 500:
        h.shell_ok(site.worker.db, "PRAGMA wal_autocheckpoint=0; INSERT "
                   "INTO workspace_map (project_slug, workspace_id) VALUES "
                   f"('shop-{edits}', 'w'); UPDATE workspace_map SET note ="
                   f" '{edits}'")
        edits += 1
    assert edits > 1
    figures = load.result()
    no_answer_but_200(figures)
    assert figures["max_ms"] < SECOND_MS, figures
    kept_once(site.worker, load.ids(), exactly=True)
    site.close()


# ---- kill -9 and restarts ------------------------------------------------

@tap.test(f"killed -9 {KILLS} times under load: every 200 is kept once")
def _():
    site = Site()
    w = site.worker
    load = site.hammer(KILLS * h.SLOW + 1)
    for _ in range(KILLS):
        before = hooks(w)
        until(lambda: hooks(w) >= before + 300, 20, "no hook comes in")
        w.kill()
        w.start()
    assert load.running(), "the load ended before the last kill"
    figures = load.result()
    assert figures["ok"] > 300 * KILLS, figures
    equal(len(load.ids()), figures["ok"])
    w.kill()
    w.start()
    kept_once(w, load.ids())
    site.close()


class Loads:
    """One load after the other, for as long as it takes."""

    def __init__(self, site):
        self.site, self.done = site, []
        self.now = site.hammer(3 * h.SLOW)

    def on(self):
        if not self.now.running():
            self.stop()
            self.now = self.site.hammer(3 * h.SLOW)
        return True

    def stop(self):
        assert self.now.result()["ok"] > 0
        self.done += self.now.ids()


@tap.test("killed -9 under load while the database is locked: the same")
def _():
    site = Site()
    w = site.worker
    loads = Loads(site)
    for _ in range(10 if h.FULL else 2):
        shell = held(w)
        before = len(w.spooled())
        until(lambda: loads.on() and len(w.spooled()) > before + 50, 10,
              "nothing is spooled")
        w.kill()
        w.start()
        shell.execute("ROLLBACK")
        shell.close()
        rows = hooks(w)
        until(lambda: loads.on() and hooks(w) > rows, 10,
              "nothing is brought in")
    loads.stop()
    w.kill()
    w.start()
    kept_once(w, loads.done)
    site.close()


@tap.test("SIGTERM under load and a new worker: no answer but 200")
def _():
    site = Site()
    w = site.worker
    rounds = 10 if h.FULL else 3
    load = site.hammer(rounds * h.SLOW)
    for _ in range(rounds):
        before = hooks(w)
        until(lambda: hooks(w) >= before + 200, 20, "no hook comes in")
        equal(w.stop(), 0, "exit status")
        w.start(wait=False)
    figures = load.result()
    no_answer_but_200(figures)
    kept_once(w, load.ids(), exactly=True)
    site.close()


@tap.test("SIGTERM amid a slow request lets it end, and is done in 10 s")
def _():
    site = Site()
    w = site.worker
    body = h.compact(h.issue())
    data = h.fcgi_request(h.params("POST", h.PATH, {
        "CONTENT_LENGTH": str(len(body)),
        **dict(h.cgi_names(signed(body)))}), body)
    with h.connect(w.socket) as s:
        s.sendall(data[:-200])
        equal(w.get().status, 200)      # so the thread has begun on it
        w.expected = True
        w.process.terminate()
        s.sendall(data[-200:])
        answer = h.fcgi_answer(h.read_all(s))
    equal(answer.status, 200, answer)
    equal(h.finish(w.process, 10), 0)
    equal(hooks(w), 1)
    w.start()
    site.close()


@tap.test("SIGTERM with silent peers is done within 10 s")
def _():
    site = Site()
    silent = [h.connect(site.worker.socket) for _ in range(20)]
    for s in silent[:10]:
        s.sendall(h.begin())
    start = time.monotonic()
    equal(site.worker.stop(), 0)
    assert time.monotonic() - start < 10 * h.SLOW
    for s in silent:
        s.close()
    site.worker.start()
    site.close()


# ---- a locked database ---------------------------------------------------

@tap.test(f"BEGIN IMMEDIATE for {LOCK_SECONDS} s under load: all 200 in 1 s")
def _():
    site = Site()
    w = site.worker
    load = site.hammer(LOCK_SECONDS * h.SLOW + 1)
    until(lambda: hooks(w) > 100)
    shell = h.open_db(w.db, write=True)
    shell.execute("BEGIN IMMEDIATE")
    before = hooks(w)
    time.sleep(LOCK_SECONDS * h.SLOW)       # the lock's length, not luck
    assert w.spooled(), "nothing is spooled"
    equal(hooks(w), before)
    shell.execute("ROLLBACK")
    shell.close()
    figures = load.result()
    no_answer_but_200(figures)
    assert figures["max_ms"] < SECOND_MS, figures
    assert figures["p50_ms"] < 400 * h.SLOW, f"each waits: {figures}"
    kept_once(w, load.ids(), exactly=True)
    equal(w.spooled(), [])
    equal(ready(w).status, 200)
    site.close()


def held(w):
    shell = h.open_db(w.db, write=True)
    shell.execute("BEGIN IMMEDIATE")
    return shell


@tap.test("spooled hooks survive kill -9, come in once, and in order")
def _():
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
    until(lambda: hooks(w) == len(sent), DRAIN_SECONDS)
    equal([r[0] for r in w.rows("SELECT source_id FROM outbox ORDER BY id")],
          sent)
    until(lambda: spool_is_empty(w), 5)
    equal(w.value("SELECT count(*) FROM webhook WHERE seen <> 1"), 0)
    site.close()


@tap.test("a delivery sent twice while spooled is one row, seen 2")
def _():
    site = Site()
    w = site.worker
    shell = held(w)
    raw = h.compact(h.issue("resolved"))
    headers = signed(raw)
    for _ in range(2):
        equal(w.post(raw, headers).status, 200)
    shell.execute("ROLLBACK")
    equal(w.post(raw, headers).status, 200)
    until(lambda: hooks(w) == 1 and spool_is_empty(w))
    until(lambda: w.value("SELECT seen FROM webhook") == 3, 5)
    equal(w.value("SELECT count(*) FROM outbox"), 1)
    shell.close()
    site.close()


@tap.test("an unreadable hook under a lock is answered 400 and kept")
def _():
    site = Site()
    w = site.worker
    shell = held(w)
    equal(w.post(b"[]", signed(b"[]")).status, 400)
    shell.execute("ROLLBACK")
    shell.close()
    until(lambda: hooks(w) == 1, 10)
    equal(w.value("SELECT outcome FROM webhook"), "unreadable")
    site.close()


@tap.test("under a lock a release learned is there for a later issue hook")
def _():
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
    until(lambda: hooks(w) == 2, 10)
    equal(w.value("SELECT release FROM outbox WHERE source_type = "
                  "'issue.resolved'"), "shop@5")
    site.close()


@tap.test("a worker that starts on a locked database serves at once")
def _():
    site = Site()
    w = site.worker
    equal(w.stop(), 0)
    shell = held(w)
    w.start()
    answer, _ = post(w)
    equal(answer.status, 200)
    shell.execute("ROLLBACK")
    shell.close()
    until(lambda: hooks(w) == 1, 10)
    site.close()


@tap.test("a body of 8 MB is spooled and brought in to the byte")
def _():
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
    until(lambda: hooks(w) == 1, 10)
    equal(w.value("SELECT body FROM webhook"), raw)
    site.close()


# ---- a spool with things in it that are no hooks --------------------------

@tap.test("strange files in the spool harm nobody, and good ones come in")
def _():
    site = Site()
    w = site.worker
    shell = held(w)
    for _ in range(5):
        equal(post(w)[0].status, 200)
    names = w.spooled()
    w.kill()
    shell.execute("ROLLBACK")
    shell.close()
    first = os.path.join(w.spool, names[0])
    with open(first, "rb") as f:
        good = f.read()
    for n, content in enumerate((b"", b"\0" * 100, good[:-1], good[:9],
                                 good + b"x", os.urandom(5000))):
        h.write(f"{first}.{n}", content)
        h.write(os.path.join(w.spool, f"strange-{n}"), content)
        h.write(os.path.join(w.spool, "0" * (n + 1)), content)
    os.mkdir(os.path.join(w.spool, "folder"))
    os.symlink("/no/such", os.path.join(w.spool, "link"))
    w.start()
    until(lambda: hooks(w) >= 5, 10)
    answer, _ = post(w)
    equal(answer.status, 200)
    until(lambda: hooks(w) == 6, 10, "good hooks do not come in")
    equal(w.value("PRAGMA integrity_check"), "ok")
    shutil.rmtree(w.spool)
    w.kill()
    w.start()
    site.close()


# ---- databases and spools that cannot be used -----------------------------

def spools_until(w, repair, total=3):
    """Hooks go to the spool, /ready says why, repair() makes it all well."""
    for n in range(total):
        answer, _ = post(w)
        equal((answer.status, answer.body), (200, h.RECEIVED), n)
    assert w.spool_dir and os.listdir(w.spool_dir), "nothing is spooled"
    answer = ready(w)
    equal(answer.status, 503, answer)
    assert b"database" in answer.body, answer
    repair()
    until(lambda: os.path.exists(w.db) and count(w) == total, 15,
          f"the spooled hooks do not come in: {w.log()[-1500:]}")
    until(lambda: ready(w).status == 200, 10, "never ready again")
    equal(post(w)[0].status, 200)
    until(lambda: count(w) == total + 1)


def count(w):
    try:
        return hooks(w)
    except Exception:           # being repaired
        return -1


def broken_worker(db, **more):
    folder = h.Scratch.new("broken")
    spool = os.path.join(folder, "spool")
    w = h.Worker("--spool", spool, folder=folder, db=db, **more)
    w.spool_dir = spool
    return w


@tap.test("without the database's folder hooks wait in the spool")
def _():
    missing = os.path.join(h.Scratch.new("gone"), "not", "yet")
    w = broken_worker(os.path.join(missing, "o.db"))
    spools_until(w, lambda: os.makedirs(missing))
    equal(w.stop(), 0)


@tap.test("with garbage for a database hooks wait in the spool")
def _():
    db = os.path.join(h.Scratch.new("garbage"), "o.db")
    h.write(db, os.urandom(20000))
    before = open(db, "rb").read()

    def repair():
        equal(open(db, "rb").read(), before, "touched")
        os.rename(db, db + ".bad")
    spools_until(broken_worker(db), repair)


@tap.test("with a folder for a database hooks wait in the spool")
def _():
    db = os.path.join(h.Scratch.new("folder"), "o.db")
    os.mkdir(db)
    spools_until(broken_worker(db), lambda: os.rmdir(db))


@tap.test("with a read-only database hooks wait in the spool")
def _():
    if os.geteuid() == 0:
        raise h.Skip("root may write everything")
    folder = h.Scratch.new("readonly")
    db = os.path.join(folder, "o.db")
    h.Worker(db=db).stop()
    os.chmod(db, 0o444)
    os.chmod(folder, 0o555)

    def repair():
        os.chmod(folder, 0o755)
        os.chmod(db, 0o644)
    spools_until(broken_worker(db), repair)


def small_disk():
    """A file system of 2 MB, for those who may mount one."""
    folder = h.Scratch.new("disk")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none",
                           folder], capture_output=True)
    if done.returncode != 0:
        raise h.Skip("cannot mount a small disk")
    return folder


@tap.test("with a full disk hooks wait in the spool, and come in later")
def _():
    disk = small_disk()
    w = None
    try:
        w = broken_worker(os.path.join(disk, "o.db"))
        equal(post(w)[0].status, 200)
        with open(os.path.join(disk, "ballast"), "wb", 0) as f:
            try:
                while f.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        sent = 1
        for _ in range(60):             # the WAL may have room left
            equal(post(w, h.issue(padding="x" * 50000))[0].status, 200)
            sent += 1
        assert os.listdir(w.spool_dir), "nothing is spooled"
        os.unlink(os.path.join(disk, "ballast"))
        subprocess.run(["mount", "-o", "remount,size=64m", disk],
                       check=True)
        until(lambda: count(w) == sent, 15, "the hooks do not come in")
        equal(w.value("PRAGMA integrity_check"), "ok")
        until(lambda: ready(w).status == 200)
        equal(w.stop(), 0)
    finally:
        if w:
            w.stop()
        subprocess.run(["umount", disk], check=True)


@tap.test("with neither database nor spool a hook is answered 500")
def _():
    folder = h.Scratch.new("neither")
    db = os.path.join(folder, "missing", "o.db")
    spool = h.write(os.path.join(folder, "spool"), "a file in the way")
    w = h.Worker("--spool", spool, folder=folder, db=db)
    for _ in range(3):
        answer, _ = post(w)
        equal((answer.status, answer.body),
              (500, b'{"error":"Internal server error"}'))
        equal(answer.headers["content-type"], "application/json")
        equal(answer.headers["cache-control"], "no-store")
    answer = ready(w)
    equal(answer.status, 503)
    for word in (b"database", b"spool"):
        assert word in answer.body, answer
    equal(w.get().status, 200)
    equal(open(spool).read(), "a file in the way")
    os.unlink(spool)                    # the spool alone is enough
    until(lambda: post(w)[0].status == 200, 10, "the spool stays broken")
    os.makedirs(os.path.dirname(db))
    until(lambda: count(w) >= 1, 15)
    until(lambda: ready(w).status == 200, 10)
    equal(w.stop(), 0)


@tap.test("without a spool a hook is still stored in the database")
def _():
    folder = h.Scratch.new("nospool")
    spool = h.write(os.path.join(folder, "spool"), "a file in the way")
    w = h.Worker("--spool", spool, folder=folder)
    equal(post(w)[0].status, 200)
    equal(hooks(w), 1)
    shell = held(w)
    equal(post(w)[0].status, 500)
    shell.execute("ROLLBACK")
    shell.close()
    until(lambda: post(w)[0].status == 200, 10)
    equal(w.stop(), 0)


@tap.test("30 hooks at once while locked are all answered within 1 s")
def _():
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
    for t in crowd:
        t.start()
    for t in crowd:
        t.join()
    shell.execute("ROLLBACK")
    shell.close()
    equal(wrong, [])
    assert max(took) < h.SLOW, max(took)
    until(lambda: hooks(w) == 30, 10)
    site.close()


tap.run()
