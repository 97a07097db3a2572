"""sentry-deliver at work: its sinks, and how fast an outbox empties."""
import os
import subprocess
import sys
import time

import load
import nats
from database import open_db, query_value
from environment import DELIVER, SRC
from process import start_process, stop_process
from scratch import Scratch

SLOWEST = 500       # rows a second; below, a drain is given up


class Print:
    name, url, options, bar = "stdout", "-", (), 50000


class Http:
    """The tests' stand-in of the event API, in a process of its own: it
    parses every event."""
    name, options, bar = "http", (), 5000

    def __init__(self):
        self.process = start_process(
            [sys.executable, os.path.join(SRC, "tests", "support",
                                           "eventapi.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()


class Nats:
    """A server of our own with JetStream, one replica."""
    name, bar = "nats", 20000
    options = ("--create-stream", "--settle", "1")

    def __init__(self):
        self.url = nats.Server().url


def start(db, url, *options):
    with open(os.path.join(Scratch.new("deliver"), "log"), "wb") as log:
        return start_process([DELIVER, "--db", db, "--to", url, *options],
                             stdout=subprocess.DEVNULL, stderr=log)


def pending(db):
    return query_value(db, "SELECT count(*) FROM outbox "
                       "WHERE state = 'pending'")


def drained(db, sink):
    """Seconds until nothing is pending, and the most memory it took."""
    limit = 60 + pending(db) / SLOWEST
    process = start(db, sink.url, *sink.options)
    begin = time.perf_counter()
    connection = open_db(db)
    try:
        while connection.execute("SELECT 1 FROM outbox WHERE state = "
                                 "'pending' LIMIT 1").fetchone():
            assert time.perf_counter() - begin < limit, \
                f"{sink.name}: not drained after {limit} s"
            assert process.poll() is None, f"it ended: {process.returncode}"
            time.sleep(0.02)
        seconds = time.perf_counter() - begin
        memory = load.memory(process.pid, "VmHWM")
    finally:
        connection.close()
        stop_process(process)
    return seconds, memory


def quiet(db, sink):
    """Drains what is there, so that all that comes counts the same."""
    if pending(db):
        drained(db, sink)


def again(db, rows=-1):
    """Puts rows back as if they had never been sent (their event ids are
    new: JetStream would know the old ones), then waits until the worker has
    brought its log down."""
    connection = open_db(db, write=True)
    connection.execute(
        "UPDATE outbox SET state = 'pending', attempts = 0, due_at = 0, "
        "sink = NULL, sink_seq = NULL, delivered_at = NULL, event_id = "
        "'sentry-' || lower(hex(randomblob(16))) WHERE id IN (SELECT id FROM "
        "outbox WHERE state IN ('delivered', 'acked') ORDER BY id LIMIT ?)",
        (rows,))
    connection.close()
    time.sleep(1)
