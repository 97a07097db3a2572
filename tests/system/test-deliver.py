#!/usr/bin/env python3
"""sentry-deliver against a stand-in of Inngest's event API: nothing is lost,
no row pays for another, and no key is ever shown."""
import glob
import json
import os
import random
import re
import socket
import subprocess
import threading
import time

import eventapi
import harness
from faults import Calendar, Site, need_strace, no_answer_but_200
from eventapi import KEY, EventApi
from harness import (FULL, SLOW, Scratch, Tap, Worker, equal, finish,
                     logfmt, open_db, rows, start, until, write)

DELIVER = os.path.join(harness.BUILD, "sentry-deliver")
DAY = 86400000
tap = Tap()
if not os.access(DELIVER, os.X_OK):
    harness.skip_all("sentry-deliver is not built")
harness.need_program()


class Deliverer:
    """One run of sentry-deliver."""
    every = []

    def __init__(self, db, *options, to=None, env=None):
        self.folder = Scratch.new("deliver")
        self.db = db
        argv = harness.WRAPPER + [DELIVER, "--db", db, *options]
        extra = dict(env or {})
        if to is not None:
            extra["SENTRY_DELIVER_TO"] = to
        self.err = os.path.join(self.folder, "stderr")
        self.out = os.path.join(self.folder, "stdout")
        with open(self.err, "wb") as err, open(self.out, "wb") as out:
            self.process = start(argv, stderr=err, stdout=out,
                                 env=harness.clean_environment(extra))
        Deliverer.every.append(self)

    def wait(self):
        return finish(self.process)

    def stop(self):
        self.process.terminate()
        return self.wait()

    def kill(self):
        self.process.kill()
        finish(self.process)

    def log(self):
        with open(self.err, errors="replace") as f:
            return harness.strip_valgrind(f.read())

    def events(self, name):
        return [line for line in map(logfmt, self.log().splitlines())
                if line.get("event") == name]


def once(db, *options, **more):
    """Runs it with --once to its end; gives the exit status and the run."""
    d = Deliverer(db, "--once", *options, **more)
    return d.wait(), d


# ---- the outbox ----------------------------------------------------------

_made = None


def new_db():
    """A database as the worker makes it, without a worker."""
    global _made
    if _made is None:
        worker = Worker()
        harness.map_everything(worker.db)
        worker.stop()
        harness.shell_ok(worker.db, "PRAGMA wal_checkpoint(TRUNCATE)")
        _made = worker.db
    path = os.path.join(Scratch.new("db"), "outbox.db")
    with open(_made, "rb") as f:
        return write(path, f.read())


def seed(path, count, prefix="e", size=2000, state="pending", age=0, due=0,
         text="x", workspace="ws", attempts=0):
    """Rows in the real schema; gives their event ids."""
    now = int(time.time() * 1000) - age
    ids = [f"sentry-{prefix}-{i:07d}" for i in range(count)]
    source = '{"source":"sentry","body":"%s"}' % (text * size)
    db = open_db(path, write=True)
    db.execute("BEGIN IMMEDIATE")
    for id in ids:
        hook = db.execute(
            "INSERT INTO webhook (received_at, resource, dedupe_key, "
            "outcome, body) VALUES (?, 'issue', CAST(? AS BLOB), 'observed', "
            "x'7b7d')",
            (now, id)).lastrowid
        db.execute(
            "INSERT INTO outbox (webhook_id, event_id, created_at, "
            "workspace_id, store_id, source_type, source_id, title, "
            "occurred_at, source_event, state, attempts, due_at, "
            "delivered_at) VALUES (?, ?, ?, ?, 'default', 'issue.created', "
            "'issue:1', 't', '', ?, ?, ?, ?, ?)",
            (hook, id, now, workspace, source, state, attempts, now + due,
             now if state == "delivered" else None))
    db.execute("COMMIT")
    db.close()
    return ids


def states(path):
    return {r[0]: r[1] for r in rows(
        path, "SELECT state, count(*) FROM outbox GROUP BY state")}


def settled(path):
    return rows(path, "SELECT count(*) FROM outbox WHERE state = 'pending'"
                )[0][0] == 0


def now_ms():
    return time.time() * 1000


def no_key(*texts):
    for text in texts:
        assert KEY not in (text or ""), f"the key is shown: {text[:300]!r}"


# ---- the way of a row ----------------------------------------------------

@tap.test("a hook goes from the worker to the sink within a second, as its "
          "view shows it")
def whole_way():
    api = EventApi()
    api.keep_events = True
    worker = Worker()
    harness.map_everything(worker.db)
    d = Deliverer(worker.db, to=api.url)
    until(lambda: d.events("start"))
    for _ in range(3):
        body = harness.compact(harness.issue())
        before = api.count()
        with harness.Pace() as pace:
            equal(worker.post(body, harness.signed(body)).status, 200)
            begin = time.monotonic()
            until(lambda: api.count() > before)
            took = time.monotonic() - begin
        pace.keeps(took, 1)
    until(lambda: states(worker.db) == {"delivered": 3})
    for row in rows(worker.db, "SELECT e.event, o.* FROM outbox o JOIN "
                    "outbox_event e USING (id)"):
        equal(api.last[row["event_id"]], json.loads(row["event"]),
              "the event")
        equal((row["attempts"], row["last_error"], row["sink"]),
              (1, None, f"http://127.0.0.1:{api.port}"))
        assert abs(row["delivered_at"] - now_ms()) < 60000
    equal(d.stop(), 0)
    api.stop()


def first_attempt(misdeed, count=1, *options, **how):
    """A run with --once against a sink that always misbehaves so."""
    api = EventApi(**how)
    api.misdeed = lambda events: misdeed
    db = new_db()
    seed(db, count)
    timeout = "1" if misdeed == "never" else "60"
    code, d = once(db, "--timeout", timeout, *options, to=api.url)
    api.stop()
    row = dict(rows(db, "SELECT * FROM outbox ORDER BY id")[0])
    no_key(d.log(), row["last_error"])
    return code, d, row, api


