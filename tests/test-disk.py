#!/usr/bin/env python3
"""The disk that fails: full, read-only, broken, with errors from the kernel;
a database that is moved, cut or overwritten; a spool full of strangers.
Root may see more of it."""
import os
import shutil
import sys
import time

sys.dont_write_bytecode = True
import faults  # noqa: E402
import harness as h  # noqa: E402
from faults import (Books, Disk, Site, Strace, held, hooks,  # noqa: E402
                    metric, need_strace, no_answer_but_200, post, ready,
                    spool_is_empty)
from harness import equal, until  # noqa: E402

h.need_program()
tap = h.Tap()


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
    until(lambda: hooks(w) >= 5)
    answer, _ = post(w)
    equal(answer.status, 200)
    until(lambda: hooks(w) == 6, "good hooks do not come in")
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
    assert os.listdir(w.spool), "nothing is spooled"
    answer = ready(w)
    equal(answer.status, 503, answer)
    assert b"database" in answer.body, answer
    repair()
    until(lambda: os.path.exists(w.db) and count(w) == total,
          f"the spooled hooks do not come in: {w.log()[-1500:]}")
    until(lambda: ready(w).status == 200, "never ready again")
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
    w = h.Worker(*h.BRIEF, "--spool", spool, folder=folder, db=db, **more)
    w.spool = spool
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


@tap.test("with neither database nor spool a hook is answered 500")
def _():
    folder = h.Scratch.new("neither")
    db = os.path.join(folder, "missing", "o.db")
    spool = h.write(os.path.join(folder, "spool"), "a file in the way")
    w = h.Worker(*h.BRIEF, "--spool", spool, folder=folder, db=db)
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
    until(lambda: post(w)[0].status == 200, "the spool stays broken")
    os.makedirs(os.path.dirname(db))
    until(lambda: count(w) >= 1)
    until(lambda: ready(w).status == 200)
    equal(w.stop(), 0)


@tap.test("without a spool a hook is still stored in the database")
def _():
    folder = h.Scratch.new("nospool")
    spool = h.write(os.path.join(folder, "spool"), "a file in the way")
    w = h.Worker(*h.BRIEF, "--spool", spool, folder=folder)
    equal(post(w)[0].status, 200)
    equal(hooks(w), 1)
    shell = held(w)
    equal(post(w)[0].status, 500)
    shell.execute("ROLLBACK")
    shell.close()
    until(lambda: post(w)[0].status == 200)
    equal(w.stop(), 0)


# ---- full disks ----------------------------------------------------------

BIG = "x" * 50000


def says(w, up, *words):
    """/ready and the metrics say what is wrong while it is. (Where small
    hooks still fit they may say in between that all is well.)"""
    def said():
        answer = ready(w)
        return answer.status == 503 and metric(w, "writer_up") == up and all(
            word.encode() in answer.body for word in words)
    until(said, f"/ready does not say {words}: {ready(w)}")


def well_again(w, books, count=3):
    """By itself, and everything spooled comes in."""
    until(lambda: ready(w).status == 200, f"not ready: {w.log()[-900:]}")
    until(lambda: spool_is_empty(w), "the spool stays full")
    for _ in range(count):
        equal(books.post(w), 200)
    equal(metric(w, "writer_up"), 1)


def on_disks(test):
    """Two small disks and a worker on them; both are gone afterwards."""
    def run():
        disks = [Disk(), Disk()]
        workers = []

        def start(db, spool):
            w = h.Worker(*h.BRIEF, "--spool",
                         os.path.join(disks[spool].folder, "sp"),
                         db=os.path.join(disks[db].folder, "o.db"))
            w.spool = os.path.join(disks[spool].folder, "sp")
            h.map_everything(w.db)
            workers.append(w)
            return w
        try:
            test(disks, start)
            for w in workers:
                equal(w.stop(), 0, "exit status")
        finally:
            for w in workers:
                w.stop()
            for disk in disks:
                disk.close()
    return run


