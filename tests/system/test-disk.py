#!/usr/bin/env python3
"""The disk that fails: full, read-only, broken, with errors from the kernel;
a database that is moved, cut or overwritten; a spool full of strangers.
Root may see more of it."""
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import faults
import harness as h
from faults import (Books, Disk, Ext4, Site, Strace, held, hooks,
                    metric, need_strace, no_answer_but_200, post, ready,
                    spool_is_empty)
from harness import equal, until

h.need_program()
tap = h.Tap()


# ---- a spool with things in it that are no hooks --------------------------

@tap.test("strange files in the spool harm nobody, and good ones come in")
def strange_files_in_spool():
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


def log_count(w, words):
    return sum(words in line for line in w.log_lines())


def set_aside(w, name, make):
    """make(path) puts a file into the spool: it is set aside, said once, and
    /ready says so until somebody has looked at it."""
    path = os.path.join(w.spool, name)
    make(path)
    until(lambda: os.path.lexists(path + ".bad"), w.log()[-900:])
    equal(post(w)[0].status, 200)
    until(lambda: ready(w).status == 503, "a hook is set aside, and it is "
          "ready")
    assert b"files-set-aside" in ready(w).body, ready(w)
    equal(metric(w, "spool_bad_files"), 1)
    equal(log_count(w, "event=spool-set-aside"), 1, w.log())
    os.unlink(path + ".bad")
    until(lambda: ready(w).status == 200, "nothing is left, but not ready")


def too_large(path):
    with open(path, "wb") as f:
        f.truncate(300 << 20)


@tap.table("{} named like a hook in the spool is set aside, and holds up "
           "nobody", [
               ("a FIFO", os.mkfifo), ("a folder", os.mkdir),
               ("a link", lambda path: os.symlink("/dev/zero", path)),
               ("a file of 300 MiB", too_large),
               ("a file of chance bytes",
                lambda path: h.write(path, os.urandom(5000)))])
def strange_hook_file_is_set_aside(name, make):
    w = h.Worker(*h.BRIEF)
    if make is os.mkdir:
        folder = os.path.join(w.spool, "1.hook")
        os.mkdir(folder)
        until(lambda: os.path.exists(folder + ".bad"), w.log()[-900:])
        os.rmdir(folder + ".bad")
    else:
        set_aside(w, "1.hook", make)
    equal(post(w)[0].status, 200)
    until(lambda: spool_is_empty(w))
    equal(w.stop(), 0)


@tap.test("--retry-bad brings in what the database refused, once it takes it")
def retry_bad_brings_in_refused_hooks():
    site = Site()
    w = site.worker
    books = Books("refused by the database, and tried again")
    h.shell_ok(w.db, "CREATE TRIGGER no BEFORE INSERT ON outbox BEGIN "
               "SELECT RAISE(ABORT, 'not now'); END")
    for _ in range(3):
        equal(books.post(w), 200)
    until(lambda: len(w.spooled()) == 3 and all(
        name.endswith(".hook.bad") for name in w.spooled()), w.log()[-900:])
    until(lambda: b"files-set-aside" in ready(w).body)
    done = h.run_program("--check", "--db", w.db, "--secret-file",
                         w.secret_file)
    assert done.returncode == 1 and "set aside" in done.stdout, done
    equal(ready(w).status, 503)
    equal(metric(w, "spool_bad_files"), 3)
    h.shell_ok(w.db, "DROP TRIGGER no")
    equal(h.run_program("--retry-bad", "--db", w.db).returncode, 0)
    until(lambda: spool_is_empty(w), "they do not come in")
    until(lambda: ready(w).status == 200)
    equal(metric(w, "spool_bad_files"), 0)
    books.close(w, exactly=True)
    done = h.run_program("--retry-bad", "--spool", w.spool)
    equal((done.returncode, done.stdout[:2]), (0, "0 "), done)
    site.close()


@tap.test("a spool file that no descriptor is left for waits, and comes in")
def no_descriptor_for_spool_file():
    need_strace()
    site = Site()
    w = site.worker
    other = h.Worker(*h.BRIEF)
    books = Books("no descriptor left for a spool file")
    several(books, other, 1)
    trace = Strace(w, "openat:error=EMFILE", path="1.hook")
    os.rename(os.path.join(other.spool, other.spooled()[0]),
              os.path.join(w.spool, "1.hook"))
    until(lambda: any("INJECTED" in line for line in trace.lines()))
    equal(books.post(w), 200)
    until(lambda: sum("INJECTED" in line for line in trace.lines()) > 1 or
          w.spooled() != ["1.hook"])
    equal(w.spooled(), ["1.hook"])
    trace.stop()
    books.close(w, exactly=True)
    site.close()


