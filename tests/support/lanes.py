"""Lanes: tests beside each other."""
import os
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback

from hooks import start_ids
from process import LIBC, PR_SET_PDEATHSIG, RUNNING
from scratch import Scratch
from worker import Worker


class Lanes:
    """Most of the time a test waits, so that several run at once: each lane
    is a process that takes the next test when it is done with one. (Threads
    would not do: start_process() and the limit of descriptors belong to a
    process.) The output of a test goes to a file, and is shown in the order
    of the tests.

    run_one(number, sentence, function) runs a test and prints its result;
    leave(bad) ends what was started.
    """

    def __init__(self, tests, last_tests, count, run_one, leave):
        self.tests, self.last_tests = tests, last_tests
        self.run_one, self.leave = run_one, leave
        self.folder = tempfile.mkdtemp(prefix="sentry-lanes-")
        # A pipe with two bytes for each test: a lane that reads two bytes has
        # that test alone.
        self.numbers, end = os.pipe()
        os.write(end, b"".join(struct.pack("H", n)
                               for n in range(len(self.tests))))
        os.close(end)
        sys.stdout.flush()
        self.lanes = range(count)
        self.running = {self.fork(lane) for lane in self.lanes}

    def run(self):
        """How many tests failed."""
        bad = 0
        for n, (sentence, _) in enumerate(self.tests):
            bad += not self.show(n, sentence, [n])
        while self.running:
            self.reap()
        out = os.dup(1)
        self.run_last("main")   # over what was started before the lanes
        os.dup2(out, 1)
        for n, (sentence, _) in enumerate(self.last_tests, len(self.tests)):
            bad += not self.show(n, sentence, [
                f"{n}-{lane}" for lane in [*self.lanes, "main"]])
        shutil.rmtree(self.folder)
        return bad

    def fork(self, lane):
        parent = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        try:
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() == parent:
                self.work(lane)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)

    def work(self, lane):
        # What was started before belongs to the parent, not to this lane.
        for theirs in RUNNING, Worker.every, Scratch.made:
            theirs.clear()
        start_ids(lane + 1)
        out = os.dup(1)
        bad = 0
        try:
            while number := os.read(self.numbers, 2):
                n, = struct.unpack("H", number)
                bad += not self.run_into_file(n, n, *self.tests[n])
            bad += self.run_last(lane)
        finally:
            os.dup2(out, 1)
            self.leave(bad)

    def run_last(self, lane):
        """The last tests, in each lane; how many failed."""
        return sum(not self.run_into_file(f"{n}-{lane}", n, *test)
                   for n, test in enumerate(self.last_tests,
                                            len(self.tests)))

    def run_into_file(self, name, n, sentence, function):
        path = os.path.join(self.folder, str(name))
        with open(path + ".part", "wb") as f:
            os.dup2(f.fileno(), 1)
        good = self.run_one(n + 1, sentence, function)
        sys.stdout.flush()
        os.rename(path + ".part", path)
        return good

    def show(self, n, sentence, names):
        """Prints a test's result; if each lane has one, the worst."""
        results = [self.result(name) or f"not ok {n + 1} - {sentence}\n"
                   "# its lane ended before it did\n" for name in names]
        wrong = [text for text in results if text.startswith("not ok")
                 or "\nnot ok" in text]
        print((wrong or results)[0], end="", flush=True)
        return not wrong

    def result(self, name):
        """The text, once it is there; None if no lane can write it."""
        path = os.path.join(self.folder, str(name))
        while not os.path.exists(path) and self.running:
            self.reap()
        if os.path.exists(path):
            with open(path, errors="replace") as f:
                return f.read()
        return None

    def reap(self):
        """Waits a little, and forgets the lanes that have ended."""
        time.sleep(0.02)
        self.running -= {pid for pid in self.running
                         if os.waitpid(pid, os.WNOHANG)[0]}