@tap.test("the database's disk is full: all 200 by the spool, then room")
@on_disks
def _(disks, start):
    w = start(0, 1)
    disks[1].remount("size=64m")
    books = Books("full disk, database")
    equal(books.post(w), 200)
    disks[0].fill()
    for _ in range(60):                 # the WAL may have room left
        equal(books.post(w, padding=BIG), 200)
    assert w.spooled(), "nothing is spooled"
    says(w, 0, "disk-full")
    assert "event=database-fault fault=disk-full" in w.log()
    disks[0].empty()
    well_again(w, books)
    books.close(w, exactly=True)


@tap.test("the spool's disk is full: all 200 by the database, else 500")
@on_disks
def _(disks, start):
    w = start(0, 1)
    disks[0].remount("size=64m")
    books = Books("full disk, spool")
    disks[1].fill()
    for _ in range(10):
        equal(books.post(w, padding=BIG), 200)
    shell = held(w)
    for _ in range(5):
        equal(books.post(w, padding=BIG), 500)
    says(w, 0, '"spool":"disk-full"', '"writer":"busy"')
    equal(metric(w, "hooks_total", 'result="lost"'), 5)
    assert "status=500" in w.log() and "fault=disk-full" in w.log()
    disks[1].empty()
    equal(books.post(w, padding=BIG), 200)
    assert '"spool":"ok"'.encode() in ready(w).body
    shell.execute("ROLLBACK")
    shell.close()
    well_again(w, books)
    books.close(w, exactly=True)


@tap.test("both on one full disk: 500, nothing half kept, then room")
@on_disks
def _(disks, start):
    w = start(0, 0)
    books = Books("full disk, both")
    for _ in range(3):
        equal(books.post(w, padding=BIG), 200)
    disks[0].fill()
    got = [books.post(w, padding=BIG) for _ in range(60)]
    assert set(got) <= {200, 500} and got[-1] == 500, got
    says(w, 0, "disk-full")
    equal(metric(w, "hooks_total", 'result="lost"'), got.count(500))
    assert not [n for n in w.spooled() if n.endswith(".tmp")], w.spooled()
    disks[0].empty()
    well_again(w, books)
    books.close(w)


@tap.test("a disk that fills up and empties under load: no 200 is lost")
@on_disks
def _(disks, start):
    w = start(0, 1)
    disks[0].remount("size=48m")
    disks[1].remount("size=256m")
    w.stop()
    site = Site("--spool", w.spool, db=w.db)
    site.worker.spool = w.spool
    books = Books("full disk under load")
    load = site.hammer()
    for _ in range(5):                  # more would not fit
        disks[0].fill()
        time.sleep(0.3)                 # the fault's length, not luck
        until(lambda: "fault=disk-full" in site.worker.log())
        os.unlink(disks[0].ballast)
        before = hooks(site.worker)
        until(lambda: hooks(site.worker) > before, "no hook comes in")
    disks[0].remount("size=512m")
    figures = books.load(load)
    no_answer_but_200(figures)
    well_again(site.worker, books)
    books.close(site.worker, exactly=True)
    site.close()


@tap.test("a database on a disk mounted read-only: the spool, until it is rw")
@on_disks
def _(disks, start):
    w = start(0, 1)
    equal(w.stop(), 0)
    disks[0].remount("ro")
    w.start()
    books = Books("read-only database")
    for _ in range(10):
        equal(books.post(w), 200)
    equal(len(w.spooled()), 10)
    says(w, 0, '"writer":"permission-denied"')
    disks[0].remount("rw")
    well_again(w, books)
    books.close(w, exactly=True)


# ---- errors from the kernel ----------------------------------------------

WAL = "outbox.db-wal"


def by_database(name, inject, path, words):
    """The database's calls fail: the spool takes all, and says why."""
    site = Site()
    w = site.worker
    books = Books(name)
    for _ in range(3):
        equal(books.post(w), 200)
    trace = Strace(w, inject, path=os.path.join(w.folder, path))
    for _ in range(10):
        equal(books.post(w, padding=BIG), 200)
    says(w, 0, words)
    assert f"event=database-fault fault={words}" in w.log()
    trace.stop()
    well_again(w, books)
    assert "event=database-recovered" in w.log()
    books.close(w, exactly=True)
    site.close()