@tap.table("after `{0}' a row is tried again later", [
    ("500", "HTTP 500: 500, says"), ("503", "HTTP 503"),
    ("429", "HTTP 429"), ("429-date", "HTTP 429"),
    ("never", "Timeout was reached"), ("close-after", "Server returned"),
    ("close-taken", "Server returned"), ("truncated", "Transferred a part"),
    ("body-500", "HTTP 200, but no success (500)"),
    ("body-error", "HTTP 200, but no success (502): body-error, says"),
    ("huge", "HTTP 500: /e/****"),
])
def later(misdeed, words):
    begin = now_ms()
    code, _, row, _ = first_attempt(misdeed)
    equal((code, row["state"]), (1, "pending"))
    assert row["attempts"] >= 1 and row["due_at"] > begin, row
    assert row["last_error"].startswith(words), row["last_error"]


FOREIGN = "200, but not the answer of an event API"


@tap.table("after `{0}' no row pays, and it is said once", [
    ("401", "401"), ("403", "403"), ("404", "404"), ("302", "302"),
    ("303", "303"), ("garbage", FOREIGN + ": <html>"), ("empty", FOREIGN),
    ("half-json", FOREIGN), ("no-ids", FOREIGN)])
def misconfigured(misdeed, words):
    code, d, row, _ = first_attempt(misdeed, 1200)
    equal((code, row["state"], row["attempts"], row["last_error"]),
          (1, "pending", 0, None))
    trouble = d.events("sink-trouble")
    equal(len(trouble), 1, "what is said")
    assert f"HTTP {words}" in trouble[0]["why"], trouble


@tap.table("{} takes no row: it is said at once, and no row pays", [
    ("/",), ("/e",), ("/events",), ("/e/",), ("/e/{k}/",), ("/e/{k}/more",),
    ("/e/other",), ("/e/with.dot",), ("/base/e/{k}",), ("/v1/events",)])
def wrong_path(path):
    api = EventApi()
    db = new_db()
    seed(db, 30)
    code, d = once(db, "--to", f"http://127.0.0.1:{api.port}" +
                   path.format(k=KEY))
    equal((code, states(db), api.count()), (1, {"pending": 30}, 0))
    equal(rows(db, "SELECT max(attempts), max(last_error) FROM outbox"
               )[0][:], (0, None))
    equal(len(d.events("sink-trouble")), 1, d.log())
    no_key(d.log())
    api.stop()


@tap.table("at the start {}", [
    (f"{url} is {'' if warned else 'not '}warned of", url, warned)
    for url, warned in (
        ("http://127.0.0.1:8288", True), ("http://127.0.0.1:9/e", True),
        ("http://127.0.0.1:8288/events", True), ("https://inn.gs/", True),
        ("http://127.0.0.1:9/e/KEY/more", True),
        ("https://inn.gs/e/", True), ("https://inngest.example/", True),
        ("http://127.0.0.1:8288/e/KEY", False),
        ("http://127.0.0.1:9/proxy/e/KEY", False),
        ("http://127.0.0.1:9/hook", False))])
def doubtful(_, url, warned):
    _, d = once(new_db(), to=url)
    equal(len(d.events("sink-url")), int(warned), d.log())


@tap.table("a lone row that is refused with {0} is dead, with the sink's "
           "words", [("400", "partial"), ("413", "413")])
def refused(status, misdeed):
    code, d, row, _ = first_attempt(misdeed)
    equal((code, row["state"], row["attempts"]), (1, "dead", 1))
    assert row["last_error"].startswith(f"HTTP {status}: {misdeed}, says"), \
        row["last_error"]
    equal(len(d.events("dead")), 1)


@tap.test("a `status' counts that comes late in a long answer")
def late_status():
    code, _, row, _ = first_attempt("late-500")
    equal((code, row["state"]), (1, "pending"))
    assert "no success (500)" in row["last_error"], row["last_error"]


@tap.table("Retry-After is honoured, for an hour at most: {0}", [
    ("seconds", "30", "429", 30), ("of a 503", "30", "503", 30),
    ("a date", "30", "429-date", 30),
    ("days in seconds", "999999", "429", 3600),
    ("days as a date", "999999", "429-date", 3600),
    ("less than nothing", "-5", "429", 0), ("a word", "soon", "429", 0)])
def retry_after(_, value, misdeed, seconds):
    begin = now_ms()
    _, _, row, _ = first_attempt(misdeed, retry_after=value)
    least, most = row["due_at"] - now_ms(), row["due_at"] - begin
    assert most >= (seconds - 1.5) * 1000, most
    assert least <= (seconds + 8) * 1000, least


@tap.test("from others than Inngest any body is success, but a page")
def other_sinks():
    for status, body, type, good in (
            (204, b"", "", True), (202, b"ok", "text/plain", True),
            (201, b"{}", "application/json", True),
            (200, b'{"status":"queued"}', "application/json", True),
            (200, b"<p>Welcome", "text/html; charset=utf-8", False),
            (200, b"\n<!doctype html><title>x", "", False)):
        db = new_db()
        seed(db, 1)
        server = socket.create_server(("127.0.0.1", 0))
        d = Deliverer(db, "--once", to="http://127.0.0.1:%d/hook" %
                      server.getsockname()[1])
        s, _ = server.accept()
        head = b""
        while not head.endswith(b"}]"):
            head += s.recv(65536)
        assert b"expect:" not in head.lower(), head[:500]
        s.sendall(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n"
                  b"Content-Type: %s\r\n\r\n%s" % (
                      status, len(body), type.encode(), body))
        equal(d.wait(), int(not good), f"{status} {body}")
        s.close()
        server.close()
        equal(states(db), {"delivered" if good else "pending": 1})
        equal(rows(db, "SELECT attempts FROM outbox")[0][0], int(good))


# ---- batches -------------------------------------------------------------

