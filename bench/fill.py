"""Fills a database fast with rows like real ones: one hook is sent, and its
rows are multiplied by SQL."""
import os
import shutil
import sqlite3
import time

import load
from database import map_everything
from expect import equal, until
from hooks import signed
from worker import Worker

CHUNK = 100000
DAY = 86400000      # ms

# Each row its own; ids come in the order of their keys, all over the range.
KEY = "printf('%08x%024x', n.i * 4294967295 / :rows, n.i)"
BYTES = "key(n.i * 4294967295 / :rows, n.i)"     # of KEY
WEBHOOK = {
    "id": "n.i", "received_at": "t.received_at - :age",
    "request_id": KEY, "idempotency_key": KEY,
    "dedupe_key": BYTES,
}
OUTBOX = {
    "id": "n.i", "webhook_id": "n.i", "event_id": f"'sentry-' || {KEY}",
    "created_at": "t.created_at - :age", "state": ":state",
    "due_at": "t.created_at - :age", "issue_id": "CAST(n.i AS TEXT)",
    "delivered_at": "CASE :state WHEN 'delivered' "
                    "THEN t.created_at - :age END",
}


def statement(db, table, own):
    """INSERT of rows :low to :high, each like row 1 but for its own."""
    columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    return (f"INSERT INTO {table} ({', '.join(columns)}) "
            "WITH RECURSIVE n(i) AS (SELECT :low UNION ALL "
            "SELECT i + 1 FROM n WHERE i < :high) SELECT " +
            ", ".join(own.get(c, "t." + c) for c in columns) +
            f" FROM n, (SELECT * FROM {table} WHERE id = 1) t")


def first_hook(path, body):
    """Makes the database, by a worker that gets one hook."""
    w = Worker(db=path)
    map_everything(path, "ws_bench")
    answer = w.post(body, signed(body, "issue",
                                 idempotency_key=os.urandom(16).hex()))
    equal(answer.status, 200, "the first hook")
    until(lambda: w.value("SELECT count(*) FROM outbox"))
    w.stop()


def outbox(report, folder, name, rows, state, days=0, slim=False):
    """FOLDER/NAME.db with that many rows in that state, and one delivered
    row. Pending ones have observations of 2 KiB. slim: without the raw
    bodies, which delivery never reads. False if the disk is too small."""
    path = os.path.join(folder, name + ".db")
    first_hook(path, load.sized_issue(2048) if state == "delivered" else
               load.long_issue())
    begin = time.monotonic()
    db = sqlite3.connect(path, isolation_level=None)
    db.create_function("key", 2, lambda high, i: high.to_bytes(4, "big") +
                       i.to_bytes(12, "big"))
    # Nobody else is there, and after a crash it is made anew.
    for pragma in ("journal_mode=DELETE", "journal_mode=OFF",
                   "synchronous=OFF", "cache_size=-262144",
                   "ignore_check_constraints=ON"):
        db.execute("PRAGMA " + pragma).fetchall()
    db.execute("UPDATE outbox SET state = 'delivered', delivered_at = due_at")
    own = dict(WEBHOOK, **({"body": "x'7b7d'"} if slim else {}))
    inserts = [statement(db, "webhook", own), statement(db, "outbox", OUTBOX)]
    ok = True
    for low in range(2, rows + 2, CHUNK):
        values = {"low": low, "high": min(low + CHUNK, rows + 2) - 1,
                  "rows": rows + 2, "state": state, "age": days * DAY}
        db.execute("BEGIN")
        for sql in inserts:
            used = {k: v for k, v in values.items() if ":" + k in sql}
            db.execute(sql, used)
        db.execute("COMMIT")
        need = load.size(path) / values["high"] * (rows - values["high"])
        if need > shutil.disk_usage(folder).free * 0.9:
            ok = False
            break
    # The first row too: pruning ends at the first that is young.
    db.execute("UPDATE webhook SET received_at = received_at - ? "
               "WHERE id = 1", (days * DAY,))
    db.execute("UPDATE outbox SET created_at = created_at - ? WHERE id = 1",
               (days * DAY,))
    db.execute("PRAGMA journal_mode=WAL").fetchall()
    db.close()
    if not ok:
        os.unlink(path)
        report.say(f"# {name}: no room here for {rows} rows" +
                   (" without bodies" if slim else ""))
        return False
    sync(path)
    if rows:
        report.say(f"# {name}: {rows} rows {state}"
                   f"{' (without their bodies)' if slim else ''}, "
                   f"{load.size(path) / 2**20:.0f} MiB, filled in "
                   f"{time.monotonic() - begin:.0f} s")
    return True


def sync(path):
    """So that what was filled is not written while others are measured."""
    fd = os.open(path, os.O_RDWR)
    os.fsync(fd)
    os.close(fd)


def mapping(path, rows, patterns):
    """Half by the project's number, half by its slug, some by a pattern. Only
    the row that takes everything, there before, fits the bench's hook: so
    all the others are looked through in vain."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA wal_autocheckpoint=0").fetchall()
    db.execute("BEGIN")
    db.executemany(
        "INSERT INTO workspace_map (project_id, project_slug, workspace_id) "
        "VALUES (?, ?, ?)",
        ((str(10**12 + i) if i % 2 else None,
          None if i % 2 else
          f"team-{i}-*" if i < 2 * patterns else f"team-{i}",
          f"ws_{i}") for i in range(rows)))
    db.execute("COMMIT")
    db.close()
