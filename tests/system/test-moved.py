#!/usr/bin/env python3
"""A database that is not what it was: moved, replaced, cut, overwritten,
without its log, behind a link, while hooks come in and others are
connected."""
import contextlib
import os
import re
import shutil
import signal
import sqlite3
import time

from database import Snapshot, map_everything, open_db, shell_ok
from deliverer import start_printing
from expect import equal, until
from hammer import no_answer_but_200
from hooks import BIG, issue
from latency import Latency
from ledger import Ledger
from process import has_open, pause_process, stop_process
from scratch import Scratch, read_file
from tap import Tap, need_program
from webhook_site import Site, on_site
from worker import Worker

need_program()
tap = Tap()


@tap.test("a database moved away under load: its WAL goes with it")
@on_site
def database_moved_under_load(site, w):
    ledger = Ledger("database moved away under load")
    load = site.hammer()
    old = []
    for n in range(3):
        w.stores(100)
        old.append(f"{w.db}.{n}")
        os.rename(w.db, old[-1])
        until(lambda: os.path.exists(w.db) and w.readable_count() > 50,
              f"no new one: {w.log()[-900:]}")
    no_answer_but_200(ledger.load(load))
    assert "fault=file-replaced" in w.log()
    ledger.close_over(w, *old)


@tap.test("a database replaced by another one under load: both are whole")
def database_replaced_under_load():
    other = Worker()
    other_ledger = Ledger("database replaced under load")
    other_ledger.post_all(other, 20)
    equal(other.stop(), 0)
    site = Site()
    w = site.worker
    load = site.hammer()
    until(lambda: w.hook_count() > 300, "no hook comes in")
    os.link(w.db, w.db + ".old")
    os.rename(other.db, w.db)           # and the WAL stays where it is
    until(lambda: w.readable_count() > 100, f"not taken: {w.log()[-900:]}")
    no_answer_but_200(other_ledger.load(load))
    other_ledger.close_over(w, w.db + ".old")
    site.close()


def unmapped_site():
    site = Site()
    shell_ok(site.worker.db, "DELETE FROM workspace_map")
    return site


def moved(w):
    os.rename(w.db, w.db + ".old")


def replaced(w):
    other = Worker()
    map_everything(other.db)
    for _ in range(20):
        equal(other.send().status, 200)
    other.stop()
    os.link(w.db, w.db + ".old")
    os.rename(other.db, w.db)


def moved_with_all(w):
    for suffix in "-shm", "-wal", "":
        os.rename(w.db + suffix, w.db + ".old" + suffix)


@tap.test("a deliverer does not open what came in its database's place while "
          "the old log stands beside it")
@on_site
def deliverer_waits_for_old_log(site, w):
    busy = start_printing(w.db)
    ledger = Ledger("replaced, and a deliverer waits for the old log")
    load = site.hammer(clients=8)
    until(lambda: w.hook_count() > 300, "no hook comes in")
    reader = Snapshot(w.db)
    w.stores(100)
    until(lambda: has_open(busy, w.db))
    replaced(w)
    until(lambda: "event=database-moved" in w.log(), w.log()[-900:])
    time.sleep(2.5)                     # the fault's length, not luck
    assert not has_open(busy, w.db), "it has opened the new one"
    reader.release()
    until(lambda: w.log_count("event=database-open") > 1, w.log()[-900:])
    until(lambda: has_open(busy, w.db), "it never opens the new one")
    no_answer_but_200(ledger.load(load))
    until(w.spool_is_empty)
    stop_process(busy)
    ledger.close_over(w, w.db + ".old")


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
    other = start_printing(w.db)
    ledger = Ledger(f"database {name}, others connected")
    load = site.hammer()
    until(lambda: w.hook_count() > 300, "no hook comes in")
    reader = open_db(w.db)
    if snapshot:
        reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM webhook").fetchone()
    w.stores(100)
    away(w)
    if snapshot:                        # its log cannot go with it yet
        until(lambda: len(w.spooled()) > 50, w.log()[-900:])
        until(lambda: "event=database-moved" in w.log(), w.log()[-900:])
        reader.execute("COMMIT")
    # A shell that opens the new file earlier would see the old log.
    until(lambda: w.log_count("event=database-open") > 1, w.log()[-900:])
    until(lambda: w.readable_count() > 100, "no hook comes in")
    no_answer_but_200(ledger.load(load))
    until(w.spool_is_empty)
    reader.close()
    stop_process(other)
    ledger.close_over(w, w.db + ".old")
    site.close()


