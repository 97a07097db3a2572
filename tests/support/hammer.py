"""The load generator."""
import os
import subprocess

from environment import BUILD, LIMIT
from expect import equal
from hooks import PATH, SECRET, unique
from process import finish_process, start_process
from scratch import Scratch, read_file, write_file
from tap import Skip


def hammer_program():
    for path in (os.environ.get("SENTRY_TEST_HAMMER", ""),
                 os.path.join(BUILD, "tests", "support", "hammer")):
        if path and os.access(path, os.X_OK):
            return path
    raise Skip("hammer is not built")


class Hammer:
    """Load in the background: for so many seconds, or until result() ends
    it, which gives the figures."""

    def __init__(self, port, seconds=None, folder=None, clients=64, **more):
        self.folder = folder or Scratch.new("hammer")
        self.endless = seconds is None
        self.out = os.path.join(self.folder, f"ids-{unique()}")
        secret = write_file(os.path.join(self.folder, "hammer-secret"), SECRET)
        argv = [hammer_program(), "--port", str(port), "--path", PATH,
                "--secret-file", secret, "--clients", str(clients),
                "--seconds", str(seconds or 86400), "--out", self.out,
                "--timeout-ms", str(LIMIT * 1000)]
        for name, value in more.items():
            argv += ["--" + name.replace("_", "-"), str(value)]
        self.process = start_process(argv, stdout=subprocess.PIPE)

    def result(self):
        if self.endless:
            self.process.terminate()
        code = finish_process(self.process)
        text = self.process.stdout.read().decode()
        self.process.stdout.close()
        equal(code, 0, "hammer's exit status")
        print("# hammer: " + text.strip(), flush=True)
        figures = dict(word.split("=") for word in text.split())
        return {k: float(v) for k, v in figures.items()}

    def ids(self):
        """The hooks that were answered 200."""
        return read_file(self.out).split()


def no_answer_but_200(figures):
    equal((figures["status_other"], figures["broken"]), (0, 0), figures)
    assert figures["ok"] > 0