@tap.test("large hooks come in from the spool beside a writer, some refused: "
          "the database stays sound")
def large_spooled_hooks_beside_writer():
    site = Site()
    w = site.worker
    books = Books("large hooks from the spool, some refused")
    shell = held(w)
    for _ in range(120):
        equal(books.post(w, padding="x" * 200000), 200)
    w.kill()
    shell.execute("ROLLBACK")
    shell.close()
    h.shell_ok(w.db, "CREATE TRIGGER no BEFORE INSERT ON outbox WHEN "
               "new.issue_id % 9 = 0 BEGIN SELECT RAISE(ABORT, 'no'); END")
    other = h.open_db(w.db, write=True)
    w.start()
    edits = 0

    def is_over():
        nonlocal edits
        edits += 1
        other.execute("INSERT INTO workspace_map (project_slug, workspace_id"
                      ") VALUES (?, 'w')", (f"other-{edits}",))
        return all(name.endswith(".bad") for name in w.spooled())
    until(is_over, "they do not come in")
    equal(other.execute("SELECT count(*) FROM workspace_map").fetchone()[0],
          1 + edits)
    other.close()
    refused = len(w.spooled())
    assert 13 <= refused <= 14, w.spooled()
    equal(hooks(w), 120 - refused)
    equal(w.value("PRAGMA integrity_check"), "ok")
    h.shell_ok(w.db, "DROP TRIGGER no")
    equal(h.run_program("--retry-bad", "--db", w.db).returncode, 0)
    until(lambda: hooks(w) == 120, "they do not come in")
    books.close(w, exactly=True)
    site.close()


@tap.test("a spool folder that was renamed gets no more hooks, the new one "
          "does")
def renamed_spool_folder():
    site = Site()
    w = site.worker
    books = Books("spool folder renamed")
    shell = held(w)
    equal(books.post(w), 200)
    equal(books.post(w), 200)
    os.rename(w.spool, w.spool + ".old")
    equal(books.post(w), 200)
    equal((len(w.spooled()), len(os.listdir(w.spool + ".old"))), (1, 2))
    for name in os.listdir(w.spool + ".old"):
        os.rename(os.path.join(w.spool + ".old", name),
                  os.path.join(w.spool, name))
    shell.execute("ROLLBACK")
    shell.close()
    books.close(w, exactly=True)
    site.close()


def several(books, w, count):
    """So many hooks in the spool of a worker that is killed then."""
    shell = held(w)
    for _ in range(count):
        equal(books.post(w), 200)
    equal(len(w.spooled()), count)
    w.kill()
    shell.execute("ROLLBACK")
    shell.close()


@tap.test("spool files of others come in one after the other, with no rest")
def foreign_spool_files_come_in():
    need_strace()
    site = Site()
    w = site.worker
    other = h.Worker(*h.BRIEF)
    books = Books("others' spool files")
    several(books, other, 300)
    trace = Strace(w, calls=["getdents64"])
    for name in other.spooled():
        os.rename(os.path.join(other.spool, name),
                  os.path.join(w.spool, name))
    until(lambda: hooks(w) == 300)
    looks = sum(" = 0" in line for line in trace.lines())
    trace.stop()
    # One may have come too early, and one after the last.
    assert looks <= 4, f"{looks} looks at the folder"
    books.close(w, exactly=True)
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
def database_folder_missing():
    missing = os.path.join(h.Scratch.new("gone"), "not", "yet")
    w = broken_worker(os.path.join(missing, "o.db"))
    spools_until(w, lambda: os.makedirs(missing))
    equal(w.stop(), 0)


@tap.test("with garbage for a database hooks wait in the spool")
def database_is_garbage():
    db = os.path.join(h.Scratch.new("garbage"), "o.db")
    h.write(db, os.urandom(20000))
    before = open(db, "rb").read()

    def repair():
        equal(open(db, "rb").read(), before, "touched")
        os.rename(db, db + ".bad")
    spools_until(broken_worker(db), repair)


