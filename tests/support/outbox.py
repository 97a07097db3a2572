"""An outbox that a test fills by hand. No other file of the tests in Python
writes rows into the tables webhook and outbox."""
import os
import re
import shutil
import time

from database import open_db, query, query_value, shell_ok
from hooks import INSTALLATION
from scratch import Scratch
from worker import Worker

DAY = 86400000      # ms

# What the columns hold unless a test says otherwise; others are NULL.
HOOK = {"received_at": None, "resource": "issue", "action": "created",
        "installation": INSTALLATION, "secret_name": "the-secret-name",
        "request_id": "the-request-id", "hook_timestamp": None,
        "dedupe_key": None,
        "outcome": "observed", "body": b"the raw body"}
ROW = {"event_id": None, "created_at": None, "workspace_id": "ws_1",
       "store_id": "default", "source_type": "issue.created",
       "source_id": "issue:1", "title": "t",
       "occurred_at": "2026-01-10T20:56:00Z", "source_event": "{}",
       "state": "pending", "attempts": 0, "due_at": None,
       "delivered_at": None}
BLOBS = ("dedupe_key", "body")


def now_ms():
    return int(time.time() * 1000)


def as_bytes(value):
    """A str with surrogates, which stand for bytes that are no UTF-8, as
    these bytes; any other value as it is."""
    if isinstance(value, str) and re.search("[\udc80-\udcff]", value):
        return os.fsencode(value)
    return value


def insert(db, table, row):
    """row: {column: value}; bytes in a column of text come in as that text,
    though they may be no UTF-8. Gives the id."""
    row = {column: as_bytes(value) for column, value in row.items()}
    holes = ["CAST(? AS TEXT)" if isinstance(value, bytes) and
             column not in BLOBS else "?" for column, value in row.items()]
    return db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES "
                      f"({', '.join(holes)})", list(row.values())).lastrowid


def insert_hook(db, **columns):
    return insert(db, "webhook", {**HOOK, **columns})


def insert_row(db, **columns):
    """A hook with its row of the outbox; both get the same id, which is
    given. Columns that both tables name otherwise go to the one or to the
    other."""
    row = {**ROW, **columns}
    if row["created_at"] is None:
        row["created_at"] = now_ms()
    if row["due_at"] is None:
        row["due_at"] = row["created_at"]
    if row["state"] == "unmapped":
        row["workspace_id"] = None
    hook = {column: row.pop(column) for column in HOOK if column in row}
    hook.setdefault("received_at", row["created_at"])
    if "id" in row:
        hook["id"] = row["id"]
    if row["event_id"] is None:
        row["event_id"] = f"sentry-{os.urandom(16).hex()}"
    hook.setdefault("dedupe_key", row["event_id"].encode())
    row["webhook_id"] = insert_hook(db, **hook)
    return insert(db, "outbox", row)


class Outbox:
    """A database as the worker makes it, with so many rows; or a look at the
    one that is there."""
    template = None

    def __init__(self, rows=0, db=None, **columns):
        self.folder = os.path.dirname(db) if db else Scratch.new("outbox")
        self.db = db or os.path.join(self.folder, "outbox.db")
        if not db:
            shutil.copy(self.make_template(), self.db)
        self.filled = 0
        self.fill(rows, **columns)

    @classmethod
    def make_template(cls):
        if not cls.template:
            worker = Worker()
            worker.stop()
            cls.template = worker.db
        return cls.template

    def add_all(self, rows):
        """One for each of these dicts of columns, in one transaction."""
        db = open_db(self.db, write=True)
        db.execute("BEGIN IMMEDIATE")
        ids = [insert_row(db, **row) for row in rows]
        db.execute("COMMIT")
        db.close()
        return ids

    def add(self, id=None, **columns):
        """One row, with that id if there is one."""
        self.add_all([{**columns, **({"id": id} if id else {})}])
        return self

    def fill(self, count, name="row", size=2000, age=0, due=0, **columns):
        """So many rows, with events of that size, which came age ms ago and
        are due in as many ms; their event ids come in order, with that
        name in them, and are given."""
        if not count:
            return []
        at = now_ms() - age
        ids = [f"sentry-{name}-{self.filled + i:07d}" for i in range(count)]
        self.filled += count
        columns = {
            "created_at": at, "due_at": at + due, "source_event":
            '{"source":"sentry","body":"%s"}' % ("x" * size), "delivered_at":
            at if columns.get("state") == "delivered" else None, **columns}
        self.add_all({"event_id": id, **columns} for id in ids)
        return ids

    def add_hooks(self, hooks):
        """Hooks that have no row in the outbox: dicts of columns."""
        db = open_db(self.db, write=True)
        db.execute("BEGIN IMMEDIATE")
        for hook in hooks:
            insert_hook(db, **hook)
        db.execute("COMMIT")
        db.close()

    def do(self, sql, *values):
        db = open_db(self.db, write=True)
        try:
            return db.execute(sql, values).rowcount
        finally:
            db.close()

    def shell(self, sql):
        return shell_ok(self.db, sql)

    def let_settle(self):
        """As if the time of --settle were over for all that is acked. The
        pauses between rows stay: by them the deliverer knows which rows it
        has published together."""
        self.do("UPDATE outbox SET due_at = due_at - 1000000000000 "
                "WHERE state = 'acked' AND due_at > 1000000000000")

    def rows(self, sql, *values):
        return [tuple(row) for row in query(self.db, sql, *values)]

    def value(self, sql, *values):
        return query_value(self.db, sql, *values)

    def dead(self):
        """The dead rows, with their columns by name."""
        return query(self.db, "SELECT * FROM outbox WHERE state = 'dead'")

    def states(self):
        return dict(self.rows("SELECT state, count(*) FROM outbox "
                              "GROUP BY state"))

    def count(self, where):
        return self.value(f"SELECT count(*) FROM outbox WHERE {where}")

    def nothing_pending(self):
        return "pending" not in self.states()

    def ids(self):
        return [row[0] for row in self.rows(
            "SELECT event_id FROM outbox ORDER BY id")]