@tap.table("a batch refused with {0} is split down to the bad rows, the rest "
           "arrives", [("400",), ("413",)])
def split(status):
    api = EventApi()
    if status == "413":
        api.large, api.event_bytes = 413, 256 * 1024
    db = new_db()
    seed(db, 600, "good", 200)
    if status == "400":
        bad = seed(db, 3, "poison", 200)
    else:
        bad = seed(db, 3, "large", api.event_bytes)
    seed(db, 600, "more", 200)
    code, d = once(db, "--batch", "500", to=api.url)
    equal(code, 1, "exit status: dead rows are undelivered")
    equal(states(db), {"delivered": 1200, "dead": 3})
    words = "bad event" if status == "400" else "over the max size"
    for row in rows(db, "SELECT * FROM outbox WHERE state = 'dead'"):
        assert row["event_id"] in bad, row["event_id"]
        assert words in row["last_error"], row["last_error"]
        no_key(row["last_error"])
    equal(sum(api.taken.get(id, 0) for id in bad), 0)
    no_key(d.log())
    api.stop()


@tap.table("the ids of a 400 say what was taken: nothing is sent twice "
           "({0})", [("a bad event", 7, 100, 200), ("two of them", 7, 30, 200),
                     ("the first", 0, 1000, 200), ("the last", 99, 1000, 200),
                     ("a long event, before which one more is cut off", 7,
                      1000, eventapi.EVENT_BYTES)])
def taken_before(what, first, step, size):
    api = EventApi()
    db = new_db()
    bad = range(first, 100, step)
    long = "long" in what
    for i in range(100):
        seed(db, 1, f"{'poison' if i in bad and not long else 'e'}{i}",
             size if i in bad else 200)
    code, _ = once(db, "--batch", "100", to=api.url)
    equal((code, states(db)), (1, {"delivered": 100 - len(bad),
                                   "dead": len(bad)}))
    equal(set(api.taken.values()), {1}, "how often they were taken")
    equal(len(api.seen()) <= 1 + 3 * len(bad) + 2, True, api.seen())
    api.stop()


@tap.test("a request holds at most --batch events, and no more than a "
          "mebibyte of several")
def batch_limits():
    api = EventApi()
    sizes = []
    api.misdeed = lambda events: sizes.append(
        (len(events), len(repr(events)))) or None
    db = new_db()
    seed(db, 7000, "small", 10)
    equal(once(db, "--batch", "5000", to=api.url)[0], 0)
    equal(max(n for n, _ in sizes), 5000)
    sizes.clear()
    seed(db, 100, "long", 60000)
    seed(db, 2, "longer", 200000)
    equal(once(db, "--batch", "5000", to=api.url)[0], 0)
    assert max(size for _, size in sizes) < (1 << 20) + 65536
    assert len(sizes) < 20, sizes
    api.stop()


@tap.test("rows with odd data hold up nobody, and are not sent for ever")
def odd_rows():
    api = EventApi()
    db = new_db()
    seed(db, 60)
    for id, change in enumerate((
            "event_id = printf('%.*c', 300, 'i')",
            "event_id = 'a\" b\\'", "workspace_id = 'w' || char(10) || 'x'",
            "workspace_id = CAST(x'ff41' AS TEXT)", "store_id = NULL",
            "title = CAST(x'c3' AS TEXT)", "attempts = -5",
            "created_at = -1", "attempts = 9223372036854775000",
            """source_event = '[1, "' || char(233) || '"]'"""), 1):
        harness.shell_ok(db, f"UPDATE outbox SET {change} WHERE id = {id}")
    code, _ = once(db, to=api.url)
    left = states(db)
    assert "pending" not in left and left["delivered"] >= 58, left
    assert max(api.taken.values()) <= 3, api.taken
    api.stop()


# ---- one does not hold up another ----------------------------------------

@tap.test("a sink that is not set up gets everything once it is, and no row "
          "has paid")
def mended():
    api = EventApi()
    api.misdeed = lambda events: "401"
    db = new_db()
    seed(db, 3000)
    d = Deliverer(db, to=api.url)
    until(lambda: d.events("sink-trouble"))
    until(lambda: sum(n == 1 for _, n, _ in api.seen()) >= 2,
          why="it is never asked with a single row")
    api.misdeed = lambda events: None
    until(lambda: settled(db))
    equal(rows(db, "SELECT min(attempts), max(attempts), max(last_error) "
               "FROM outbox")[0][:], (1, 1, None))
    equal((len(d.events("sink-trouble")), len(d.events("sink-recovered"))),
          (1, 1))
    no_key(d.log())
    equal(d.stop(), 0)
    api.stop()


@tap.test("while nobody answers one row at a time has to pay")
def unreachable():
    db = new_db()
    seed(db, 5000)
    port = harness.free_port()
    d = Deliverer(db, to=f"http://127.0.0.1:{port}/e/{KEY}")
    until(lambda: d.events("sink-trouble"))
    until(lambda: rows(db, "SELECT sum(attempts > 0) FROM outbox")[0][0])
    paid = rows(db, "SELECT sum(attempts) FROM outbox")[0][0]
    assert paid <= 2, paid
    until(lambda: rows(db, "SELECT sum(attempts) FROM outbox")[0][0] > paid)
    assert rows(db, "SELECT sum(attempts) FROM outbox")[0][0] <= paid + 3
    api = EventApi(port=port)
    until(lambda: settled(db))
    equal(states(db), {"delivered": 5000})
    equal(len(d.events("sink-trouble")), 1)
    equal(d.stop(), 0)
    api.stop()