def by_spool(name, inject, path, words):
    """The database is locked, and the spool's calls fail: 500."""
    site = Site()
    w = site.worker
    books = Books(name)
    shell = held(w)
    for _ in range(3):
        equal(books.post(w), 200)
    trace = Strace(w, inject, path=path and os.path.join(w.folder, path))
    for _ in range(5):
        equal(books.post(w), 500)
    if words:                           # what /ready can find out
        says(w, 0, f'"spool":"{words}"')
    equal(metric(w, "hooks_total", 'result="lost"'), 5)
    trace.stop()
    equal(books.post(w), 200)
    shell.execute("ROLLBACK")
    shell.close()
    well_again(w, books)
    books.close(w)
    site.close()


@tap.table("{} fails: hooks are kept or refused, and it recovers", [
    ("fdatasync of the WAL", by_database, "fdatasync:error=EIO", WAL,
     "io-error"),
    ("write to the WAL", by_database, "pwrite64:error=EIO", WAL,
     "io-error"),
    ("write to the WAL without space", by_database, "pwrite64:error=ENOSPC",
     WAL, "disk-full"),
    ("write to the WAL, read-only now", by_database, "pwrite64:error=EROFS",
     WAL, "io-error"),
    ("sync of a spooled file", by_spool, "fsync:error=EIO", None,
     "io-error"),
    ("sync of the spool's folder", by_spool, "fsync:error=EIO",
     "outbox.db-spool", "io-error"),
    ("opening a file in the spool", by_spool, "openat:error=EACCES",
     "outbox.db-spool", "permission-denied"),
    ("writing a file in the spool", by_spool, "write:error=ENOSPC", None,
     "disk-full"),
    ("renaming a file in the spool", by_spool, "renameat2:error=EIO", None,
     None),
])
def _(name, how, inject, path, words):
    need_strace()
    how(name + " fails", inject, path, words)


@tap.test("after a failed sync the WAL is emptied before any 200 by it")
def _():
    need_strace()
    w = h.Worker(*h.BRIEF)
    h.map_everything(w.db)
    books = Books("fdatasync fails once")
    equal(books.post(w), 200)
    trace = Strace(w, "fdatasync:error=EIO:when=1", path=w.db + "-wal",
                   calls=["openat", "pwrite64", "fsync"])
    for _ in range(4):                  # the others wait in the spool
        equal(books.post(w), 200)
    until(lambda: hooks(w) == 5 and spool_is_empty(w))
    trace.stop()
    lines = trace.lines()
    at = [n for n, line in enumerate(lines) if "INJECTED" in line]
    equal(len(at), 1, lines)
    after = [line for line in lines[at[0] + 1:] if "INJECTED" not in line]
    assert "openat(" in after[0], f"not opened anew: {after}"
    # Checkpointing syncs the WAL first; only then is it written to.
    calls = [line.split("(")[0].split()[-1] for line in after]
    assert calls.index("fdatasync") < calls.index("pwrite64"), calls
    books.close(w, exactly=True)
    equal(w.stop(), 0)


@tap.test("checkpoints that fail are said, and hooks go to the spool")
def _():
    need_strace()
    site = Site()
    w = site.worker
    books = Books("checkpoint fails")
    trace = Strace(w, "pwrite64:error=EIO", path=w.db)
    for _ in range(120):
        equal(books.post(w, padding=BIG), 200)
    says(w, 0, "io-error")
    assert w.spooled(), "nothing is spooled"
    trace.stop()
    well_again(w, books)
    books.close(w, exactly=True)
    site.close()


# ---- a database that is not what it was ----------------------------------

def account(books, *paths):
    """None of the answered is missing in all these together, or doubled in
    one. (One that was spooled because its commit took too long may be in the
    old and in the new: with the same event id.)"""
    found, doubled = set(), 0
    for path in paths:
        ids = [row[0].removeprefix("error:") for row in
               h.rows(path, "SELECT source_id FROM outbox")]
        found |= set(ids)
        doubled += len(ids) - len(set(ids))
    lost = [i for i in books.ids if i not in found]
    faults.table_line(books.name, books.sent, len(books.ids),
                      len(books.ids) - len(lost), doubled)
    equal((lost[:3], doubled), ([], 0), f"{len(lost)} lost")
    for path in paths:
        equal(h.rows(path, "PRAGMA integrity_check")[0][0], "ok", path)


