"""One run of sentry-webhooks: how it is started, asked and ended."""
import json
import os
import sqlite3
import subprocess

from database import WriteLock, query, query_value
from environment import MEMORY_ERROR, PROGRAM, SLOW, WRAPPER, clean_environment
from expect import until
from fastcgi import fcgi, params, post_params
from hooks import PATH, SECRET, compact, issue, signed
from logfmt import LogFile
from metrics import metric_sum, parse_metrics
from process import finish_process, start_process
from scratch import Scratch, write_file

BRIEF = ("--commit-wait", "400")    # ms; the program's default
LONG_WAIT = "60000"                 # ms


class Worker(LogFile):
    """A worker on a Unix socket, with a database.

    listen: a listening socket to inherit on fd 0; without one the worker
    makes its own. secret: text for --secret-file, or None for no such file.

    Unless options say otherwise it waits very long for its database: so what
    was answered is in there, and not in the spool because a neighbour is
    busy. Worker(*BRIEF) waits as long as it does by default; that is for
    tests of locked and broken databases.
    """
    every = []

    def __init__(self, *options, folder=None, listen=None, secret=SECRET,
                 db=None, spool=None, env=None, wait=True):
        self.folder = folder or Scratch.new("worker")
        self.db = db or os.path.join(self.folder, "outbox.db")
        self.spool = spool or self.db + "-spool"
        self.listen = listen
        self.socket = listen.getsockname() if listen else \
            os.path.join(self.folder, "socket")
        self.secret_file = os.path.join(self.folder, "secret")
        self.stderr = os.path.join(self.folder, "stderr")
        self.argv = WRAPPER + [PROGRAM, "--db", self.db]
        if secret is not None:
            write_file(self.secret_file, secret + "\n", 0o600)
            self.argv += ["--secret-file", self.secret_file]
        if spool:
            self.argv += ["--spool", spool]
        if not listen:
            self.argv += ["--socket", self.socket]
        self.argv += options
        self.env = env
        self.process = None
        self.expected = False       # a test has told it to end
        Worker.every.append(self)
        self.start(wait)

    def start(self, wait=True):
        self.expected = False
        with open(self.stderr, "ab") as log:
            self.process = start_process(
                self.argv, stderr=log, stdout=subprocess.DEVNULL,
                stdin=self.listen.fileno() if self.listen
                else subprocess.DEVNULL,
                env=clean_environment({
                    "SENTRY_WEBHOOKS_COMMIT_WAIT": LONG_WAIT,
                    **(self.env or {})}))
        if wait:
            until(self.answers, "the worker never answered")
        return self

    def answers(self):
        code = self.process.poll()
        assert code is None, f"the worker ended with {code}: {self.log()}"
        try:
            return self.get(timeout=2 * SLOW).status == 200
        except OSError:
            return False

    def kill(self):
        """kill -9"""
        self.expected = True
        self.process.kill()
        finish_process(self.process)

    def restart(self):
        """kill -9, and another one."""
        self.kill()
        self.start()

    def terminate(self):
        """SIGTERM"""
        self.expected = True
        self.process.terminate()

    def stop(self):
        """SIGTERM, and the exit status that came of it."""
        if self.process.poll() is None:
            self.terminate()
        return finish_process(self.process)

    # Requests, straight on the socket.

    def get(self, path=PATH, method="GET", timeout=None):
        return fcgi(self.socket, params(method, path), b"", timeout)

    def post(self, body, headers=(), length=None, timeout=None, path=PATH):
        return fcgi(self.socket, post_params(body, headers, length, path),
                    body, timeout)

    def send(self, hook=None, resource="issue", secret=SECRET):
        """A hook as Sentry sends it, a new issue's without one: the answer."""
        raw = hook if isinstance(hook, bytes) else compact(hook or issue())
        return self.post(raw, signed(raw, resource, secret))

    def ready(self):
        answer = self.get(PATH + "/ready")
        assert answer.status in (200, 503), answer
        json.loads(answer.body)
        return answer

    def is_unready(self, *words):
        """Waits until /ready says these words about what is wrong, and the
        metrics say that the writer is not up. (A worker for whose small hooks
        there is room may say in between that all is well.)"""
        def is_said():
            answer = self.ready()
            return answer.status == 503 and self.metric("writer_up") == 0 \
                and all(word.encode() in answer.body for word in words)
        until(is_said, f"/ready does not say {words}: {self.ready()}")

    def metrics(self):
        """{name and labels: value}"""
        text = self.get(PATH + "/metrics").body.decode("ascii")
        return parse_metrics(text)[0]

    def metric(self, name, label=""):
        """The sum of its samples, or of those with that label."""
        return metric_sum(self.metrics(), "sentry_webhooks_" + name, label)

    # The database, and the spool.

    def rows(self, sql, *values):
        return query(self.db, sql, *values)

    def value(self, sql, *values):
        return query_value(self.db, sql, *values)

    def hook_count(self):
        return self.value("SELECT count(*) FROM webhook")

    def readable_count(self):
        """hook_count(); -1 while the database cannot be read."""
        try:
            return self.hook_count()
        except sqlite3.Error:
            return -1

    def stores(self, count=1):
        """Waits until it has stored so many more hooks."""
        before = self.hook_count()
        until(lambda: self.hook_count() >= before + count,
              f"no hook comes in: {self.log()[-900:]}")

    def gets_ready(self):
        until(lambda: self.ready().status == 200,
              f"it does not get ready: {self.log()[-900:]}")

    def lock(self):
        return WriteLock(self.db)

    def spooled(self):
        try:
            return sorted(os.listdir(self.spool))
        except FileNotFoundError:
            return []

    def spool_is_empty(self):
        """Nothing waits there. What a kill left half written (.tmp) was
        answered to nobody, and is removed later."""
        return all(name.endswith(".tmp") for name in self.spooled())

    @classmethod
    def inspect_all(cls):
        """Ends the workers that still run, and looks for exit statuses and
        memory errors that no test looked for."""
        bad = []
        for worker in cls.every:
            if worker.process.poll() is None:
                code = worker.stop()
                if code != 0:
                    bad.append(f"SIGTERM gave exit status {code}")
            elif not worker.expected:
                bad.append(f"ended with {worker.process.returncode}")
            else:
                worker.stop()
            found = MEMORY_ERROR.search(worker.log())
            if found:
                at = max(0, found.start() - 500)
                bad.append(worker.log()[at:at + 4000])
        assert not bad, "\n".join(bad)
