"""The tests of a suite, and their results in TAP."""
import os
import re
import subprocess
import sys
import time
import traceback

from environment import FULL, PROGRAM
from lanes import Lanes
from process import stop_everything
from scratch import Scratch
from worker import Worker


class Skip(Exception):
    """Raised by a test that cannot run here; the text says why."""


class Tap:
    """Collects tests, runs them, prints a line for each in order."""

    def __init__(self):
        self.tests = []
        self.last_tests = []

    def test(self, sentence):
        def add(function):
            self.tests.append((sentence, function))
            return function
        return add

    def table(self, sentence, rows):
        """One test a row: sentence is formatted with the row's first
        member, the function gets the whole row."""
        def add(function):
            for row in rows:
                self.tests.append((sentence.format(row[0]),
                                   lambda row=row: function(*row)))
            return function
        return add

    def last(self, sentence):
        """A test of what all others have left behind: it runs last, also
        when a few tests were chosen."""
        def add(function):
            self.last_tests.append((sentence, function))
            return function
        return add

    def run(self, lanes=1):
        """lanes: how many tests run at a time, if each stands alone: they
        share nothing that a test changes, and none counts on one before it.
        Long forms run one by one, so that each has the machine for its
        load. Words in the arguments choose the tests."""
        only = sys.argv[1:]
        if only:
            self.tests = [t for t in self.tests
                          if any(word in t[0] for word in only)]
        self.last("no worker died by itself or left a memory error")(
            Worker.inspect_all)
        print(f"1..{len(self.tests) + len(self.last_tests)}\n"
              f"# with {versions()}", flush=True)
        bad = 0
        try:
            if lanes > 1 and not FULL:
                bad = Lanes(self.tests, self.last_tests,
                            min(lanes, len(self.tests) or 1), run_one,
                            leave).run()
            else:
                for number, test in enumerate(self.tests + self.last_tests, 1):
                    bad += not run_one(number, *test)
        finally:
            leave(bad)
        sys.exit(1 if bad else 0)


def run_one(number, sentence, function):
    """Runs a test and prints its result; whether it passed."""
    start = time.monotonic()
    try:
        function()
    except Skip as why:
        print(f"ok {number} - {sentence} # SKIP {why}", flush=True)
        return True
    except Exception:
        print(f"not ok {number} - {sentence}")
        for line in traceback.format_exc().splitlines():
            print("# " + line[:2000])
        sys.stdout.flush()
        return False
    took = time.monotonic() - start
    print(f"ok {number} - {sentence}", flush=True)
    if took > 0.5:
        print(f"# {took:.1f} s", flush=True)
    return True


def leave(bad):
    """Ends what was started; files stay if a test failed."""
    stop_everything()
    if bad:
        print(f"# kept: {' '.join(Scratch.made)}", flush=True)
    else:
        Scratch.remove_all()


def versions():
    """Of the libraries and servers whose behaviour differs by release."""
    said = []
    for name, *command in (("SQLite", "pkg-config", "--modversion", "sqlite3"),
                           ("json-c", "pkg-config", "--modversion", "json-c"),
                           # Its own fcgi.pc is behind.
                           ("libfcgi", "dpkg-query", "-W",
                            "-f${Version}", "libfcgi-dev"),
                           ("nats-server", "nats-server", "--version")):
        try:
            text = subprocess.run(command, capture_output=True).stdout
        except OSError:
            text = b""
        found = re.search(rb"\d[\d.]+", text)
        said.append(f"{name} {found[0].decode() if found else 'unknown'}")
    return ", ".join(said)


def skip_all(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(0)


def need_program(*paths):
    """Skips the whole suite unless these are built, and the worker."""
    for path in (PROGRAM, *paths):
        if not os.access(path, os.X_OK):
            skip_all(f"{os.path.basename(path)} is not built")
