#!/usr/bin/env python3
"""A disk that fails: full, read-only, broken, with errors from the kernel; and
a spool that holds files which are no hooks. Some tests need root."""
import os
import shutil
import time

from database import Snapshot, map_everything, open_db, shell_ok
from environment import FULL
from expect import equal, until
from hammer import no_answer_but_200
from hooks import BIG, RECEIVED
from ledger import Ledger
from logfmt import logfmt
from process import run_program
from scratch import Scratch, write_file
from small_disk import Disk, Ext4
from strace import Strace, need_strace
from tap import Skip, Tap, need_program
from webhook_site import Site, on_site
from worker import BRIEF, Worker

need_program()
tap = Tap()


# ---- a spool with things in it that are no hooks --------------------------

@tap.test("strange files in the spool harm nobody, and good ones come in")
@on_site
def strange_files_in_spool(site, w):
    lock = w.lock()
    for _ in range(5):
        equal(w.send().status, 200)
    names = w.spooled()
    w.kill()
    lock.release()
    first = os.path.join(w.spool, names[0])
    with open(first, "rb") as f:
        good = f.read()
    for n, content in enumerate((b"", b"\0" * 100, good[:-1], good[:9],
                                 good + b"x", os.urandom(5000))):
        write_file(f"{first}.{n}", content)
        write_file(os.path.join(w.spool, f"strange-{n}"), content)
        write_file(os.path.join(w.spool, "0" * (n + 1)), content)
    os.mkdir(os.path.join(w.spool, "folder"))
    os.symlink("/no/such", os.path.join(w.spool, "link"))
    w.start()
    until(lambda: w.hook_count() >= 5)
    answer = w.send()
    equal(answer.status, 200)
    until(lambda: w.hook_count() == 6, "good hooks do not come in")
    equal(w.value("PRAGMA integrity_check"), "ok")
    shutil.rmtree(w.spool)
    w.restart()


def set_aside(w, name, make):
    """make(path) puts a file into the spool: it is set aside, said once, and
    /ready says so until somebody has looked at it."""
    path = os.path.join(w.spool, name)
    make(path)
    until(lambda: os.path.lexists(path + ".bad"), w.log()[-900:])
    equal(w.send().status, 200)
    until(lambda: w.ready().status == 503, "a hook is set aside, and it is "
          "ready")
    assert b"files-set-aside" in w.ready().body, w.ready()
    equal(w.metric("spool_bad_files"), 1)
    equal(w.log_count("event=spool-set-aside"), 1, w.log())
    os.unlink(path + ".bad")
    w.gets_ready()


def too_large(path):
    with open(path, "wb") as f:
        f.truncate(300 << 20)


@tap.table("{} named like a hook in the spool is set aside, and holds up "
           "nobody", [
               ("a FIFO", os.mkfifo), ("a folder", os.mkdir),
               ("a link", lambda path: os.symlink("/dev/zero", path)),
               ("a file of 300 MiB", too_large),
               ("a file of chance bytes",
                lambda path: write_file(path, os.urandom(5000)))])
def strange_hook_file_is_set_aside(name, make):
    w = Worker(*BRIEF)
    if make is os.mkdir:
        folder = os.path.join(w.spool, "1.hook")
        os.mkdir(folder)
        until(lambda: os.path.exists(folder + ".bad"), w.log()[-900:])
        os.rmdir(folder + ".bad")
    else:
        set_aside(w, "1.hook", make)
    equal(w.send().status, 200)
    until(w.spool_is_empty)
    equal(w.stop(), 0)


@tap.test("--retry-bad brings in what the database refused, once it takes it")
@on_site
def retry_bad_brings_in_refused_hooks(site, w):
    ledger = Ledger("refused by the database, and tried again")
    shell_ok(w.db, "CREATE TRIGGER no BEFORE INSERT ON outbox BEGIN "
             "SELECT RAISE(ABORT, 'not now'); END")
    ledger.post_all(w, 3)
    until(lambda: len(w.spooled()) == 3 and all(
        name.endswith(".hook.bad") for name in w.spooled()), w.log()[-900:])
    until(lambda: b"files-set-aside" in w.ready().body)
    done = run_program("--check", "--db", w.db, "--secret-file", w.secret_file)
    assert done.returncode == 1 and "set aside" in done.stdout, done
    equal(w.ready().status, 503)
    equal(w.metric("spool_bad_files"), 3)
    shell_ok(w.db, "DROP TRIGGER no")
    equal(run_program("--retry-bad", "--db", w.db).returncode, 0)
    until(w.spool_is_empty, "they do not come in")
    w.gets_ready()
    equal(w.metric("spool_bad_files"), 0)
    ledger.close(w, exactly=True)
    done = run_program("--retry-bad", "--spool", w.spool)
    equal((done.returncode, done.stdout[:2]), (0, "0 "), done)