@tap.test("with a folder for a database hooks wait in the spool")
def database_is_a_folder():
    db = os.path.join(h.Scratch.new("folder"), "o.db")
    os.mkdir(db)
    spools_until(broken_worker(db), lambda: os.rmdir(db))


@tap.test("with a read-only database hooks wait in the spool")
def database_is_read_only():
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
def neither_database_nor_spool():
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
def no_spool_stores_in_database():
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
def database_disk_full(disks, start):
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
def spool_disk_full(disks, start):
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
def shared_disk_full(disks, start):
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


def is_full_or_well(w):
    return {h.logfmt(x)["fault"] for x in w.log_lines()
            if "event=database-fault" in x} <= {"disk-full"}


@tap.table("a disk with blocks of 1 KiB has {} left at the start: said, and "
           "served", [(n,) for n in range(0, 44, 4)])
def small_blocks_nearly_full(spare):
    disk = Ext4()
    try:
        w = h.Worker(*h.BRIEF, db=os.path.join(disk.folder, "o.db"))
        w.argv += ["--spool", os.path.join(w.folder, "sp")]
        books = Books(f"ext4 with blocks of 1 KiB, {spare} left")
        for _ in range(3):
            equal(books.post(w), 200)
        w.kill()                        # its log is whole, and long
        os.unlink(w.db + "-shm")
        disk.leave(spare)
        done = h.run_program("--check", "--db", w.db, "--secret-file",
                             w.secret_file)
        assert done.returncode in (0, 1), done
        equal("no room" in done.stdout, done.returncode == 1, done)
        w.start()
        equal(books.post(w), 200)
        assert is_full_or_well(w), w.log()
        disk.empty()
        until(lambda: ready(w).status == 200, w.log()[-900:])
        equal(books.post(w), 200)
        until(lambda: hooks(w) == 5, w.log()[-900:])
        equal(w.stop(), 0)
    finally:
        disk.close()


@tap.test("a disk that fills up and empties under load: no 200 is lost")
@on_disks
def disk_fills_and_empties_under_load(disks, start):
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
def disk_mounted_read_only(disks, start):
    w = start(0, 1)
    equal(w.stop(), 0)
    disks[0].remount("ro")
    w.start()
    books = Books("read-only database")
    for _ in range(10):
        equal(books.post(w), 200)
    equal(len(w.spooled()), 10)
    says(w, 0, '"writer":"read-only"')
    disks[0].remount("rw")
    well_again(w, books)
    books.close(w, exactly=True)


def rests(w):
    """Nothing to do, and it does nothing: a busy loop would make thousands
    of calls in a second."""
    trace = Strace(w, calls=["openat", "unlinkat", "renameat2"])
    time.sleep(1)                       # a measure's length, not luck
    trace.stop()
    equal(len(trace.lines()) < 100, True, f"{len(trace.lines())} calls")


@tap.test("a spool that cannot be emptied is said once a file, and left alone")
@on_disks
def spool_cannot_be_emptied(disks, start):
    need_strace()
    w = start(0, 1)
    disks[1].remount("size=64m")
    books = Books("spool cannot be emptied")
    several(books, w, 70)               # more than a transaction takes
    disks[1].remount("ro")
    w.start()
    until(lambda: hooks(w) == 70)
    until(lambda: log_count(w, "event=spool-set-aside") == 70,
          f"{log_count(w, 'event=spool-set-aside')} are said")
    lines = len(w.log_lines())
    rests(w)
    equal(len(w.log_lines()), lines, "it goes on saying so")
    equal(ready(w).status, 503, ready(w))
    disks[1].remount("rw")
    if not h.FULL:                      # by itself only after a minute
        equal(w.stop(), 0)
        w.start()
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
    ("renaming a file in the spool", by_spool, "renameat2:error=EIO", None,
     None),
])
def system_call_fails(name, how, inject, path, words):
    need_strace()
    how(name + " fails", inject, path, words)


@tap.test("after a failed sync the WAL is emptied before any 200 by it")
def failed_sync_empties_wal_first():
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


