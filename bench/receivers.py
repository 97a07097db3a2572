"""What the bench drives: the worker, its peers, and nginx before them."""
import glob
import json
import os
import shutil
import subprocess
import sys

import load
from database import map_everything, query, shell_ok
from environment import BUILD
from expect import until
from hooks import PATH, SECRET
from nginx import Nginx, sample_server
from process import RUNNING, finish_process, start_process
from scratch import Scratch, write_file
from sockets import free_port
from tap import Skip
from worker import BRIEF, Worker

# More than nginx ever has connections open to one: libfcgi holds a thread for
# each that is kept, and whoever finds no thread waits for ever.
THREADS = 512
HERE = load.HERE


class Target:
    """What is driven: its path at nginx, who pays, and how it counts."""

    def __init__(self, name, pid):
        self.name, self.pid = name, pid
        self.path = f"{PATH}/{name}"

    def spooled(self):
        return 0

    def mark(self):
        """Before a run: what is there is not this run's."""

    def count(self, run):
        """What it has kept since mark(), of that run if it can tell; None
        if it keeps nothing."""
        return None


class Table(Target):
    """A receiver that has a row for each hook in a table with an id. With a
    column for the keys that hooks.lua gave them, what comes late, of the run
    before, is not counted."""

    def __init__(self, name, pid, db, table, key=None):
        super().__init__(name, pid)
        self.db, self.table = db, table
        self.own = f"substr({key}, 17, 8) = ?" if key else "? <> ''"
        self.marked = 0

    def one(self, sql, *values):
        return query(self.db, sql, *values)[0][0]

    def mark(self):
        self.marked = self.one(f"SELECT coalesce(max(id), 0) "
                               f"FROM {self.table}")

    def count(self, run):
        return self.one(f"SELECT count(*) FROM {self.table} WHERE id > ? "
                        f"AND {self.own}", self.marked, run)


class WorkerTable(Table):
    def __init__(self, name, worker):
        super().__init__(name, worker.process.pid, worker.db, "webhook",
                         "idempotency_key")
        self.worker = worker

    def spooled(self):
        """How many hooks went to the spool first, since its start."""
        return int(self.worker.metric("hooks_total", 'result="spooled"'))

    def warm(self):
        """Reads the unique indexes once: those of a database in use are in
        memory, where a fill of many GiB leaves only its end."""
        for table in ("webhook", "outbox"):
            for index, in query(self.db, "SELECT name FROM pragma_index_list"
                                "(?) WHERE origin = 'u'", table):
                self.one(f"SELECT count(*) FROM {table} INDEXED BY {index} "
                         f"WHERE +rowid > 0")


class Cold(WorkerTable):
    """The same database, of which the machine has forgotten everything before
    each run: what the worker itself remembers stays."""

    def __init__(self, warm):
        vars(self).update(vars(warm), name=warm.name + "-cold")

    def mark(self):
        super().mark()
        fd = os.open(self.db, os.O_RDWR)
        os.fsync(fd)        # what is not written is not forgotten either
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


# ---- nginx ---------------------------------------------------------------

UPSTREAM = "upstream bench_%s { server %s; keepalive 256; }\n"
# As the sample says of kept connections.
FASTCGI = """fastcgi_pass bench_%s; fastcgi_keep_conn on;
    fastcgi_next_upstream error non_idempotent;"""
# The same for HTTP, with the sample's times.
PROXY = """proxy_pass http://bench_%s%s; proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_next_upstream error non_idempotent; proxy_ignore_client_abort on;
    proxy_connect_timeout 1s; proxy_send_timeout 5s; proxy_read_timeout 10s;
"""


class Front(Nginx):
    """nginx by nginx.conf.sample, with a location more for each upstream:
    they stand beside that of the hooks, and have its limits and buffers."""

    def __init__(self, socket, upstreams):
        self.upstreams = upstreams      # (name, server, directives)
        super().__init__(socket, self.sample_and_more)

    def sample_and_more(self, port, path):
        text = sample_server(port, path)
        own = f"location = {PATH} {{"
        assert own in text, "nginx.conf.sample has no location of the hooks"
        for name, server, how in self.upstreams:
            text = UPSTREAM % (name, server) + text.replace(
                own, f"location = {PATH}/{name} {{ {how} }}\n{own}", 1)
        return text

    def pids(self):
        return [self.process.pid, *load.children(self.process.pid)]


# ---- the receivers -------------------------------------------------------

# What the peers keep a hook in: as few indexes as will do.
PEERS_TABLES = """
PRAGMA journal_mode = WAL;
CREATE TABLE webhook (id INTEGER PRIMARY KEY,
    dedupe_key TEXT NOT NULL UNIQUE, body BLOB NOT NULL);
CREATE TABLE outbox (id INTEGER PRIMARY KEY, webhook_id INTEGER NOT NULL,
    workspace_id TEXT, event TEXT NOT NULL, state TEXT NOT NULL);
CREATE INDEX pending ON outbox (id) WHERE state = 'pending';
CREATE TABLE workspace_map (project TEXT PRIMARY KEY, workspace_id TEXT);
INSERT INTO workspace_map VALUES ('shop', 'ws_bench'),
    ('4509877862268928', 'ws_bench');
"""
NODE = os.path.join(BUILD, "node")    # where better-sqlite3 is installed
# adnanh/webhook answers when this has ended, so 200 means stored.
SCRIPT = """#!/bin/sh
exec sqlite3 -batch -init /dev/null -cmd '.timeout 10000' '%s' \
    "INSERT INTO hook (body) VALUES (readfile('$HOOK'))"
"""