@tap.test("a spool file that no descriptor is left for waits, and comes in")
@on_site
def no_descriptor_for_spool_file(site, w):
    need_strace()
    other = Worker(*BRIEF)
    ledger = Ledger("no descriptor left for a spool file")
    several(ledger, other, 1)
    trace = Strace(w, "openat:error=EMFILE", path="1.hook")
    os.rename(os.path.join(other.spool, other.spooled()[0]),
              os.path.join(w.spool, "1.hook"))
    until(trace.injected)
    equal(ledger.post(w), 200)
    until(lambda: trace.injected() > 1 or "1.hook" not in w.spooled())
    assert "1.hook" in w.spooled(), w.spooled()
    trace.stop()
    ledger.close(w, exactly=True)


@tap.test("large hooks come in from the spool beside a writer, some refused: "
          "the database stays sound")
@on_site
def large_spooled_hooks_beside_writer(site, w):
    ledger = Ledger("large hooks from the spool, some refused")
    lock = w.lock()
    ledger.post_all(w, 120, padding="x" * 200000)
    w.kill()
    lock.release()
    shell_ok(w.db, "CREATE TRIGGER no BEFORE INSERT ON outbox WHEN "
             "new.issue_id % 9 = 0 BEGIN SELECT RAISE(ABORT, 'no'); END")
    other = open_db(w.db, write=True)
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
    equal(w.hook_count(), 120 - refused)
    equal(w.value("PRAGMA integrity_check"), "ok")
    shell_ok(w.db, "DROP TRIGGER no")
    equal(run_program("--retry-bad", "--db", w.db).returncode, 0)
    until(lambda: w.hook_count() == 120, "they do not come in")
    ledger.close(w, exactly=True)


@tap.test("a spool folder that was renamed gets no more hooks, the new one "
          "does")
@on_site
def renamed_spool_folder(site, w):
    ledger = Ledger("spool folder renamed")
    lock = w.lock()
    equal(ledger.post(w), 200)
    equal(ledger.post(w), 200)
    os.rename(w.spool, w.spool + ".old")
    equal(ledger.post(w), 200)
    equal((len(w.spooled()), len(os.listdir(w.spool + ".old"))), (1, 2))
    for name in os.listdir(w.spool + ".old"):
        os.rename(os.path.join(w.spool + ".old", name),
                  os.path.join(w.spool, name))
    lock.release()
    ledger.close(w, exactly=True)


def several(ledger, w, count):
    """Puts so many hooks into the spool of a worker, and kills it."""
    lock = w.lock()
    ledger.post_all(w, count)
    equal(len(w.spooled()), count)
    w.kill()
    lock.release()


@tap.test("spool files of others come in one after the other, with no rest")
@on_site
def foreign_spool_files_come_in(site, w):
    need_strace()
    other = Worker(*BRIEF)
    ledger = Ledger("others' spool files")
    several(ledger, other, 300)
    trace = Strace(w, calls=["getdents64"])
    for name in other.spooled():
        os.rename(os.path.join(other.spool, name), os.path.join(w.spool, name))
    until(lambda: w.hook_count() == 300)
    looks = sum(" = 0" in line for line in trace.lines())
    trace.stop()
    # It may look once before the files are there, and once after the last.
    assert looks <= 4, f"{looks} looks at the folder"
    ledger.close(w, exactly=True)


# ---- databases and spools that cannot be used -----------------------------

def spools_until(w, repair, total=3):
    """Hooks go to the spool, /ready says why, repair() makes it all well."""
    for n in range(total):
        answer = w.send()
        equal((answer.status, answer.body), (200, RECEIVED), n)
    assert os.listdir(w.spool), "nothing is spooled"
    answer = w.ready()
    equal(answer.status, 503, answer)
    assert b"database" in answer.body, answer
    repair()
    until(lambda: os.path.exists(w.db) and w.readable_count() == total,
          f"the spooled hooks do not come in: {w.log()[-1500:]}")
    w.gets_ready()
    equal(w.send().status, 200)
    until(lambda: w.readable_count() == total + 1)