@tap.test("after a failed sync a reader keeps the log, and all is spooled")
def failed_sync_beside_reader():
    need_strace()
    w = h.Worker(*h.BRIEF)
    h.map_everything(w.db)
    books = Books("fdatasync fails once beside a reader")
    equal(books.post(w), 200)
    reader = h.open_db(w.db)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM webhook").fetchone()
    equal(books.post(w), 200)           # so the log has what it needs not
    trace = Strace(w, "fdatasync:error=EIO:when=1", path=w.db + "-wal")
    equal(books.post(w), 200)
    until(lambda: "somebody reads" in w.log(), w.log()[-900:])
    trace.stop()
    for _ in range(5):
        equal(books.post(w), 200)
    equal(len(w.spooled()), 6)
    says(w, 0, '"writer":"busy"')
    assert "event=database-recovered" not in w.log(), w.log()
    equal(hooks(w), 2)
    reader.close()
    well_again(w, books)
    books.close(w, exactly=True)
    equal(w.stop(), 0)


@tap.test("checkpoints that fail are said, and hooks go to the spool")
def checkpoint_fails():
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
def database_moved_under_load():
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
def database_replaced_under_load():
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


def deliverer(w):
    """sentry-deliver, connected; idle where no row is mapped."""
    return h.start([os.path.join(h.BUILD, "sentry-deliver"), "--db", w.db,
                    "--to", "-"], stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL,
                   env=h.clean_environment())


def stop_deliverer(process):
    process.terminate()
    h.finish(process)


def unmapped_site():
    site = Site()
    h.shell_ok(site.worker.db, "DELETE FROM workspace_map")
    return site


def moved(w):
    os.rename(w.db, w.db + ".old")


def replaced(w):
    other = h.Worker()
    h.map_everything(other.db)
    for _ in range(20):
        equal(post(other)[0].status, 200)
    other.stop()
    os.link(w.db, w.db + ".old")
    os.rename(other.db, w.db)


def moved_with_all(w):
    for suffix in "-shm", "-wal", "":
        os.rename(w.db + suffix, w.db + ".old" + suffix)


def has_open(process, path):
    folder = f"/proc/{process.pid}/fd/"
    return os.path.exists(path) and any(
        os.path.exists(folder + fd) and os.path.samefile(folder + fd, path)
        for fd in os.listdir(folder))


@tap.test("a deliverer does not open what came in its database's place while "
          "the old log stands beside it")
def deliverer_waits_for_old_log():
    site = Site()
    w = site.worker
    busy = deliverer(w)
    books = Books("replaced, and a deliverer waits for the old log")
    load = site.hammer(clients=8)
    until(lambda: hooks(w) > 300, "no hook comes in")
    reader = h.open_db(w.db)
    reader.execute("BEGIN")
    before = reader.execute("SELECT count(*) FROM webhook").fetchone()[0]
    until(lambda: hooks(w) > before + 100, "no hook comes in")
    until(lambda: has_open(busy, w.db))
    replaced(w)
    until(lambda: "event=database-moved" in w.log(), w.log()[-900:])
    time.sleep(2.5)                     # the fault's length, not luck
    assert not has_open(busy, w.db), "it has opened the new one"
    reader.close()
    until(lambda: log_count(w, "event=database-open") > 1, w.log()[-900:])
    until(lambda: has_open(busy, w.db), "it never opens the new one")
    no_answer_but_200(books.load(load))
    until(lambda: spool_is_empty(w))
    stop_deliverer(busy)
    account(books, w.db, w.db + ".old")
    site.close()


@tap.table("a database {} while others are connected: none is lost", [
    ("moved", moved, False, unmapped_site),
    ("replaced", replaced, False, unmapped_site),
    ("moved with its log", moved_with_all, False, unmapped_site),
    ("moved amid a reader's look", moved, True, unmapped_site),
    ("replaced amid a reader's look", replaced, True, unmapped_site),
    ("replaced under a busy deliverer", replaced, False, Site),
    ("replaced under a busy deliverer and a reader", replaced, True, Site)])