@tap.test("when a sink goes down only what was on its way in a request pays")
def goes_down():
    api = EventApi(delay=0.2)
    db = new_db()
    seed(db, 20000, size=20)
    d = Deliverer(db, to=api.url)
    until(lambda: api.count() >= 1000)
    api.stop()
    until(lambda: d.events("sink-trouble"))
    until(lambda: rows(db, "SELECT count(*) FROM outbox WHERE attempts > 0 AND "
                       "last_error LIKE '%connect%'")[0][0] > 1)
    api = EventApi(port=api.port)
    until(lambda: settled(db))
    equal(states(db), {"delivered": 20000})
    paid = rows(db, "SELECT sum(attempts - 1) FROM outbox")[0][0]
    assert paid <= 4 * 500 + 20, f"{paid} attempts"
    equal(d.stop(), 0)
    api.stop()


@tap.test("rows that the sink never answers hold up nobody else, nor do dead "
          "and unmapped ones")
def slow_row():
    api = EventApi()
    api.misdeed = lambda events: "never" if any(
        "slow" in e["id"] for e in events) else None
    db = new_db()
    seed(db, 8, "slow")         # more than requests at once
    seed(db, 50, "dead", state="dead")
    seed(db, 50, "unmapped", state="unmapped")
    d = Deliverer(db, "--timeout", "3", "--max-attempts", "30", to=api.url)
    until(lambda: api.seen("never"))
    for i in range(5):
        with harness.Pace() as pace:
            begin = time.monotonic()
            ids = seed(db, 20, f"quick{i}")
            until(lambda: all(id in api.taken for id in ids))
            took = time.monotonic() - begin
        pace.keeps(took, 1.5)
        until(lambda: len(api.seen("never")) > i)
    equal(d.stop(), 0)
    equal(states(db), {"pending": 8, "delivered": 100, "dead": 50,
                       "unmapped": 50})
    api.stop()


def hangs_for(*workspaces):
    """A sink that never answers for these workspaces; and what shared a
    request, which nothing may: workspaces, tried and fresh rows."""
    api = EventApi()
    tried, mixed = set(), []

    def misdeed(events):
        with api.lock:
            names = {e["data"]["workspaceId"] for e in events}
            if len(names) > 1 or len({e["id"] in tried for e in events}) > 1:
                mixed.append(names)
            tried.update(e["id"] for e in events)
        return "never" if names & set(workspaces) else None
    api.misdeed = misdeed
    return api, mixed


def come_soon(api, db, name, workspace, promise=1.5):
    """Twenty rows that come now are taken in a moment."""
    with harness.Pace() as pace:
        begin = time.monotonic()
        ids = seed(db, 20, name, workspace=workspace)
        until(lambda: all(id in api.taken for id in ids))
        took = time.monotonic() - begin
    pace.keeps(took, promise)


@tap.table("{} bytes of a workspace that gets no answer hold up no row of "
           "another", [
    ("1500 rows of 8000", 1500, 8000), ("400 rows of 60000", 400, 60000),
    ("6000 rows of 2000", 6000, 2000)] +
    [("10000 rows of 2000", 10000, 2000)] * FULL)
def slow_workspace(_, count, size):
    api, mixed = hangs_for("slow")
    db = new_db()
    seed(db, count, "slow", size, workspace="slow")
    d = Deliverer(db, "--timeout", "3", "--max-attempts", "100", to=api.url)
    until(lambda: api.seen("never"))
    for i in range(5):
        # More and more of them have been tried before.
        come_soon(api, db, f"quick{i}", f"ws{i}")
        until(lambda: len(api.seen("never")) > 5 * (i + 1))
    equal(d.stop(), 0)
    equal(rows(db, "SELECT count(*), min(attempts), max(attempts) FROM outbox "
               "WHERE event_id LIKE '%quick%' AND state = 'delivered'")[0][:],
          (100, 1, 1))
    equal(rows(db, "SELECT count(*) FROM outbox WHERE event_id LIKE '%slow%' "
               "AND state = 'pending'")[0][0], count)
    equal(mixed, [], "what shared a request")
    api.stop()


@tap.test("thousands of rows that hang and were tried before hold up no fresh "
          "row, not even of the same workspace")
def slow_before():
    api = EventApi()
    api.misdeed = lambda events: "never" if any(
        "slow" in e["id"] for e in events) else None
    db = new_db()
    seed(db, 5000, "slow", 3000, attempts=1)
    d = Deliverer(db, "--max-attempts", "100", to=api.url)
    until(lambda: len(api.seen("never")) >= 3)
    for i in range(3):
        come_soon(api, db, f"quick{i}", "ws")
    equal(d.stop(), 0)
    equal(states(db), {"pending": 5000, "delivered": 60})
    api.stop()


@tap.test("rows that were tried before go while fresh ones keep coming, and "
          "one workspace's hold up no other's")
def tried_share():
    api, mixed = hangs_for("slow")
    db = new_db()
    seed(db, 3000, "slow", 20, workspace="slow", attempts=1)
    d = Deliverer(db, "--max-attempts", "100", to=api.url)
    until(lambda: len(api.seen("never")) >= 2)
    seed(db, 5, "tried", 20, workspace="other", attempts=1)
    n = 0
    while not any("tried" in id for id in list(api.taken)):
        seed(db, 500, f"fresh{n}", 20)
        n += 1
        assert n < 500, "they never leave"
    equal(mixed, [], "what shared a request")
    d.kill()
    api.stop()


@tap.test("a row that makes its batch fail soon travels alone, and dies by "
          "--max-attempts")
def poisonous():
    api = EventApi()
    api.misdeed = lambda events: "500" if any(
        "toxic" in e["id"] for e in events) else None
    db = new_db()
    seed(db, 100)
    seed(db, 1, "toxic")
    seed(db, 100, "f")
    d = Deliverer(db, "--max-attempts", "4", to=api.url)
    until(lambda: settled(db))
    equal(states(db), {"delivered": 200, "dead": 1})
    row = rows(db, "SELECT * FROM outbox WHERE state = 'dead'")[0]
    equal((row["attempts"], "toxic" in row["event_id"]), (4, True))
    assert "HTTP 500: 500, says" in row["last_error"]
    equal(d.stop(), 0)
    api.stop()


# ---- clocks --------------------------------------------------------------