@tap.table("the {} deleted under the worker: what was answered stays", [
    ("write-ahead log", ["-wal"]), ("log's index", ["-shm"]),
    ("log and its index", ["-wal", "-shm"])])
@on_site
def log_files_deleted(site, w, name, suffixes):
    ledger = Ledger(f"{name} deleted under the worker")
    ledger.post_all(w, 13)
    for suffix in suffixes:
        os.unlink(w.db + suffix)
    until(lambda: w.log_count("event=database-open") == 2,
          f"it goes unnoticed: {w.log()[-900:]}")
    ledger.post_all(w, 3)
    w.restart()
    ledger.close(w, exactly=True)
    load = site.hammer()
    until(lambda: w.readable_count() > 100, "no hook comes in")
    opened = w.log_count("event=database-open")
    for suffix in suffixes:             # the same under load
        os.unlink(w.db + suffix)
    until(lambda: w.log_count("event=database-open") > opened)
    w.stores(100)
    no_answer_but_200(ledger.load(load))
    w.restart()
    ledger.close(w, exactly=True)


@tap.test("VACUUM by a shell under load is taken for what it is")
@on_site
def vacuum_under_load(site, w):
    ledger = Ledger("VACUUM under load")
    for _ in range(200):                # half are to go, and what stays is
        equal(w.send(issue(padding=BIG)).status, 200)     # long, too
    until(w.spool_is_empty)
    stay = w.value("SELECT count(*) FROM webhook WHERE id > 100")
    load = site.hammer(clients=2)
    w.stores(100)
    size = os.path.getsize(w.db)
    shell_ok(w.db, "DELETE FROM outbox WHERE id <= 100; DELETE FROM "
             "webhook WHERE id <= 100; VACUUM")
    sizes = [size]                      # it grows on, before and after

    def is_smaller():
        sizes.append(os.path.getsize(w.db))
        return sizes[-1] < max(sizes)

    until(is_smaller, "it does not get smaller")
    w.stores(100)
    no_answer_but_200(ledger.load(load))
    for fault in ("file-replaced", "corrupt", "io-error"):
        assert f"fault={fault}" not in w.log(), fault
    # What did not come through while VACUUM had the lock is in the spool.
    until(w.spool_is_empty)
    equal(w.hook_count(), stay + len(ledger.ids))
    ledger.close_over(w)


@tap.test("through a symbolic link it is the same database to all, and a link "
          "that is moved is followed")
def symbolic_link_is_followed():
    folder = Scratch.new("link")
    real = [os.path.join(Scratch.new("real"), "o.db") for _ in range(2)]
    link = os.path.join(folder, "outbox.db")
    for path in real:
        Worker(db=path).stop()
    os.symlink(real[0], link)
    site = Site(db=link, spool=folder + "/spool")
    w = site.worker
    shell_ok(real[0], "DELETE FROM workspace_map")
    ledger = Ledger("through a symbolic link")
    idle = start_printing(w.db)
    load = site.hammer()
    until(lambda: w.hook_count() > 300, "no hook comes in")
    equal(sorted(os.listdir(folder)), ["outbox.db", "spool"])
    assert w.metric("wal_bytes") > 0
    # A shell knows nothing of the link.
    shell_ok(real[0], "INSERT INTO workspace_map (project_id, "
             "workspace_id) VALUES ('7', 'w')")
    os.symlink(real[1], link + ".new")
    os.rename(link + ".new", link)
    until(lambda: w.readable_count() > 100, w.log()[-900:])
    no_answer_but_200(ledger.load(load))
    until(w.spool_is_empty)
    stop_process(idle)
    ledger.close_over(w, real[0])
    site.close()


@tap.test("the newest hook's row is deleted by hand: those that follow come "
          "in")
@on_site
def newest_row_deleted(site, w):
    ledger = Ledger("newest row deleted by hand")
    for _ in range(3):
        equal(w.send().status, 200)
    shell_ok(w.db, "DELETE FROM webhook WHERE id = 3")
    ledger.post_all(w, 5)
    until(lambda: w.hook_count() == 7 or any(
        name.endswith(".bad") for name in w.spooled()))
    equal((w.hook_count(), w.spooled()), (7, []), w.log()[-900:])
    equal(w.value("SELECT count(*) FROM outbox"), 8)
    equal(w.ready().status, 200)