@tap.test("a database moved away under load: its WAL goes with it")
def _():
    site = Site()
    w = site.worker
    books = Books("database moved away under load")
    load = site.hammer()
    old = []
    for n in range(3):
        before = hooks(w)
        until(lambda: hooks(w) > before + 100, "no hook comes in")
        old.append(f"{w.db}.{n}")
        os.rename(w.db, old[-1])
        until(lambda: os.path.exists(w.db) and count(w) > 50,
              f"no new one: {w.log()[-900:]}")
    no_answer_but_200(books.load(load))
    until(lambda: spool_is_empty(w))
    assert "fault=file-replaced" in w.log()
    account(books, w.db, *old)
    site.close()


@tap.test("a database replaced by another one under load: both are whole")
def _():
    other = h.Worker()
    other_books = Books("database replaced under load")
    for _ in range(20):
        equal(other_books.post(other), 200)
    equal(other.stop(), 0)
    site = Site()
    w = site.worker
    load = site.hammer()
    until(lambda: hooks(w) > 300, "no hook comes in")
    os.link(w.db, w.db + ".old")
    os.rename(other.db, w.db)           # and the WAL stays where it is
    until(lambda: count(w) > 100, f"not taken: {w.log()[-900:]}")
    no_answer_but_200(other_books.load(load))
    until(lambda: spool_is_empty(w))
    account(other_books, w.db, w.db + ".old")
    site.close()


def cut_to_nothing(db):
    os.truncate(db, 0)


def cut_in_half(db):
    os.truncate(db, os.path.getsize(db) // 2 // 4096 * 4096)


def overwrite(begin, end):
    def do(db):
        size = os.path.getsize(db)
        with open(db, "r+b") as f:
            f.seek(begin)
            f.write(os.urandom(max(0, end(size) - begin)))
    return do


DAMAGES = [
    ("cut to nothing", cut_to_nothing),
    ("cut in half", cut_in_half),
    ("with an overwritten header", overwrite(0, lambda size: 100)),
    ("with overwritten pages", overwrite(4096, lambda size: size // 2)),
    ("overwritten", overwrite(0, lambda size: size)),
]


def filled():
    """A site with pages enough to break some."""
    site = Site()
    books = Books("")
    for _ in range(60):
        equal(books.post(site.worker, padding=BIG), 200)
    return site, books


def start_anew(w):
    """What somebody would do: away with all of it."""
    for suffix in "", "-wal", "-shm":
        if os.path.exists(w.db + suffix):
            os.rename(w.db + suffix, w.db + ".bad" + suffix)


@tap.table("a database {} under load: said, and kept from then on",
           DAMAGES)
def _(name, damage):
    site, first = filled()
    w = site.worker
    damage(w.db)
    # Rows in pages that it destroyed are gone, and until it is noticed
    # hooks join them: 1 s at most. After that nothing is lost.
    equal(first.post(w), 200)
    with h.Pace(site.folder) as pace:
        time.sleep(1.2)
    time.sleep(pace.HANDS * pace.slowest)   # the writer may be as late
    until(lambda: ready(w).status == 200 or
          b'"writer":"corrupt"' in ready(w).body, "it goes unnoticed")
    healed = ready(w).status == 200     # with what was in the WAL
    books = Books(f"database {name} under load")
    for _ in range(10):
        equal(books.post(w), 200)
    if not healed:
        says(w, 0, '"writer":"corrupt"')
        assert "event=database-fault" in w.log()
        assert len(w.spooled()) >= 10, w.spooled()
        start_anew(w)
    well_again(w, books)
    account(books, w.db)
    site.close()


@tap.table("a database {} at the start: the spool, until it is repaired",
           DAMAGES[1:])
def _(name, damage):
    site, _ = filled()
    w = site.worker
    equal(w.stop(), 0)
    damage(w.db)
    books = Books(f"database {name} at the start")
    w.start()
    for _ in range(10):
        equal(books.post(w), 200)
    until(lambda: ready(w).status == 503, "it goes unnoticed")
    for _ in range(10):
        equal(books.post(w), 200)
    assert "event=database-fault" in w.log()
    assert len(w.spooled()) >= 10, w.spooled()
    start_anew(w)
    until(lambda: os.path.exists(w.db), "no new database")
    well_again(w, books)
    account(books, w.db)
    site.close()


tap.run()
