"""An outbox that is filled by hand, and runs of sentry-deliver over it."""
import os
import shutil
import time

import harness as h
from harness import until

DELIVER = os.path.join(h.BUILD, "sentry-deliver")
WINDOW = 2000       # rows that it has on their way at once, to a stream


class Outbox:
    """A database as the worker makes it, filled by hand."""
    empty = None

    def __init__(self, rows=0, **more):
        if not Outbox.empty:
            worker = h.Worker()
            worker.stop()
            Outbox.empty = worker.db
        self.folder = h.Scratch.new("outbox")
        self.db = os.path.join(self.folder, "outbox.db")
        shutil.copy(Outbox.empty, self.db)
        self.next = 1
        self.fill(rows, **more)

    def fill(self, n, workspace="ws_1", size=100):
        source = h.compact({"source": "sentry", "body": "x" * size}).decode()
        now = int(time.time() * 1000) - 10**6
        db = h.open_db(self.db, write=True)
        with db:
            db.execute("BEGIN IMMEDIATE")
            for i in range(self.next, self.next + n):
                db.execute(
                    "INSERT INTO webhook (id, received_at, resource, "
                    "dedupe_key, outcome, body) VALUES (?, ?, 'issue', "
                    "CAST(? AS BLOB), 'observed', x'')", (i, now + i, str(i)))
                db.execute(
                    "INSERT INTO outbox (webhook_id, event_id, created_at, "
                    "workspace_id, store_id, source_type, source_id, title,"
                    " occurred_at, source_event, state, due_at) VALUES "
                    "(?, ?, ?, ?, 'default', 'issue.created', 'issue:1', "
                    "'t', 'o', ?, 'pending', ?)",
                    (i, "sentry-%032x" % i, now + i, workspace, source,
                     now + i))
            db.execute("COMMIT")
        db.close()
        self.next += n

    def do(self, sql, *values):
        db = h.open_db(self.db, write=True)
        db.execute(sql, values)
        db.close()

    def settle(self):
        """As if the time of --settle were over for what is acked. The pauses
        between rows stay: by them the deliverer knows what came together."""
        self.do("UPDATE outbox SET due_at = due_at - 1000000000000 "
                "WHERE state = 'acked' AND due_at > 1000000000000")

    def rows(self, sql, *values):
        return [tuple(row) for row in h.rows(self.db, sql, *values)]

    def states(self):
        return dict(self.rows("SELECT state, count(*) FROM outbox "
                              "GROUP BY state"))

    def ids(self):
        return [row[0] for row in self.rows(
            "SELECT event_id FROM outbox ORDER BY id")]


class Deliver:
    """One run of sentry-deliver."""
    every = []

    def __init__(self, outbox, to, *options, env=None):
        self.outbox = outbox
        self.argv = h.WRAPPER + [DELIVER, "--db", outbox.db, "--to", to,
                                 *options]
        self.env = env
        self.stderr = os.path.join(outbox.folder, "stderr")
        Deliver.every.append(self)
        self.start()

    def start(self):
        with open(self.stderr, "ab") as log:
            self.process = h.start(self.argv, stderr=log, stdout=log,
                                   env=h.clean_environment(self.env))

    def running(self):
        return self.process.poll() is None

    def log(self):
        with open(self.stderr, errors="replace") as f:
            return f.read()

    def says(self, words):
        until(lambda: words in self.log(), f"it never said {words}")

    def reaches(self, states, settle=False):
        """Waits until the outbox holds so many rows in these states; what
        gets acked meanwhile settles at once if settle says so."""
        def reached():
            if settle:
                self.outbox.settle()
            return self.outbox.states() == states
        try:
            until(reached)
        except AssertionError:
            raise AssertionError(f"{self.outbox.states()}, not {states}; "
                                 + self.log()[-2000:])

    def kill(self):
        self.process.kill()
        h.finish(self.process)

    def stop(self):
        self.process.terminate()
        return self.ends()

    def ends(self):
        code = h.finish(self.process)
        assert not h.MEMORY_ERROR.search(self.log()), self.log()[-4000:]
        return code


def once(outbox, to, *options, env=None):
    deliver = Deliver(outbox, to, "--once", *options, env=env)
    return deliver.ends(), deliver.log()


def without_nats():
    """Whether configure was told so, or found no library."""
    with open(DELIVER, "rb") as f:
        return b"built without NATS" in f.read()


def run(tap):
    """Runs the tests, and looks at last at what each deliverer has said."""
    @tap.last("no run of sentry-deliver left a memory error")
    def no_memory_error():
        for deliver in Deliver.every:
            found = h.MEMORY_ERROR.search(deliver.log())
            assert not found, \
                deliver.log()[max(0, found.start() - 500):][:4000]

    tap.run(lanes=4)
