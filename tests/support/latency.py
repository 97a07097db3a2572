"""How late this machine is: what a promise of seconds has to allow for."""
import os
import subprocess
import threading
import time

from environment import SLOW
from process import finish_process, start_process
from scratch import Scratch


class Latency:
    """Measures, while it is open, the slowest of many small things: a byte
    goes to another process and back, and a page is synced to the disk, after
    a short sleep. A busy neighbour slows down this and a hook alike."""
    STEPS = 10                  # as slow as that; a hook takes no more
    PAUSE = 0.03                # s

    def __init__(self, folder=None):
        self.path = os.path.join(folder or Scratch.new("latency"), "page")
        self.slowest = 0

    def __enter__(self):
        self.over = threading.Event()
        self.cat = start_process(["cat"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, bufsize=0)
        self.thread = threading.Thread(target=self.measure)
        self.thread.start()
        self.begin = time.monotonic()
        return self

    def measure(self):
        with open(self.path, "wb", 0) as page:
            while True:
                begin = time.monotonic()
                last = self.over.wait(self.PAUSE)
                self.cat.stdin.write(b"x")
                self.cat.stdout.read(1)
                page.write(bytes(4096))
                os.fsync(page.fileno())
                late = time.monotonic() - begin - (0 if last else self.PAUSE)
                self.slowest = max(self.slowest, late)
                if last:
                    return

    def __exit__(self, *_):
        self.took = time.monotonic() - self.begin
        self.over.set()
        self.thread.join()
        self.cat.stdin.close()
        finish_process(self.cat)
        self.cat.stdout.close()
        os.unlink(self.path)

    def within(self, promise, what="it"):
        """Asserts that what was done while this was open took less than so
        many seconds, as far as this machine was not late itself."""
        self.allows(self.took, promise, what)

    def late(self):
        """Seconds that this machine adds to the answer to a hook."""
        return self.STEPS * self.slowest

    def allows(self, took, promise, what="it"):
        """The same of something in there that took so many seconds."""
        print(f"# {took:.3f} s of {promise} s, {self.late():.3f} s late",
              flush=True)
        assert took < promise * SLOW + self.late(), \
            f"{what} took {took} s of {promise} s; late: {self.late()} s"
