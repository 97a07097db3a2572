"""strace: watches the system calls of a running worker, or makes them fail."""
import os
import re
import shutil
import subprocess

from environment import SLOW
from expect import until
from hooks import unique
from process import finish_process, start_process
from tap import Skip


def need_strace():
    works = shutil.which("strace") and subprocess.run(
        ["strace", "-o", os.devnull, "true"], check=False,
        stderr=subprocess.DEVNULL).returncode == 0
    if not works or SLOW > 1:
        raise Skip("no strace that works here")


class Strace:
    """inject: what strace's -e inject= takes; calls: the names of more calls
    to watch; path: only calls about that file."""

    def __init__(self, w, *inject, calls=None, path=None):
        self.worker = w
        self.log = os.path.join(w.folder, f"trace-{unique()}")
        argv = ["strace", "-f", "-qq", "-y", "-s", "4096", "-o", self.log,
                "-p", str(w.process.pid), "-e", "signal=none"]
        names = [i.split(":")[0] for i in inject] + (calls or [])
        if names:
            argv += ["-e", "trace=" + ",".join(names)]
        for i in inject:
            argv += ["-e", "inject=" + i]
        if path:
            argv += ["-P", path]
        self.process = start_process(argv, stderr=subprocess.DEVNULL)
        until(self.attached, "strace does not start")

    def attached(self):
        if self.process.poll() is not None:
            # It ended together with the worker, which was killed.
            until(lambda: self.worker.process.poll() is not None,
                  "strace ended")
            return True
        pid = self.worker.process.pid
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/status") as f:
                    if re.search(r"^TracerPid:\t0$", f.read(), re.M):
                        return False
        except OSError:             # it is about to die
            return False
        return True

    def lines(self):
        with open(self.log, errors="replace") as f:
            return f.readlines()

    def injected(self):
        """How many calls were made to fail or to hang."""
        return sum("INJECTED" in line for line in self.lines())

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            self.process.kill()     # it may wait for a process that is dead
        finish_process(self.process)
