"""What a test expects: equal() now, until() soon."""
import time

from environment import LIMIT


def equal(got, want, what=""):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def until(condition, why="it never came true"):
    """Polls until condition() is true, and returns what it gave."""
    end = time.monotonic() + LIMIT
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f"after {LIMIT} s: {why}")
        time.sleep(0.02)