def database_taken_away_from_readers(name, away, snapshot, make):
    site = make()
    w = site.worker
    other = deliverer(w)
    books = Books(f"database {name}, others connected")
    load = site.hammer()
    until(lambda: hooks(w) > 300, "no hook comes in")
    reader = h.open_db(w.db)
    if snapshot:
        reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM webhook").fetchone()
    before = hooks(w)
    until(lambda: hooks(w) > before + 100, "no hook comes in")
    away(w)
    if snapshot:                        # its log cannot go with it yet
        until(lambda: len(w.spooled()) > 50, w.log()[-900:])
        until(lambda: "event=database-moved" in w.log(), w.log()[-900:])
        reader.execute("COMMIT")
    # Before that one would see the old log in the new file.
    until(lambda: log_count(w, "event=database-open") > 1, w.log()[-900:])
    until(lambda: count(w) > 100, "no hook comes in")
    no_answer_but_200(books.load(load))
    until(lambda: spool_is_empty(w))
    reader.close()
    stop_deliverer(other)
    account(books, w.db, w.db + ".old")
    site.close()


@tap.table("the {} deleted under the worker: what was answered stays", [
    ("write-ahead log", ["-wal"]), ("log's index", ["-shm"]),
    ("log and its index", ["-wal", "-shm"])])
def log_files_deleted(name, suffixes):
    site = Site()
    w = site.worker
    books = Books(f"{name} deleted under the worker")
    for _ in range(13):
        equal(books.post(w), 200)
    for suffix in suffixes:
        os.unlink(w.db + suffix)
    until(lambda: log_count(w, "event=database-open") == 2,
          f"it goes unnoticed: {w.log()[-900:]}")
    for _ in range(3):
        equal(books.post(w), 200)
    w.kill()
    w.start()
    books.close(w, exactly=True)
    load = site.hammer()
    until(lambda: count(w) > 100, "no hook comes in")
    opened = log_count(w, "event=database-open")
    for suffix in suffixes:             # the same under load
        os.unlink(w.db + suffix)
    until(lambda: log_count(w, "event=database-open") > opened)
    before = hooks(w)
    until(lambda: hooks(w) > before + 100, w.log()[-900:])
    no_answer_but_200(books.load(load))
    w.kill()
    w.start()
    books.close(w, exactly=True)
    site.close()


@tap.test("VACUUM by a shell under load is taken for what it is")
def vacuum_under_load():
    site = Site()
    w = site.worker
    books = Books("VACUUM under load")
    for _ in range(200):                # half are to go, and what stays is
        equal(post(w, h.issue(padding=BIG))[0].status, 200)     # long, too
    load = site.hammer(clients=2)
    before = hooks(w)
    until(lambda: hooks(w) > before + 100, "no hook comes in")
    size = os.path.getsize(w.db)
    h.shell_ok(w.db, "DELETE FROM outbox WHERE id <= 100; DELETE FROM "
               "webhook WHERE id <= 100; VACUUM")
    sizes = [size]                      # it grows on, before and after

    def is_smaller():
        sizes.append(os.path.getsize(w.db))
        return sizes[-1] < max(sizes)

    until(is_smaller, "it does not get smaller")
    before = hooks(w)
    until(lambda: hooks(w) > before + 100, "no hook comes in")
    no_answer_but_200(books.load(load))
    for fault in ("file-replaced", "corrupt", "io-error"):
        assert f"fault={fault}" not in w.log(), fault
    # What did not come through while VACUUM had the lock is in the spool.
    until(lambda: spool_is_empty(w))
    equal(hooks(w), 100 + len(books.ids))
    account(books, w.db)
    site.close()


@tap.test("through a symbolic link it is the same database to all, and a link "
          "that is moved is followed")
def symbolic_link_is_followed():
    folder = h.Scratch.new("link")
    real = [os.path.join(h.Scratch.new("real"), "o.db") for _ in range(2)]
    link = os.path.join(folder, "outbox.db")
    for path in real:
        h.Worker(db=path).stop()
    os.symlink(real[0], link)
    site = Site(db=link, env={"SENTRY_WEBHOOKS_SPOOL": folder + "/spool"})
    w = site.worker
    w.spool = folder + "/spool"
    h.shell_ok(real[0], "DELETE FROM workspace_map")
    books = Books("through a symbolic link")
    idle = deliverer(w)
    load = site.hammer()
    until(lambda: hooks(w) > 300, "no hook comes in")
    equal(sorted(os.listdir(folder)), ["outbox.db", "spool"])
    assert metric(w, "wal_bytes") > 0
    # A shell knows nothing of the link.
    h.shell_ok(real[0], "INSERT INTO workspace_map (project_id, "
               "workspace_id) VALUES ('7', 'w')")
    os.symlink(real[1], link + ".new")
    os.rename(link + ".new", link)
    until(lambda: count(w) > 100, w.log()[-900:])
    no_answer_but_200(books.load(load))
    until(lambda: spool_is_empty(w))
    stop_deliverer(idle)
    account(books, *real)
    site.close()