def held_log(name):
    """A site whose last five hooks stand in the log alone, since a reader
    holds a snapshot."""
    site = Site()
    w = site.worker
    ledger = Ledger(name)
    ledger.post_all(w, 100, padding="x" * 3000)
    until(w.spool_is_empty)
    reader = Snapshot(w.db)
    equal(reader.count(), 100)
    ledger.post_all(w, 5)
    until(w.spool_is_empty)
    return site, ledger, reader


@tap.test("a log without its database is not taken for a new one's, nor "
          "thrown away")
def foreign_log_is_left_alone():
    site, ledger, reader = held_log("moved after a kill, without its log")
    w = site.worker
    w.kill()
    moved(w)
    reader.release()
    w.start()
    ledger.post_all(w, 3)
    w.is_unready("io-error")
    assert "the log of another database" in w.log(), w.log()[-900:]
    equal(len(w.spooled()), 3)
    os.rename(w.db + "-wal", w.db + ".old-wal")     # where it belongs
    ledger.recovers(w)
    ledger.close_over(w, w.db + ".old")
    site.close()


@tap.table("a worker {} while an old log waits: both databases are sound", [
    ("killed, its database moved", Worker.kill, moved),
    ("killed, its database replaced", Worker.kill, replaced),
    ("stopped, its database replaced", Worker.stop, replaced)])
def worker_ends_while_old_log_stays(name, end, away):
    site, ledger, reader = held_log(name)
    w = site.worker
    away(w)
    until(lambda: "event=database-moved" in w.log(), w.log()[-900:])
    ledger.post_all(w, 3)
    end(w)
    reader.release()
    w.start()
    ledger.recovers(w)
    log, = (n for n in os.listdir(site.folder)
            if n.startswith("outbox.db-wal."))
    os.rename(os.path.join(site.folder, log), w.db + ".old-wal")
    ledger.close_over(w, w.db + ".old")
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
    ledger = Ledger("")
    for _ in range(60):
        equal(ledger.post(site.worker, padding=BIG), 200)
    return site, ledger


def delivered_count(w):
    return w.value("SELECT count(*) FROM outbox WHERE state = 'delivered'")


def pause_between_transactions(w, process):
    """Pauses it where it holds none of the locks of SQLite's index, which are
    on the bytes from 120 on (128: that it is connected)."""
    index = os.stat(w.db + "-shm").st_ino
    lock = re.compile(rf" {process.pid} \S+:{index} 12[0-7] ")

    def holds_none():
        pause_process(process)
        if not lock.search(read_file("/proc/locks")):
            return True
        process.send_signal(signal.SIGCONT)
        return False

    until(holds_none, "it holds a lock")


@contextlib.contextmanager
def all_stopped(*processes):
    """What happens meanwhile, they notice later."""
    paused = [p for p in processes if p is not None]
    try:
        for process in paused:
            pause_process(process)
        yield
    finally:
        for process in paused:
            process.send_signal(signal.SIGCONT)


def close_filled(site, ledger, busy, delivered, name):
    w = site.worker
    if busy is not None:
        until(lambda: delivered_count(w) == delivered)
        stop_process(busy)
    ledger.name = name
    ledger.close_over(w)
    site.close()


def delete_log(w):
    for suffix in "-wal", "-shm":
        os.unlink(w.db + suffix)


def start_anew(w):
    """Renames the database and its log, as a person would."""
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
    with Latency(site.folder) as latency:
        time.sleep(1.2)
    time.sleep(latency.late())          # the writer may be as late
    until(lambda: w.ready().status == 200 or
          b'"writer":"corrupt"' in w.ready().body, "it goes unnoticed")
    healed = w.ready().status == 200     # with what was in the WAL
    ledger = Ledger(f"database {name} under load")
    ledger.post_all(w, 10)
    if not healed:
        w.is_unready('"writer":"corrupt"')
        assert "event=database-fault" in w.log()
        assert len(w.spooled()) >= 10, w.spooled()
        start_anew(w)
    ledger.recovers(w)
    ledger.close_over(w)
    site.close()


@tap.table("a database {} at the start: the spool, until it is repaired",
           DAMAGES[1:])
def database_damaged_at_start(name, damage):
    site, _ = filled()
    w = site.worker
    equal(w.stop(), 0)
    damage(w.db)
    ledger = Ledger(f"database {name} at the start")
    w.start()
    ledger.post_all(w, 10)
    w.is_unready()
    ledger.post_all(w, 10)
    assert "event=database-fault" in w.log()
    assert len(w.spooled()) >= 10, w.spooled()
    start_anew(w)
    until(lambda: os.path.exists(w.db), "no new database")
    ledger.recovers(w)
    ledger.close_over(w)
    site.close()