JUMPS = [("back by 300 s", -300), ("back by a day", -86400),
         ("forth by a day", 86400)]


@tap.table("a clock that is set {} delays no row, and no word to the service "
           "manager", JUMPS)
def clock_set(_, seconds):
    calendar = Calendar()
    path = os.path.join(Scratch.new("notify"), "socket")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(path)
    manager.settimeout(harness.LIMIT)
    api = EventApi()
    db = new_db()
    seed(db, 5, "before")
    d = Deliverer(db, to=api.url, env={
        **calendar.env, "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "900000"})
    until(lambda: states(db) == {"delivered": 5})
    calendar.jump(seconds)
    equal(d.process.poll(), None, d.log())
    come_soon(api, db, "now", "ws")
    # By a program whose clock is wrong, for longer.
    ids = seed(db, 5, "ahead", due=DAY) + seed(db, 5, "behind", due=-DAY)
    until(lambda: all(id in api.taken for id in ids))
    calendar.jump(0)
    come_soon(api, db, "after", "ws")
    until(lambda: states(db) == {"delivered": 55})
    manager.setblocking(False)
    try:
        while manager.recv(4096):
            pass
    except BlockingIOError:
        pass
    manager.settimeout(harness.LIMIT)
    for _ in range(2):
        equal(manager.recv(4096), b"WATCHDOG=1")
    equal(d.stop(), 0)
    manager.close()
    api.stop()


@tap.table("a clock that is set {} delays no second attempt, nor the end of a "
           "pause", JUMPS)
def clock_set_later(_, seconds):
    calendar = Calendar()
    for misdeed in ("503", "401"):
        api = EventApi(retry_after="0")
        api.misdeed = lambda events: misdeed
        db = new_db()
        seed(db, 20)
        calendar.jump(0)
        d = Deliverer(db, to=api.url, env=calendar.env)
        until(lambda: len(api.seen(misdeed)) > 1)
        calendar.jump(seconds)
        before = len(api.seen(misdeed))
        until(lambda: len(api.seen(misdeed)) > before)
        api.misdeed = lambda events: None
        until(lambda: states(db) == {"delivered": 20})
        equal(d.stop(), 0)
        api.stop()


@tap.test("a row waits for its second attempt; one that is put off for longer "
          "than any waits is due")
def far_away():
    api = EventApi()
    db = new_db()
    hour = DAY // 24
    seed(db, 3, "fresh", due=300 * DAY)
    seed(db, 3, "far", due=hour + 120000, attempts=1)
    seed(db, 3, "wait", due=hour - 120000, attempts=1)
    equal(once(db, to=api.url)[0], 1, "some are left")
    equal(rows(db, "SELECT count(*), min(event_id LIKE '%wait%') FROM outbox "
               "WHERE state = 'pending'")[0][:], (3, 1))
    equal(api.count(), 6)
    api.stop()


# ---- the program ---------------------------------------------------------

@tap.test("a second deliverer says who has the database, and exits 75")
def second():
    api = EventApi()
    db = new_db()
    d = Deliverer(db, to=api.url)
    until(lambda: d.events("start"))
    link = os.path.join(Scratch.new("link"), "other.db")
    os.symlink(db, link)
    for name in (db, link):
        code, other = once(name, to=api.url)
        equal(code, 75, name)
        if not harness.WRAPPER:
            assert str(d.process.pid) in other.log(), other.log()
    d.kill()
    equal(once(db, to=api.url)[0], 0, "after a kill it is free")
    api.stop()


@tap.table("--once exits {0}", [
    ("0 when there is nothing", lambda db: None),
    ("0 when all was delivered", lambda db: seed(db, 3)),
    ("1 when a row is due later", lambda db: seed(
        db, 1, due=DAY // 48, attempts=1)),
    ("1 when a row is unmapped", lambda db: seed(db, 1, state="unmapped")),
    ("1 when a row is dead", lambda db: seed(db, 1, state="dead")),
])
def exit_status(what, fill):
    api = EventApi()
    db = new_db()
    fill(db)
    equal(once(db, to=api.url)[0], int(what[0]))
    api.stop()


@tap.test("SIGTERM writes what was acknowledged, though another request "
          "hangs")
def goodbye():
    api = EventApi()
    api.misdeed = lambda events: "never" if any(
        "slow" in e["id"] for e in events) else None
    db = new_db()
    seed(db, 1, "slow")
    d = Deliverer(db, "--batch", "1", to=api.url)
    until(lambda: api.seen("never"))
    lock = open_db(db, write=True)
    seed(db, 40, "quick")
    lock.execute("BEGIN IMMEDIATE")         # no fate can be written
    until(lambda: api.count() == 40)
    d.process.terminate()
    lock.execute("ROLLBACK")
    lock.close()
    equal(d.wait(), 0)
    equal(states(db), {"pending": 1, "delivered": 40})
    api.stop()


@tap.table("the URL from {0} is found", [
    ("SENTRY_DELIVER_TO", lambda url, folder: ({}, [], url)),
    ("--to", lambda url, folder: ({}, ["--to", url], "http://no.invalid/")),
    ("--to= with its value", lambda url, folder: ({}, ["--to=" + url], None)),
    ("--to-file", lambda url, folder: (
        {}, ["--to-file", write(folder + "/f", f" {url} \n")], "-")),
    ("SENTRY_DELIVER_TO_FILE", lambda url, folder: (
        {"SENTRY_DELIVER_TO_FILE": write(folder + "/f", url)}, [], None)),
    ("INNGEST_EVENT_KEY", lambda url, folder: (
        {"INNGEST_EVENT_KEY": KEY,
         "INNGEST_BASE_URL": url.split("/e/")[0]}, [], None)),
    ("INNGEST_EVENT_KEY and a base with a slash", lambda url, folder: (
        {"INNGEST_EVENT_KEY": KEY,
         "INNGEST_BASE_URL": url.split("/e/")[0] + "/"}, [], None)),
    ("a credential", lambda url, folder: (
        {"CREDENTIALS_DIRECTORY": os.path.dirname(
            write(folder + "/sentry-deliver-to", url + "\n"))}, [], None)),
])
def where_to(_, make):
    api = EventApi()
    db = new_db()
    seed(db, 1)
    env, options, to = make(api.url, Scratch.new("to"))
    code, d = once(db, *options, to=to, env=env)
    equal((code, api.count()), (0, 1), d.log())
    no_key(d.log())
    api.stop()


@tap.table("a command line {0} is refused with 64, in a line without the "
           "key", [
    ("without a URL", []), ("with another scheme", ["--to", f"ftp://{KEY}"]),
    ("with a URL too many", ["--to", "-", f"http://x/e/{KEY}"]),
    ("with an empty URL", ["--to="]),
    ("with half a URL", ["--to", "http://"]),
    ("with a wrong number", ["--to", f"http://x/{KEY}", "--keep", KEY]),
])
def usage(_, options):
    d = Deliverer(new_db(), *options)
    equal(d.wait(), 64, d.log())
    equal(len(d.log().splitlines()), 1, d.log())
    no_key(d.log())


@tap.table("no part of a URL {0} is shown", [
    ("with a key in its path", "/e/{k}"),
    ("with a slash behind the key", "/e/{k}/"),
    ("with a key in its query", "/e/x?key={k}&a=b"),
    ("with an escaped key", "/e/sup3r%2ds3cret-k3y"),
    ("with a name and a password", "@/e/x"),
])
def secrets(_, path):
    api = EventApi()
    password = "p4ssw0rd-%41bc"
    base = f"http://127.0.0.1:{api.port}"
    if path[0] == "@":
        base = base.replace("//", f"//{KEY}:{password}@")
        path = path[1:]
    else:
        password = KEY
    url = base + path.format(k=KEY)
    for status in (400, 401, 500):
        api.one = lambda s: echo(api, s, status,
                                 f"{url} {KEY} {password} "
                                 + password.replace("%41", "A"))
        db = new_db()
        seed(db, 1)
        metrics = os.path.join(Scratch.new("m"), "m.prom")
        _, d = once(db, "--to", url, "--metrics", metrics)
        shown = d.log() + open(metrics).read() + "".join(
            str(tuple(r)) for r in rows(db, "SELECT * FROM outbox"))
        no_key(shown)
        assert "p4ssw0rd" not in shown, shown
        assert f"HTTP {status}" in shown, shown
    api.stop()


def echo(api, s, status, words):
    _, fields, rest = api.read_head(s)
    left = int(fields["content-length"]) - len(rest)
    while left > 0:
        left -= len(s.recv(left))
    return api.answer(s, status, words)


@tap.table("a URL given as {0} is blanked in the arguments", [
    ("--to URL", lambda url: ["--to", url]),
    ("--to=URL", lambda url: ["--to=" + url]),
    ("--to twice", lambda url: ["--to", url, "--to=" + url]),
])
def blanked(_, options):
    api = EventApi()
    d = Deliverer(new_db(), *options(api.url))
    until(lambda: d.events("start"))
    with open(f"/proc/{d.process.pid}/cmdline") as f:
        arguments = f.read()
    no_key(arguments)
    assert "/e/" not in arguments, arguments
    equal(d.stop(), 0)
    api.stop()


METRIC = re.compile(r'sentry_deliver_[a-z_]+'
                    r'(\{([a-z_]+="[a-z0-9.]+",?)+\})? -?\d+')


@tap.test("the metrics file says what was done, in Prometheus's format")
def metrics():
    api = EventApi()
    db = new_db()
    seed(db, 30)
    seed(db, 2, "poison")
    seed(db, 3, "wait", due=DAY // 48, attempts=1)
    path = os.path.join(Scratch.new("metrics"), "m.prom")
    once(db, "--metrics", path, to=api.url)
    with open(path) as f:
        text = f.read()
    no_key(text)
    for line in text.splitlines():
        assert line.startswith("# ") or METRIC.fullmatch(line), line
    for line in ('rows_total{result="delivered"} 30',
                 'rows_total{result="dead"} 2',
                 'outbox_rows{state="pending"} 3',
                 'outbox_rows{state="dead"} 2', "sink_up 1",
                 "in_flight_rows 0"):
        assert f"\nsentry_deliver_{line}\n" in text, line
    equal(glob.glob(path + ".*"), [], "left behind")
    api.stop()


# ---- the database --------------------------------------------------------

@tap.test("--keep deletes what is settled and old, with its bodies, and "
          "nothing else")
def keep():
    api = EventApi()
    worker = Worker(*harness.BRIEF)
    db = worker.db
    seed(db, 3000, "old", 2000, "delivered", age=40 * DAY)
    for state in ("pending", "unmapped", "acked", "dead"):
        seed(db, 20, state, 20, state, age=40 * DAY,
             due=40 * DAY + DAY // 48, attempts=1)
    seed(db, 3000, "older", 2000, "delivered", age=40 * DAY)
    harness.shell_ok(db, "INSERT INTO webhook (received_at, resource, "
                     "dedupe_key, outcome, body) VALUES "
                     "(1, 'x', CAST('lone-old' AS BLOB), 'ignored', x'00')")
    seed(db, 30, "new", 20, "delivered", age=20 * DAY)
    harness.shell_ok(db, "INSERT INTO webhook (received_at, resource, "
                     "dedupe_key, outcome, body) SELECT received_at, 'x', "
                     "CAST('lone-new' AS BLOB), 'unreadable', x'00' FROM webhook "
                     "WHERE id = (SELECT max(id) FROM webhook)")
    equal(once(db, "--keep", "0", to=api.url)[0], 1)
    equal(states(db)["delivered"], 6030, "with --keep 0")
    d = Deliverer(db, to=api.url)
    took = []

    def pruned():
        hook = harness.compact(harness.issue())
        begin = time.monotonic()
        equal(worker.post(hook, harness.signed(hook)).status, 200)
        took.append(time.monotonic() - begin)
        return states(db).get("delivered") == 30 and rows(
            db, "SELECT count(*) FROM webhook WHERE id <= (SELECT max("
            "webhook_id) FROM outbox WHERE event_id LIKE 'sentry-new%')"
            )[0][0] == 110
    with harness.Pace() as pace:
        until(pruned)
    pace.keeps(max(took), 1, "a hook")
    until(lambda: not worker.spooled())
    equal({k: v for k, v in states(db).items() if k != "unmapped"},
          {"pending": 20, "acked": 20, "dead": 20, "delivered": 30})
    equal(states(db)["unmapped"], 20 + len(took))
    equal([r[0] for r in rows(db, "SELECT dedupe_key FROM webhook WHERE "
                              "CAST(dedupe_key AS TEXT) LIKE 'lone%'")], [b"lone-new"])
    equal(rows(db, "SELECT count(*) FROM outbox WHERE webhook_id NOT IN "
               "(SELECT id FROM webhook)")[0][0], 0)
    equal(d.stop(), 0)
    equal(worker.stop(), 0)
    api.stop()


@tap.test("pruning goes on while a backlog is sent")
def prune_and_drain():
    api = EventApi(delay=0.05)
    db = new_db()
    seed(db, 2000, "old", 200, "delivered", age=40 * DAY)
    seed(db, 20000, "e", 20)
    d = Deliverer(db, "--batch", "20", to=api.url)
    until(lambda: rows(db, "SELECT count(*) FROM outbox WHERE event_id LIKE "
                       "'sentry-old%'")[0][0] == 0)
    assert not settled(db), "the backlog went first"
    d.stop()
    api.stop()


@tap.test("while hooks come in fast rows are delivered, and old hooks deleted "
          "with their rows")
def prune_under_load():
    site = Site()
    db = site.worker.db
    seed(db, 50000, "old", 200, "delivered", age=40 * DAY)
    load = site.hammer(clients=16)
    until(lambda: rows(db, "SELECT max(id) FROM webhook")[0][0] > 52000)
    d = Deliverer(db, to="-")
    old = "SELECT count(*) FROM webhook WHERE id <= 50000"
    until(lambda: rows(db, old)[0][0] <= 48000)
    assert rows(db, old.replace("webhook", "outbox"))[0][0] > 40000, \
        "the rows went first"
    until(lambda: rows(db, "SELECT count(*) FROM outbox WHERE id > 50000 AND "
                       "state = 'delivered'")[0][0] > 500)
    no_answer_but_200(load.result())
    equal(d.stop(), 0)
    site.close()


@tap.test("a database that is replaced is noticed, though nothing is due")
def replaced():
    api = EventApi()
    db = new_db()
    d = Deliverer(db, "--keep", "0", to=api.url)
    until(lambda: d.events("start"))
    fresh = new_db()
    ids = seed(fresh, 5)
    harness.shell_ok(fresh, "PRAGMA wal_checkpoint(TRUNCATE)")
    for end in ("-wal", "-shm"):
        if os.path.exists(db + end):
            os.unlink(db + end)
    os.rename(fresh, db)
    until(lambda: all(id in api.taken for id in ids))
    until(lambda: states(db) == {"delivered": 5})
    equal(len(d.events("database-fault")), 1)
    equal(d.stop(), 0)
    api.stop()


@tap.test("a database that is locked for long is waited for")
def locked():
    api = EventApi()
    db = new_db()
    lock = open_db(db, write=True)
    seed(db, 1500)
    lock.execute("BEGIN IMMEDIATE")
    d = Deliverer(db, "--once", to=api.url)
    until(lambda: api.count() == 1500)
    begin = time.monotonic()
    before = cpu(d)
    while time.monotonic() - begin < (10 if FULL else 2):
        assert d.process.poll() is None, d.log()
        time.sleep(0.1)
    assert cpu(d) - before < 0.5 * SLOW * (5 if FULL else 1), "it spins"
    lock.execute("ROLLBACK")
    equal(d.wait(), 0, d.log())
    equal(states(db), {"delivered": 1500})
    equal(max(api.taken.values()), 1, "sent again meanwhile")
    api.stop()


def cpu(d):
    """Seconds of processor time."""
    with open(f"/proc/{d.process.pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@tap.table("a database {0} is refused with 1, in words", [
    ("that is not there", lambda db: os.unlink(db), "makes it"),
    ("of another program", lambda db: write(db, b"") and harness.shell_ok(
        db, "PRAGMA application_id = 7; CREATE TABLE t (a)"), "another"),
    ("of a newer version", lambda db: harness.shell_ok(
        db, "PRAGMA user_version = 99"), "newer"),
    ("that is none", lambda db: write(db, b"x" * 9000), "not a database"),
])
def refused_db(_, spoil, words):
    for options in ([], ["--once"]):
        db = new_db()
        spoil(db)
        d = Deliverer(db, *options, to="-")
        equal(d.wait(), 1, d.log())
        assert words in d.log(), d.log()


@tap.test("no transaction is open while a request hangs")
def no_transaction():
    api = EventApi()
    api.misdeed = lambda events: "never"
    db = new_db()
    seed(db, 800)
    d = Deliverer(db, to=api.url)
    until(lambda: api.seen("never"))
    seed(db, 10, "more")
    out = harness.shell_ok(db, "PRAGMA wal_checkpoint(TRUNCATE)")
    equal(out.strip(), "0|0|0", "the checkpoint")
    d.kill()
    api.stop()


@tap.test("an idle deliverer makes few system calls")
def idle():
    need_strace()
    api = EventApi()
    db = new_db()
    seed(db, 100)
    d = Deliverer(db, to=api.url)
    until(lambda: states(db) == {"delivered": 100})
    trace = os.path.join(d.folder, "trace")
    s = start(["strace", "-f", "-o", trace, "-p", str(d.process.pid)],
              stderr=subprocess.DEVNULL)
    until(lambda: os.path.exists(trace) and os.path.getsize(trace))
    lines = len(open(trace).readlines())
    begin = time.monotonic()
    time.sleep(3)               # this is what is measured
    took = time.monotonic() - begin
    lines = len(open(trace).readlines()) - lines
    s.terminate()
    finish(s)
    print(f"# {lines / took:.0f} system calls a second", flush=True)
    assert lines / took < 100, f"{lines} in {took} s"
    equal(d.stop(), 0)
    api.stop()


@tap.test("a pass with nothing due does not grow with what is delivered")
def no_growth():
    need_strace()
    db = new_db()
    seed(db, 1)
    once(db, to="-")

    def pages_read():
        trace = os.path.join(Scratch.new("trace"), "trace")
        p = start(["strace", "-f", "-o", trace, "-P", db, "-P", db + "-wal",
                   "-e", "trace=read,pread64,preadv,mmap", DELIVER, "--once",
                   "--db", db, "--to", "-"], stdout=subprocess.DEVNULL,
                  stderr=subprocess.DEVNULL, env=harness.clean_environment())
        equal(finish(p), 0)
        with open(trace) as f:
            return sum("+++" not in line for line in f)
    seed(db, 1000, "d", 10, "delivered")
    short = pages_read()
    seed(db, 1000000 if FULL else 30000, "f", 10, "delivered")
    long = pages_read()
    print(f"# {short} reads, {long} reads", flush=True)
    assert 0 < short <= long < short + 60, f"{short}, {long}"


@tap.test("standard output gets an envelope a line, and a reader that goes "
          "away ends it")
def prints():
    db = new_db()
    ids = seed(db, 2500)
    code, d = once(db, to="-")
    equal(code, 0)
    with open(d.out) as f:
        got = [json.loads(line)["id"] for line in f]
    equal(got, ids)
    seed(db, 20000, "more")
    p = start([DELIVER, "--db", db, "--to", "-"], stdout=subprocess.PIPE,
              stderr=subprocess.PIPE, env=harness.clean_environment())
    p.stdout.readline()
    p.stdout.close()
    equal(finish(p), 1)
    assert b"standard output" in p.stderr.read()
    p.stderr.close()


@tap.test("both programs tell the service manager when they are ready, alive "
          "and stopping")
def notifies():
    path = os.path.join(Scratch.new("notify"), "socket")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(path)
    manager.settimeout(harness.LIMIT)
    env = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "900000"}

    def said(word):
        while (got := manager.recv(4096)) != word:
            assert got == b"WATCHDOG=1", got
    api = EventApi()
    d = Deliverer(new_db(), to=api.url, env=env)
    for word in (b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"):
        said(word)
    d.process.terminate()
    said(b"STOPPING=1")
    equal(d.wait(), 0)
    worker = Worker(env=env)
    for word in (b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"):
        said(word)
    worker.expected = True
    worker.process.terminate()
    said(b"STOPPING=1")
    equal(worker.stop(), 0)
    manager.close()
    api.stop()


# ---- everything at once --------------------------------------------------

def misdeeds(share, seed_):
    """One request in `share` meets a misdeed, each in its turn."""
    dice = random.Random(seed_)
    turn = [m for m in eventapi.MISDEEDS if m != "close-before"]

    lock = threading.Lock()

    def fits(misdeed, events):
        # A lone good row must not be called bad, nor a bad one be taken.
        if misdeed in eventapi.TAKES:
            return not any("poison" in e["id"] for e in events)
        return misdeed not in ("partial", "413") or len(events) > 1

    def choose(events):
        with lock:
            if dice.random() * share >= 1:
                return None
            misdeed = next(m for m in turn if fits(m, events))
            turn.remove(misdeed)
            turn.append(misdeed)
            return misdeed
    return choose


@tap.test("through every misdeed and kill -9 each row arrives; only the "
          "poisoned ones are dead")
def everything():
    count, kills = (10000, 10) if FULL else (2000, 4)
    api = eventapi.Rude(every=7)
    api.misdeed = misdeeds(5, 1)
    db = new_db()
    ids = seed(db, count, "e", 500)
    bad = seed(db, count // 500, "poison", 500)
    harness.shell_ok(db, "UPDATE outbox SET due_at = abs(random() % 1000)")
    options = ("--batch", "50" if FULL else "20", "--requests", "8", "--timeout", "2")
    for i in range(kills):
        d = Deliverer(db, *options, to=api.url)
        until(lambda: api.count() >= (i + 1) * count * 9 // (10 * kills)
              or settled(db))
        d.kill()
        no_key(d.log())
    d = Deliverer(db, *options, to=api.url)
    until(lambda: settled(db))
    equal(d.stop(), 0)
    no_key(d.log())
    equal(states(db), {"delivered": count, "dead": len(bad)})
    missing = [id for id in ids if id not in api.taken]
    equal(missing[:5], [], f"{len(missing)} never arrived")
    for row in rows(db, "SELECT * FROM outbox WHERE state = 'dead'"):
        assert row["event_id"] in bad, row["event_id"]
        assert "bad event" in row["last_error"], row["last_error"]
    for row in rows(db, "SELECT last_error FROM outbox"):
        no_key(row[0])
    did = {what for _, _, what in api.seen()}
    assert did >= set(eventapi.MISDEEDS), set(eventapi.MISDEEDS) - did
    twice = sum(n > 1 for n in api.taken.values())
    print(f"# {len(api.seen())} requests, {twice} ids more than once, "
          f"{api.connections} connections", flush=True)
    api.stop()


@tap.last("no deliverer left a memory error")
def memory():
    for d in Deliverer.every:
        if d.process.poll() is None:
            d.stop()
        with open(d.err, errors="replace") as f:
            found = harness.MEMORY_ERROR.search(f.read())
        assert not found, f"{d.err}: {found}"


tap.run(lanes=4)
