"""The worker's database, as a test sees it: by a connection, or by the plain
sqlite3 shell."""
import sqlite3
import subprocess

from environment import LIMIT
from expect import equal


def open_db(path, write=False):
    """A connection that never checkpoints while the worker is there, and
    never waits for the disk: a crash of the machine may lose what a test
    writes."""
    mode = "rw" if write else "ro"
    db = sqlite3.connect(f"file:{path}?mode={mode}", uri=True, timeout=LIMIT,
                         isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA wal_autocheckpoint=0")
    db.execute("PRAGMA synchronous=OFF")
    return db


def query(path, sql, *values):
    db = open_db(path)
    try:
        return db.execute(sql, values).fetchall()
    finally:
        db.close()


def query_value(path, sql, *values):
    """The first column of the first row."""
    return query(path, sql, *values)[0][0]


class WriteLock:
    """The write lock, as a person at the shell may hold it: hooks go to the
    spool until release()."""

    def __init__(self, path):
        self.db = open_db(path, write=True)
        self.db.execute("BEGIN IMMEDIATE")

    def release(self, keep=False):
        """keep: what was written meanwhile."""
        self.db.execute("COMMIT" if keep else "ROLLBACK")
        self.db.close()


class Snapshot:
    """A reader that holds a snapshot until release()."""

    def __init__(self, path):
        self.db = open_db(path)
        self.db.execute("BEGIN")
        self.count()

    def count(self):
        """How many hooks there are in it."""
        return self.db.execute("SELECT count(*) FROM webhook").fetchone()[0]

    def release(self):
        self.db.close()


def sqlite_shell(path, sql):
    """The plain sqlite3 shell, as a person would use it."""
    return subprocess.run(
        ["sqlite3", "-batch", "-init", "/dev/null", "-cmd",
         f".timeout {LIMIT * 1000}", path, sql],
        capture_output=True, text=True, timeout=LIMIT)


def shell_ok(path, sql):
    done = sqlite_shell(path, sql)
    equal((done.returncode, done.stderr), (0, ""), sql)
    return done.stdout


def map_everything(path, workspace="ws_test"):
    """A row of workspace_map that fits every hook."""
    shell_ok(path, "INSERT INTO workspace_map (workspace_id) "
             f"VALUES ('{workspace}')")
