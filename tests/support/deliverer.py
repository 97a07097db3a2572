"""Runs of sentry-deliver."""
import os
import subprocess

from environment import DELIVER, MEMORY_ERROR, WRAPPER, clean_environment
from expect import until
from logfmt import LogFile
from outbox import Outbox
from process import finish_process, start_process
from scratch import Scratch

WINDOW = 2000       # rows that are on their way at once, to a stream


class Deliverer(LogFile):
    """One run over an outbox, or over the database of that path. to: its
    sink, from the environment."""
    every = []

    def __init__(self, outbox, *options, to=None, env=None):
        self.outbox = Outbox(db=outbox) if isinstance(outbox, str) else outbox
        self.folder = Scratch.new("deliver")
        self.argv = WRAPPER + [DELIVER, "--db", self.outbox.db, *options]
        self.env = dict(env or {})
        if to is not None:
            self.env["SENTRY_DELIVER_TO"] = to
        self.stderr = os.path.join(self.folder, "stderr")
        self.stdout = os.path.join(self.folder, "stdout")
        Deliverer.every.append(self)
        self.start()

    def start(self):
        with open(self.stderr, "ab") as err, open(self.stdout, "ab") as out:
            self.process = start_process(self.argv, stderr=err, stdout=out,
                                         env=clean_environment(self.env))

    def running(self):
        return self.process.poll() is None

    def says(self, words):
        until(lambda: words in self.log(), f"it never said {words}")

    def has_started(self):
        until(lambda: self.log_events("start"), "it does not start")

    def reaches(self, states, settle=False):
        """Waits until the outbox holds so many rows in these states. settle:
        rows that are acked meanwhile settle at once."""
        def reached():
            if settle:
                self.outbox.let_settle()
            return self.outbox.states() == states
        try:
            until(reached)
        except AssertionError:
            raise AssertionError(f"{self.outbox.states()}, not {states}; "
                                 + self.log()[-2000:])

    def kill(self):
        self.process.kill()
        finish_process(self.process)

    def stop(self):
        self.process.terminate()
        return self.wait()

    def wait(self):
        return finish_process(self.process)

    @classmethod
    def inspect_all(cls):
        """Ends the runs that go on, and looks for memory errors."""
        for run in cls.every:
            if run.running():
                run.stop()
            found = MEMORY_ERROR.search(run.log())
            assert not found, run.log()[max(0, found.start() - 500):][:4000]


def run_once(outbox, *options, **more):
    """A run with --once to its end: the exit status, and the run."""
    run = Deliverer(outbox, "--once", *options, **more)
    return run.wait(), run


def start_printing(db):
    """A deliverer under load, which no test looks at: it prints."""
    return start_process([DELIVER, "--db", db, "--to", "-"],
                         stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, env=clean_environment())


def without_nats():
    """Whether configure was told so, or found no library."""
    with open(DELIVER, "rb") as f:
        return b"built without NATS" in f.read()