def broken_worker(db):
    folder = Scratch.new("broken")
    return Worker(*BRIEF, folder=folder, db=db,
                  spool=os.path.join(folder, "spool"))


@tap.test("without the database's folder hooks wait in the spool")
def database_folder_missing():
    missing = os.path.join(Scratch.new("gone"), "not", "yet")
    w = broken_worker(os.path.join(missing, "o.db"))
    spools_until(w, lambda: os.makedirs(missing))
    equal(w.stop(), 0)


@tap.test("with garbage for a database hooks wait in the spool")
def database_is_garbage():
    db = os.path.join(Scratch.new("garbage"), "o.db")
    write_file(db, os.urandom(20000))
    before = open(db, "rb").read()

    def repair():
        equal(open(db, "rb").read(), before, "touched")
        os.rename(db, db + ".bad")
    spools_until(broken_worker(db), repair)


@tap.test("with a folder for a database hooks wait in the spool")
def database_is_a_folder():
    db = os.path.join(Scratch.new("folder"), "o.db")
    os.mkdir(db)
    spools_until(broken_worker(db), lambda: os.rmdir(db))


@tap.test("with a read-only database hooks wait in the spool")
def database_is_read_only():
    if os.geteuid() == 0:
        raise Skip("root may write everything")
    folder = Scratch.new("readonly")
    db = os.path.join(folder, "o.db")
    Worker(db=db).stop()
    os.chmod(db, 0o444)
    os.chmod(folder, 0o555)

    def repair():
        os.chmod(folder, 0o755)
        os.chmod(db, 0o644)
    spools_until(broken_worker(db), repair)


@tap.test("with neither database nor spool a hook is answered 500")
def neither_database_nor_spool():
    folder = Scratch.new("neither")
    db = os.path.join(folder, "missing", "o.db")
    spool = write_file(os.path.join(folder, "spool"), "a file in the way")
    w = Worker(*BRIEF, spool=spool, folder=folder, db=db)
    for _ in range(3):
        answer = w.send()
        equal((answer.status, answer.body),
              (500, b'{"error":"Internal server error"}'))
        equal(answer.headers["content-type"], "application/json")
        equal(answer.headers["cache-control"], "no-store")
    answer = w.ready()
    equal(answer.status, 503)
    for word in (b"database", b"spool"):
        assert word in answer.body, answer
    equal(w.get().status, 200)
    equal(open(spool).read(), "a file in the way")
    os.unlink(spool)                    # the spool alone is enough
    until(lambda: w.send().status == 200, "the spool stays broken")
    os.makedirs(os.path.dirname(db))
    until(lambda: w.readable_count() >= 1)
    w.gets_ready()
    equal(w.stop(), 0)


@tap.test("without a spool a hook is still stored in the database")
def no_spool_stores_in_database():
    folder = Scratch.new("nospool")
    spool = write_file(os.path.join(folder, "spool"), "a file in the way")
    w = Worker(*BRIEF, spool=spool, folder=folder)
    equal(w.send().status, 200)
    equal(w.hook_count(), 1)
    lock = w.lock()
    equal(w.send().status, 500)
    lock.release()
    until(lambda: w.send().status == 200)
    equal(w.stop(), 0)


# ---- full disks ----------------------------------------------------------

def on_disks(test):
    """Two small disks and a worker on them; both are gone afterwards."""
    def run():
        disks = [Disk(), Disk()]
        workers = []

        def start(db, spool, options=BRIEF):
            w = Worker(*options, db=os.path.join(disks[db].folder, "o.db"),
                       spool=os.path.join(disks[spool].folder, "sp"))
            map_everything(w.db)
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
    ledger = Ledger("full disk, database")
    equal(ledger.post(w), 200)
    disks[0].fill()
    ledger.post_all(w, 60, padding=BIG)  # the WAL may have room left
    assert w.spooled(), "nothing is spooled"
    w.is_unready("disk-full")
    assert "event=database-fault fault=disk-full" in w.log()
    disks[0].empty()
    ledger.recovers(w)
    ledger.close(w, exactly=True)