def compact_copy(db, path):
    shell_ok(db, f"VACUUM INTO '{path}'")
    return path


@tap.test("a database replaced while nothing happens: its log goes into it")
def replaced_while_idle():
    w, other = Worker(), Worker()
    for _ in range(20):
        equal(other.send().status, 200)
    equal(other.stop(), 0)
    old, want = [], [5] + [26] * 7
    for n in range(len(want)):
        # Each has its tables on other pages than the one before.
        copy = compact_copy(other.db, w.db + ".new") if n % 2 == 0 else \
            shutil.copy(other.db, w.db + ".new")
        for _ in range(5):
            equal(w.send().status, 200)
        old.append(f"{w.db}.{n}")
        os.link(w.db, old[-1])
        time.sleep(n / 8)           # at any time between two of its looks
        os.rename(copy, w.db)
        until(lambda: w.log_count("event=database-open") == n + 2,
              w.log()[-900:])
        w.gets_ready()
        equal(w.send().status, 200)
        until(w.spool_is_empty)
        equal(w.hook_count(), 21)
    for path, count in zip(old, want):
        equal(shell_ok(path, "PRAGMA integrity_check; "
                       "SELECT count(*) FROM webhook").split(),
              ["ok", str(count)])
    assert "fault=corrupt" not in w.log(), w.log()[-900:]


@tap.test("a sound database in place of a damaged one is not given its log")
def replaced_after_damage():
    w = Worker()
    for _ in range(20):
        equal(w.send().status, 200)
    sound = compact_copy(w.db, w.db + ".new")
    for _ in range(5):
        equal(w.send().status, 200)
    with open(w.db, "r+b") as file:
        file.write(os.urandom(os.path.getsize(w.db)))
    w.is_unready("corrupt")
    os.rename(sound, w.db)
    w.gets_ready()
    equal(w.send().status, 200)
    until(w.spool_is_empty)
    equal(shell_ok(w.db, "PRAGMA integrity_check; SELECT count(*) >= 21 "
                   "FROM webhook").split(), ["ok", "1"])


@tap.test("nor is one in place of a database that was damaged at the start")
def replaced_after_damage_at_start():
    w = Worker()
    for _ in range(20):
        equal(w.send().status, 200)
    sound = compact_copy(w.db, w.db + ".new")
    w.restart()
    # The log has pages, but not the first one, which is to be damaged.
    shell_ok(w.db, "UPDATE outbox SET attempts = 1")
    w.kill()
    with open(w.db, "r+b") as file:
        file.write(os.urandom(100))
    w.start()
    w.is_unready()
    os.rename(sound, w.db)
    w.gets_ready()
    equal(w.send().status, 200)
    until(w.spool_is_empty)
    equal(shell_ok(w.db, "PRAGMA integrity_check; SELECT count(*) "
                   "FROM webhook").split(), ["ok", "21"])


@tap.test("one that is replaced long after a fault is retired as any other")
def replaced_long_after_fault():
    w = Worker()
    for _ in range(5):
        equal(w.send().status, 200)
    sound = compact_copy(w.db, w.db + ".new")
    with open(w.db, "r+b") as file:
        head = file.read(16)
        file.seek(0)
        file.write(b"\0" * 16)
        file.flush()
        w.is_unready("corrupt")
        file.seek(0)
        file.write(head)
    w.gets_ready()
    os.link(w.db, w.db + ".old")
    os.rename(sound, w.db)
    until(lambda: w.log_count("event=database-open") == 3, w.log()[-900:])
    w.gets_ready()
    assert "event=database-retired" not in w.log(), w.log()[-900:]


@tap.test("a database behind a link does not leave its log at the link")
def log_beside_a_link():
    w = Worker()
    real = os.path.join(Scratch.new("other-disk"), "outbox.db")
    for _ in range(20):
        equal(w.send().status, 200)
    w.kill()
    os.rename(w.db, real)
    os.symlink(real, w.db)
    w.start()
    equal(w.ready().status, 503)
    assert "the log of another database" in w.log(), w.log()[-900:]
    equal(w.send().status, 200)         # by way of the spool
    os.rename(w.db + "-wal", real + "-wal")
    w.gets_ready()
    until(w.spool_is_empty)
    equal(w.hook_count(), 21)


