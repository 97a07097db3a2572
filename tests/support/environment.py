"""Where the sources and the programs under test are, how patient the tests
are, and the environment that a program gets. From the environment:

  top_srcdir, top_builddir   as automake gives them; else this repository
  SENTRY_TEST_WRAPPER        words put before each program (valgrind ...)
  RUNTESTS_FULL              1: the long forms of the load and fault tests
"""
import contextlib
import os
import re
import shlex

HERE = os.path.dirname(os.path.abspath(__file__))
SRC = os.path.abspath(os.environ.get(
    "top_srcdir", os.path.dirname(os.path.dirname(HERE))))
BUILD = os.path.abspath(
    os.environ.get("top_builddir", os.path.join(SRC, "build")))
PROGRAM = os.path.join(BUILD, "sentry-webhooks")
DELIVER = os.path.join(BUILD, "sentry-deliver")
PAGE_PROGRAM = os.path.join(BUILD, "sentry-webhooks-page")
REPLAY = os.path.join(SRC, "tools", "sentry-replay")
SHIM = os.path.join(BUILD, "tests", "support", "shim.so")
WRAPPER = shlex.split(os.environ.get("SENTRY_TEST_WRAPPER", ""))
FULL = bool(os.environ.get("RUNTESTS_FULL"))

# What a tool that finds memory errors writes to standard error.
MEMORY_ERROR = re.compile(
    r"ERROR: AddressSanitizer|ERROR: LeakSanitizer|runtime error:"
    r"|WARNING: ThreadSanitizer|ERROR SUMMARY: [1-9]"
    r"|Assertion .* failed|stack smashing|free\(\): invalid")

# Variables that a program under test would take for its own.
OWN_VARIABLES = (
    "SENTRY_CLIENT", "SENTRY_WEBHOOKS", "SENTRY_DELIVER", "INNGEST",
    "http_proxy", "all_proxy", "ALL_PROXY", "STATE_DIRECTORY",
    "CREDENTIALS_DIRECTORY", "GATEWAY_INTERFACE", "NOTIFY_SOCKET",
    "WATCHDOG", "LISTEN_", "REQUEST_METHOD", "CONTENT_", "HTTP_")


def sanitized():
    """Whether the worker was built with a sanitizer."""
    try:
        with open(PROGRAM, "rb") as f:
            text = f.read()
    except OSError:
        return False
    return any(s in text for s in (b"__asan_init", b"__tsan_init"))


# A promise in seconds is multiplied by this.
SLOW = 20 if WRAPPER else 4 if sanitized() else 1
# The longest wait for anything, in seconds. A test that passes never waits so
# long, however busy the machine is.
LIMIT = 300 if SLOW == 1 and not FULL else 600


def clean_environment(extra=None):
    """This environment without the programs' own variables, and extra."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(OWN_VARIABLES)}
    env.update(extra or {})
    return env


def strip_valgrind(text):
    return "".join(line for line in text.splitlines(True)
                   if not re.match(r"[=-]{2}\d+[=-]{2}", line))


@contextlib.contextmanager
def wrapped(*words):
    """Programs that are started inside get these words before their own."""
    WRAPPER[0:0] = words
    try:
        yield
    finally:
        del WRAPPER[:len(words)]