@tap.test("the spool's disk is full: all 200 by the database, else 500")
@on_disks
def spool_disk_full(disks, start):
    w = start(0, 1, ("--commit-wait", "2000"))  # a neighbour's pause fits
    disks[0].remount("size=64m")
    ledger = Ledger("full disk, spool")
    disks[1].fill()
    assert b'"spool":"disk-full"' in w.ready().body
    ledger.post_all(w, 10, padding=BIG)
    lock = w.lock()
    ledger.post_all(w, 5, status=500, padding=BIG)
    w.is_unready('"spool":"disk-full"', '"writer":"busy"')
    equal(w.metric("hooks_total", 'result="lost"'), 5)
    assert "status=500" in w.log() and "fault=disk-full" in w.log()
    disks[1].empty()
    equal(ledger.post(w, padding=BIG), 200)
    assert '"spool":"ok"'.encode() in w.ready().body
    lock.release()
    ledger.recovers(w)
    ledger.close(w, exactly=True)


@tap.test("both on one full disk: 500, nothing half kept, then room")
@on_disks
def shared_disk_full(disks, start):
    w = start(0, 0)
    ledger = Ledger("full disk, both")
    ledger.post_all(w, 3, padding=BIG)
    disks[0].fill()
    got = [ledger.post(w, padding=BIG) for _ in range(60)]
    assert set(got) <= {200, 500} and got[-1] == 500, got
    w.is_unready("disk-full")
    equal(w.metric("hooks_total", 'result="lost"'), got.count(500))
    assert not [n for n in w.spooled() if n.endswith(".tmp")], w.spooled()
    disks[0].empty()
    ledger.recovers(w)
    ledger.close(w)


def is_full_or_well(w):
    return {logfmt(x)["fault"] for x in w.log_lines()
            if "event=database-fault" in x} <= {"disk-full"}


@tap.table("a disk with blocks of 1 KiB has {} left at the start: said, and "
           "served", [(n,) for n in range(0, 44, 4)])
def small_blocks_nearly_full(spare):
    disk = Ext4()
    try:
        w = Worker(*BRIEF, db=os.path.join(disk.folder, "o.db"))
        w.argv += ["--spool", os.path.join(w.folder, "sp")]
        ledger = Ledger(f"ext4 with blocks of 1 KiB, {spare} left")
        ledger.post_all(w, 3)
        until(w.spool_is_empty)
        w.kill()                        # its log stays, and is long
        os.unlink(w.db + "-shm")
        disk.leave(spare)
        done = run_program("--check", "--db", w.db, "--secret-file",
                           w.secret_file)
        assert done.returncode in (0, 1), done
        equal("no room" in done.stdout, done.returncode == 1, done)
        w.start()
        equal(ledger.post(w), 200)
        assert is_full_or_well(w), w.log()
        disk.empty()
        w.gets_ready()
        equal(ledger.post(w), 200)
        until(lambda: w.hook_count() == 5, w.log()[-900:])
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
    site = Site(spool=w.spool, db=w.db)
    ledger = Ledger("full disk under load")
    load = site.hammer()
    for _ in range(5):                  # more would not fit
        disks[0].fill()
        time.sleep(0.3)                 # the fault's length, not luck
        until(lambda: "fault=disk-full" in site.worker.log())
        os.unlink(disks[0].ballast)
        site.worker.stores()
    disks[0].remount("size=512m")
    figures = ledger.load(load)
    no_answer_but_200(figures)
    ledger.recovers(site.worker)
    ledger.close(site.worker, exactly=True)
    site.close()


@tap.test("a database on a disk mounted read-only: the spool, until it is rw")
@on_disks
def disk_mounted_read_only(disks, start):
    w = start(0, 1)
    equal(w.stop(), 0)
    disks[0].remount("ro")
    w.start()
    ledger = Ledger("read-only database")
    ledger.post_all(w, 10)
    equal(len(w.spooled()), 10)
    w.is_unready('"writer":"read-only"')
    disks[0].remount("rw")
    ledger.recovers(w)
    ledger.close(w, exactly=True)


def rests(w):
    """Asserts that the worker has nothing to do, and does nothing: a busy loop
    would make thousands of calls in a second."""
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
    ledger = Ledger("spool cannot be emptied")
    several(ledger, w, 70)               # more than a transaction takes
    disks[1].remount("ro")
    w.start()
    until(lambda: w.hook_count() == 70)
    until(lambda: w.log_count("event=spool-set-aside") == 70,
          f"{w.log_count('event=spool-set-aside')} are said")
    until(lambda: sum(int(line["count"]) for line in
                      w.log_events("spool-brought-in")) == 70)
    lines = len(w.log_lines())
    rests(w)
    equal(len(w.log_lines()), lines, "it goes on saying so")
    equal(w.ready().status, 503, w.ready())
    disks[1].remount("rw")
    if not FULL:                      # by itself only after a minute
        equal(w.stop(), 0)
        w.start()
    ledger.recovers(w)
    ledger.close(w, exactly=True)