@tap.table("its {} deleted, and a shell opens it: none lost, none corrupt", [
    ("-wal",), ("-shm",)])
@on_site
def log_deleted_then_shell(site, w, suffix):
    ledger = Ledger(f"{suffix} deleted, then a shell")
    ledger.post_all(w, 5)
    pause_between_transactions(w, w.process)
    os.unlink(w.db + suffix)
    lock = open_db(w.db, write=True)
    edit = "INSERT INTO workspace_map (project_slug, workspace_id)" \
        " VALUES (?, 'w')"
    kept = []
    for slug in "abcdefghijkl":
        try:
            lock.execute(edit, (slug,))
            kept.append(slug)
        except sqlite3.Error:           # it cannot read its log
            pass
        os.kill(w.process.pid, signal.SIGCONT)
        equal(ledger.post(w), 200)
        until(lambda: w.spool_is_empty() and w.ready().status == 200,
              "not while the shell is there")
    lock.close()
    if suffix == "-shm":                # the log was never gone
        equal([row[0] for row in w.rows(
            "SELECT project_slug FROM workspace_map"
            " WHERE project_slug NOT NULL ORDER BY 1")], kept)
    ledger.close_over(w)


@tap.table("log and index deleted, and a shell begins new ones{}: all hooks "
           "stay", [("", False), (", beside a deliverer", True)])
def shell_begins_rival_log(name, delivers):
    site, ledger = filled()
    w = site.worker
    busy = start_printing(w.db) if delivers else None
    until(lambda: not delivers or delivered_count(w) == 60)
    ledger.post_all(w, 5)               # only the log has these
    with all_stopped(w.process, busy):
        delete_log(w)
        shell = open_db(w.db, write=True)
        # Overflow pages: numbers of pages that the old log has as well.
        shell.execute("UPDATE outbox SET last_error = hex(zeroblob(9000))")
    ledger.post_all(w, 5)
    until(lambda: w.log_count("event=log-set-aside"), w.log()[-900:])
    until(lambda: w.spool_is_empty() and w.ready().status == 200)
    ledger.post_all(w, 5)
    shell.close()
    close_filled(site, ledger, busy, 75,
                 f"log and index deleted, and a shell begins new ones{name}")


@tap.table("log and index deleted while a shell reads{}: nothing that it "
           "writes later takes a hook", [
               ("", True, False), (", beside a deliverer", True, True),
               (", beside a deliverer alone", False, True)])
def shell_reads_before_retirement(name, works, delivers):
    site, ledger = filled()
    w = site.worker
    busy = start_printing(w.db) if delivers else None
    until(lambda: not delivers or delivered_count(w) == 60)
    ledger.post_all(w, 5)               # only the log has these
    until(lambda: not delivers or delivered_count(w) == 65)
    if not works:
        w.kill()
    with all_stopped(w.process if works else None, busy):
        delete_log(w)
        shell = open_db(w.db, write=True)
        for table in "outbox", "webhook":   # their pages stay in its memory
            shell.execute(f"SELECT * FROM {table}").fetchall()
    until(lambda: os.path.getsize(w.db + "-wal") > 0, "a commit, for others")
    shell.execute("UPDATE outbox SET last_error = 'by hand' WHERE id > 50")
    shell.close()
    if not works:
        w.start()
    ledger.post_all(w, 5)
    close_filled(site, ledger, busy, 70,
                 f"log and index deleted while a shell reads{name}")


@tap.test("log and index deleted, and the deliverer begins new ones: the "
          "worker joins it")
def deliverer_begins_new_log():
    site, ledger = filled()
    w = site.worker
    busy = start_printing(w.db)
    until(lambda: delivered_count(w) == 60)
    pause_between_transactions(w, busy)
    ledger.post_all(w, 5)
    until(w.spool_is_empty)
    pause_between_transactions(w, w.process)
    delete_log(w)
    os.kill(busy.pid, signal.SIGCONT)
    until(lambda: os.path.exists(w.db + "-wal") and
          delivered_count(w) == 65)
    os.kill(w.process.pid, signal.SIGCONT)
    ledger.post_all(w, 5)
    until(lambda: delivered_count(w) == 70)
    assert "event=log-set-aside" not in w.log(), w.log()[-900:]
    close_filled(site, ledger, busy, 70, "log and index deleted, and the "
                 "deliverer begins new ones")


tap.run(lanes=4)