def environment():
    path = [NODE + "/node_modules", os.environ.get("NODE_PATH", "")]
    return dict(os.environ, SENTRY_CLIENT_SECRET=SECRET,
                NODE_PATH=os.pathsep.join(filter(None, path)))


def has_durable():
    """Whether durable.mjs can run here."""
    return bool(shutil.which("node")) and not subprocess.run(
        ["node", "-e", "new (require('better-sqlite3'))(':memory:')"],
        env=environment(), capture_output=True).returncode


class Bench:
    """A worker or several behind nginx with kept connections, and the peers
    by name. The databases lie in a folder of their own on the file system to
    measure."""

    def __init__(self, folder, databases=("outbox",), peers=()):
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        self.others = list(RUNNING)       # not ours to stop
        self.workers, self.targets, self.upstreams = {}, {}, []
        for name in databases:
            self.add_worker(name)
        for name in peers:
            getattr(self, "add_" + name)(name)
        self.nginx = Front(self.first().socket, self.upstreams)

    def first(self):
        return next(iter(self.workers.values()))

    def add(self, target, server, how):
        self.targets[target.name] = target
        self.upstreams.append((target.name, server, how))

    def add_worker(self, name):
        w = Worker(*BRIEF, db=os.path.join(self.folder, name + ".db"))
        self.workers[name] = w
        if not w.value("SELECT count(*) FROM workspace_map"):
            map_everything(w.db, "ws_bench")
        self.add(WorkerTable(name, w), "unix:" + w.socket, FASTCGI % name)

    def add_sample(self, name):
        """The first worker once more, by the sample's own location."""
        target = WorkerTable(name, self.first())
        target.path = PATH
        self.targets[name] = target

    def responder(self, name, *words):
        """One of libfcgi's, in C."""
        program = os.path.join(BUILD, "bench", name)
        if not os.access(program, os.X_OK):
            raise Skip(f"bench/{name} is not built: make bench/{name}")
        socket = os.path.join(Scratch.new(name), "socket")
        process = start_process([program, socket, str(THREADS), *words],
                                env=environment())
        until(lambda: os.path.exists(socket), f"{name} does not listen")
        return process.pid, "unix:" + socket

    def add_empty(self, name):
        pid, server = self.responder(name)
        self.add(Target(name, pid), server, FASTCGI % name)

    def database(self, name, tables):
        db = os.path.join(self.folder, name + ".db")
        shell_ok(db, tables)
        return db

    def add_floor(self, name):
        db = self.database(name, PEERS_TABLES)
        pid, server = self.responder(name, db)
        self.add(Table(name, pid, db, "webhook", "dedupe_key"), server,
                 FASTCGI % name)

    def served(self, name, path, port, argv):
        """A peer that speaks HTTP, on a port."""
        with open(os.path.join(Scratch.new(name), "log"), "wb") as log:
            process = start_process(argv, stdout=log, stderr=log,
                                    env=environment())
        load.wait_for_port(port, process)
        return process.pid, f"127.0.0.1:{port}", PROXY % (name, path)

    def add_durable(self, name):
        db, port = self.database(name, PEERS_TABLES), free_port()
        pid, *where = self.served(name, PATH, port, [
            "node", os.path.join(HERE, "durable.mjs"), str(port), db])
        self.add(Table(name, pid, db, "webhook", "dedupe_key"), *where)

    def add_adnanh(self, name):
        """adnanh/webhook with an HMAC rule and a script that runs sqlite3."""
        folder, port = Scratch.new(name), free_port()
        db = self.database(name, "PRAGMA journal_mode = WAL; CREATE TABLE "
                           "hook (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        script = write_file(os.path.join(folder, "store"), SCRIPT % db, 0o755)
        hooks = write_file(os.path.join(folder, "hooks.json"), json.dumps([{
            "id": "sentry", "execute-command": script,
            "include-command-output-in-response": True,
            "pass-file-to-command": [{"source": "raw-request-body",
                                      "envname": "HOOK"}],
            "trigger-rule": {"match": {
                "type": "payload-hmac-sha256", "secret": SECRET,
                "parameter": {"source": "header",
                              "name": "Sentry-Hook-Signature"}}}}]))
        pid, *where = self.served(name, "/hooks/sentry", port, [
            "webhook", "-hooks", hooks, "-ip", "127.0.0.1", "-port",
            str(port)])
        self.add(Table(name, pid, db, "hook"), *where)

    def url(self, target):
        return f"http://127.0.0.1:{self.nginx.port}{target.path}"

    def stop(self):
        """Ends what it has started, and removes the databases."""
        for w in self.workers.values():
            w.expected = True
        for process in [p for p in RUNNING if p not in self.others]:
            process.terminate()
            try:
                finish_process(process)
            except AssertionError:
                print(f"bench: killed, for it did not end: "
                      f"{process.args[0]}", file=sys.stderr)
        for path in glob.glob(os.path.join(self.folder, "*")):
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def peers():
    """Those that are here."""
    return ["sample", *["durable"] * has_durable(), "floor",
            *["adnanh"] * bool(shutil.which("webhook")), "empty"]