# ---- errors from the kernel ----------------------------------------------

WAL = "outbox.db-wal"


def by_database(name, inject, path, words):
    """The database's calls fail: the spool takes all, and says why."""
    site = Site()
    w = site.worker
    ledger = Ledger(name)
    ledger.post_all(w, 3)
    trace = Strace(w, inject, path=os.path.join(w.folder, path))
    ledger.post_all(w, 10, padding=BIG)
    w.is_unready(words)
    assert f"event=database-fault fault={words}" in w.log()
    trace.stop()
    ledger.recovers(w)
    assert "event=database-recovered" in w.log()
    ledger.close(w, exactly=True)
    site.close()


def by_spool(name, inject, path, words):
    """The database is locked, and the spool's calls fail: 500."""
    site = Site()
    w = site.worker
    ledger = Ledger(name)
    lock = w.lock()
    ledger.post_all(w, 3)
    trace = Strace(w, inject, path=path and os.path.join(w.folder, path))
    ledger.post_all(w, 5, status=500)
    if words:                           # what /ready can find out
        w.is_unready(f'"spool":"{words}"')
    equal(w.metric("hooks_total", 'result="lost"'), 5)
    trace.stop()
    equal(ledger.post(w), 200)
    lock.release()
    ledger.recovers(w)
    ledger.close(w)
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
    w = Worker(*BRIEF)
    map_everything(w.db)
    ledger = Ledger("fdatasync fails once")
    equal(ledger.post(w), 200)
    trace = Strace(w, "fdatasync:error=EIO:when=1", path=w.db + "-wal",
                   calls=["openat", "pwrite64", "fsync"])
    ledger.post_all(w, 4)  # the others wait in the spool
    until(lambda: w.hook_count() == 5 and w.spool_is_empty())
    trace.stop()
    lines = trace.lines()
    at = [n for n, line in enumerate(lines) if "INJECTED" in line]
    equal(len(at), 1, lines)
    after = [line for line in lines[at[0] + 1:] if "INJECTED" not in line]
    assert "openat(" in after[0], f"not opened anew: {after}"
    # Checkpointing syncs the WAL first; only then is it written to.
    calls = [line.split("(")[0].split()[-1] for line in after]
    assert calls.index("fdatasync") < calls.index("pwrite64"), calls
    ledger.close(w, exactly=True)
    equal(w.stop(), 0)


@tap.test("after a failed sync a reader keeps the log, and all is spooled")
def failed_sync_beside_reader():
    need_strace()
    w = Worker(*BRIEF)
    map_everything(w.db)
    ledger = Ledger("fdatasync fails once beside a reader")
    equal(ledger.post(w), 200)
    until(w.spool_is_empty)
    reader = Snapshot(w.db)
    # So the log has frames that the reader does not need.
    equal(ledger.post(w), 200)
    until(w.spool_is_empty)
    trace = Strace(w, "fdatasync:error=EIO:when=1", path=w.db + "-wal")
    equal(ledger.post(w), 200)
    until(lambda: "somebody reads" in w.log(), w.log()[-900:])
    trace.stop()
    ledger.post_all(w, 5)
    equal(len(w.spooled()), 6)
    w.is_unready('"writer":"busy"')
    assert "event=database-recovered" not in w.log(), w.log()
    equal(w.hook_count(), 2)
    reader.release()
    ledger.recovers(w)
    ledger.close(w, exactly=True)
    equal(w.stop(), 0)


@tap.test("checkpoints that fail are said, and hooks go to the spool")
@on_site
def checkpoint_fails(site, w):
    need_strace()
    ledger = Ledger("checkpoint fails")
    trace = Strace(w, "pwrite64:error=EIO", path=w.db)
    ledger.post_all(w, 120, padding=BIG)
    w.is_unready("io-error")
    assert w.spooled(), "nothing is spooled"
    trace.stop()
    ledger.recovers(w)
    ledger.close(w, exactly=True)


tap.run(lanes=4)