@tap.test("the newest hook's row is deleted by hand: those that follow come "
          "in")
def newest_row_deleted():
    site = Site()
    w = site.worker
    books = Books("newest row deleted by hand")
    for _ in range(3):
        equal(post(w)[0].status, 200)
    h.shell_ok(w.db, "DELETE FROM webhook WHERE id = 3")
    for _ in range(5):
        equal(books.post(w), 200)
    until(lambda: hooks(w) == 7 or any(
        name.endswith(".bad") for name in w.spooled()))
    equal((hooks(w), w.spooled()), (7, []), w.log()[-900:])
    equal(w.value("SELECT count(*) FROM outbox"), 8)
    equal(ready(w).status, 200)
    site.close()


def held_log(name):
    """A site with five hooks in the log alone, since somebody reads."""
    site = Site()
    w = site.worker
    books = Books(name)
    for _ in range(100):
        equal(books.post(w, padding="x" * 3000), 200)
    reader = h.open_db(w.db)
    reader.execute("BEGIN")
    equal(reader.execute("SELECT count(*) FROM webhook").fetchone()[0], 100)
    for _ in range(5):
        equal(books.post(w), 200)
    return site, books, reader


@tap.test("a log without its database is not taken for a new one's, nor "
          "thrown away")
def foreign_log_is_left_alone():
    site, books, reader = held_log("moved after a kill, without its log")
    w = site.worker
    w.kill()
    moved(w)
    reader.close()
    w.start()
    for _ in range(3):
        equal(books.post(w), 200)
    says(w, 0, "io-error")
    assert "the log of another database" in w.log(), w.log()[-900:]
    equal(len(w.spooled()), 3)
    os.rename(w.db + "-wal", w.db + ".old-wal")     # where it belongs
    well_again(w, books)
    account(books, w.db, w.db + ".old")
    site.close()


@tap.table("a worker {} while an old log waits: both databases are sound", [
    ("killed, its database moved", h.Worker.kill, moved),
    ("killed, its database replaced", h.Worker.kill, replaced),
    ("stopped, its database replaced", h.Worker.stop, replaced)])
def worker_ends_while_old_log_stays(name, end, away):
    site, books, reader = held_log(name)
    w = site.worker
    away(w)
    until(lambda: "event=database-moved" in w.log(), w.log()[-900:])
    for _ in range(3):
        equal(books.post(w), 200)
    end(w)
    reader.close()
    w.start()
    well_again(w, books)
    log, = (n for n in os.listdir(site.folder)
            if n.startswith("outbox.db-wal."))
    os.rename(os.path.join(site.folder, log), w.db + ".old-wal")
    account(books, w.db, w.db + ".old")
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
def database_damaged_under_load(name, damage):
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
def database_damaged_at_start(name, damage):
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


@tap.table("its {} deleted, and a shell opens it: none lost, none corrupt", [
    ("-wal",), ("-shm",)])
def log_deleted_then_shell(suffix):
    site = Site()
    w = site.worker
    books = Books(f"{suffix} deleted, then a shell")
    for _ in range(5):
        equal(books.post(w), 200)
    os.kill(w.process.pid, signal.SIGSTOP)      # between two looks
    os.unlink(w.db + suffix)
    shell = h.open_db(w.db, write=True)
    edit = "INSERT INTO workspace_map (project_slug, workspace_id)" \
        " VALUES (?, 'w')"
    kept = []
    for slug in "abcdefghijkl":
        try:
            shell.execute(edit, (slug,))
            kept.append(slug)
        except sqlite3.Error:           # it cannot read its log
            pass
        os.kill(w.process.pid, signal.SIGCONT)
        equal(books.post(w), 200)
        until(lambda: spool_is_empty(w) and ready(w).status == 200,
              "not while the shell is there")
    shell.close()
    if suffix == "-shm":                # the log was never gone
        equal([row[0] for row in w.rows(
            "SELECT project_slug FROM workspace_map"
            " WHERE project_slug NOT NULL ORDER BY 1")], kept)
    account(books, w.db)
    site.close()


tap.run(lanes=4)
