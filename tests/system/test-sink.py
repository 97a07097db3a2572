#!/usr/bin/env python3
"""sentry-deliver and its sink, a stand-in of Inngest's event API: nothing is
lost, and no row pays for another."""
import json
import random
import socket
import threading
import time

import eventapi
from database import map_everything, query
from deliverer import Deliverer, run_once
from environment import DELIVER, FULL
from eventapi import KEY, EventApi, expect_no_key
from expect import equal, until
from latency import Latency
from outbox import DAY, Outbox, now_ms
from service_manager import ServiceManager
from shim import Clock
from sockets import free_port
from tap import Tap, need_program
from worker import Worker

tap = Tap()
need_program(DELIVER)


# ---- the way of a row ----------------------------------------------------

@tap.test("a hook goes from the worker to the sink within a second, as its "
          "view shows it")
def hook_reaches_sink():
    api = EventApi()
    api.keep_events = True
    worker = Worker()
    map_everything(worker.db)
    d = Deliverer(worker.db, to=api.url)
    d.has_started()
    for _ in range(3):
        before = api.count()
        with Latency() as latency:
            equal(worker.send().status, 200)
            begin = time.monotonic()
            until(lambda: api.count() > before)
            took = time.monotonic() - begin
        latency.allows(took, 1)
    until(lambda: d.outbox.states() == {"delivered": 3})
    for row in query(worker.db, "SELECT e.event, o.* FROM outbox o JOIN "
                     "outbox_event e USING (id)"):
        equal(api.last[row["event_id"]], json.loads(row["event"]), "the event")
        equal((row["attempts"], row["last_error"], row["sink"]),
              (1, None, f"http://127.0.0.1:{api.port}"))
        assert abs(row["delivered_at"] - now_ms()) < 60000
    equal(d.stop(), 0)
    api.stop()


def first_attempt(misdeed, count=1, *options, **how):
    """A run with --once against a sink that always misbehaves so."""
    api = EventApi(**how)
    api.misdeed = lambda events: misdeed
    outbox = Outbox()
    outbox.fill(count)
    timeout = "1" if misdeed == "never" else "60"
    code, d = run_once(outbox, "--timeout", timeout, *options, to=api.url)
    api.stop()
    row = dict(query(outbox.db, "SELECT * FROM outbox ORDER BY id")[0])
    expect_no_key(d.log(), row["last_error"])
    return code, d, row, api


@tap.table("after `{0}' a row is tried again later", [
    ("500", "HTTP 500: 500, says"), ("503", "HTTP 503"),
    ("429", "HTTP 429"), ("429-date", "HTTP 429"),
    ("never", "Timeout was reached"), ("close-after", "Server returned"),
    ("close-taken", "Server returned"), ("truncated", "Transferred a part"),
    ("huge", "HTTP 500: /e/****"),
])
def failure_is_retried(misdeed, words):
    begin = now_ms()
    code, _, row, _ = first_attempt(misdeed)
    equal((code, row["state"]), (1, "pending"))
    assert row["attempts"] >= 1 and row["due_at"] > begin, row
    assert row["last_error"].startswith(words), row["last_error"]


FOREIGN = "200, but not the answer of an event API"


@tap.table("after `{0}' no row pays, and it is said once", [
    ("401", "401"), ("403", "403"), ("404", "404"), ("302", "302"),
    ("303", "303"), ("garbage", FOREIGN + ": <html>"), ("empty", FOREIGN),
    ("half-json", FOREIGN), ("no-ids", FOREIGN),
    ("body-500", FOREIGN), ("body-error", FOREIGN + ": body-error, says")])
def misconfigured_sink_costs_nothing(misdeed, words):
    code, d, row, _ = first_attempt(misdeed, 1200)
    equal((code, row["state"], row["attempts"], row["last_error"]),
          (1, "pending", 0, None))
    faults = d.log_events("sink-trouble")
    equal(len(faults), 1, "what is said")
    assert f"HTTP {words}" in faults[0]["why"], faults


@tap.test("what a sink did not take in a bad moment leaves before what came "
          "after it")
def put_back_rows_are_next():
    api, refused = EventApi(), []

    def first_ones_fail(events):
        if len(refused) >= 20 or api.count() > 0:
            return None
        refused.extend(e["id"] for e in events)
        return "401"
    api.misdeed = first_ones_fail
    outbox = Outbox()
    ids = outbox.fill(12000, size=50)
    d = Deliverer(outbox, "--batch", "100", to=api.url)
    d.reaches({"delivered": 12000})
    order = {id: i for i, id in enumerate(api.taken)}
    assert order[refused[0]] < order[ids[-1]], \
        (order[refused[0]], order[ids[-1]])
    d.stop()
    api.stop()


@tap.table("{} takes no row: it is said at once, and no row pays", [
    ("/",), ("/e",), ("/events",), ("/e/",), ("/e/{k}/",), ("/e/{k}/more",),
    ("/e/other",), ("/e/with.dot",), ("/base/e/{k}",), ("/v1/events",)])
def wrong_path(path):
    api = EventApi()
    outbox = Outbox()
    outbox.fill(30)
    code, d = run_once(outbox, "--to", f"http://127.0.0.1:{api.port}" +
                   path.format(k=KEY))
    equal((code, outbox.states(), api.count()), (1, {"pending": 30}, 0))
    equal(outbox.rows("SELECT max(attempts), max(last_error) FROM outbox"),
          [(0, None)])
    equal(len(d.log_events("sink-trouble")), 1, d.log())
    expect_no_key(d.log())
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
def doubtful_url_is_warned_of(_, url, warned):
    _, d = run_once(Outbox(), to=url)
    equal(len(d.log_events("sink-url")), int(warned), d.log())


@tap.table("a lone row that is refused with {0} is dead, with the sink's "
           "words", [("400", "partial"), ("413", "413")])
def lone_refused_row_is_dead(status, misdeed):
    code, d, row, _ = first_attempt(misdeed)
    equal((code, row["state"], row["attempts"]), (1, "dead", 1))
    assert row["last_error"].startswith(f"HTTP {status}: {misdeed}, says"), \
        row["last_error"]
    equal(len(d.log_events("dead")), 1)


@tap.test("a `status' counts that comes late in a long answer")
def late_status():
    code, d, row, _ = first_attempt("late-500")
    equal((code, row["state"], row["attempts"]), (1, "pending", 0))
    assert FOREIGN in d.log(), d.log()


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
        outbox = Outbox()
        outbox.fill(1)
        server = socket.create_server(("127.0.0.1", 0))
        d = Deliverer(outbox, "--once", to="http://127.0.0.1:%d/hook" %
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
        equal(outbox.states(), {"delivered" if good else "pending": 1})
        equal(outbox.value("SELECT attempts FROM outbox"), int(good))


# ---- batches -------------------------------------------------------------

@tap.table("a batch refused with {0} is split down to the bad rows, the rest "
           "arrives", [("400",), ("413",)])
def refused_batch_is_split(status):
    api = EventApi()
    if status == "413":
        api.large, api.event_bytes = 413, 256 * 1024
    outbox = Outbox()
    outbox.fill(600, "good", 200)
    if status == "400":
        bad = outbox.fill(3, "poison", 200)
    else:
        bad = outbox.fill(3, "large", api.event_bytes)
    outbox.fill(600, "more", 200)
    code, d = run_once(outbox, "--batch", "500", to=api.url)
    equal(code, 1, "exit status: dead rows are undelivered")
    equal(outbox.states(), {"delivered": 1200, "dead": 3})
    words = "bad event" if status == "400" else "over the max size"
    for row in outbox.dead():
        assert row["event_id"] in bad, row["event_id"]
        assert words in row["last_error"], row["last_error"]
        expect_no_key(row["last_error"])
    equal(sum(api.taken.get(id, 0) for id in bad), 0)
    expect_no_key(d.log())
    api.stop()


@tap.table("the ids of a 400 say what was taken: nothing is sent twice "
           "({0})", [("a bad event", 7, 100, 200), ("two of them", 7, 30, 200),
                     ("the first", 0, 1000, 200), ("the last", 99, 1000, 200),
                     ("a long event, before which one more is cut off", 7,
                      1000, eventapi.EVENT_BYTES)])
def ids_of_400_are_taken(what, first, step, size):
    api = EventApi()
    outbox = Outbox()
    bad = range(first, 100, step)
    long = "long" in what
    for i in range(100):
        outbox.fill(1, f"{'poison' if i in bad and not long else 'e'}{i}",
                    size if i in bad else 200)
    code, _ = run_once(outbox, "--batch", "100", to=api.url)
    equal((code, outbox.states()), (1, {"delivered": 100 - len(bad),
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
    outbox = Outbox()
    outbox.fill(7000, "small", 10)
    equal(run_once(outbox, "--batch", "5000", to=api.url)[0], 0)
    equal(max(n for n, _ in sizes), 5000)
    sizes.clear()
    outbox.fill(100, "long", 60000)
    outbox.fill(2, "longer", 200000)
    equal(run_once(outbox, "--batch", "5000", to=api.url)[0], 0)
    assert max(size for _, size in sizes) < (1 << 20) + 65536
    assert len(sizes) < 20, sizes
    api.stop()


@tap.test("rows with odd data hold up nobody, and are not sent for ever")
def odd_rows():
    api = EventApi()
    outbox = Outbox()
    outbox.fill(60)
    for id, change in enumerate((
            "event_id = printf('%.*c', 300, 'i')",
            "event_id = 'a\" b\\'", "workspace_id = 'w' || char(10) || 'x'",
            "workspace_id = CAST(x'ff41' AS TEXT)", "store_id = NULL",
            "title = CAST(x'c3' AS TEXT)", "attempts = -5",
            "created_at = -1", "attempts = 9223372036854775000",
            """source_event = '[1, "' || char(233) || '"]'"""), 1):
        outbox.shell(f"UPDATE outbox SET {change} WHERE id = {id}")
    run_once(outbox, to=api.url)
    left = outbox.states()
    assert "pending" not in left and left["delivered"] >= 58, left
    assert max(api.taken.values()) <= 3, api.taken
    api.stop()


# ---- one does not hold up another ----------------------------------------

@tap.test("a sink that is not set up gets everything once it is, and no row "
          "has paid")
def sink_is_set_up_late():
    api = EventApi()
    api.misdeed = lambda events: "401"
    outbox = Outbox()
    outbox.fill(3000)
    d = Deliverer(outbox, to=api.url)
    until(lambda: d.log_events("sink-trouble"))
    until(lambda: sum(n == 1 for _, n, _ in api.seen()) >= 2,
          why="it is never asked with a single row")
    api.misdeed = lambda events: None
    until(outbox.nothing_pending)
    equal(outbox.rows("SELECT min(attempts), max(attempts), max(last_error) "
                      "FROM outbox"), [(1, 1, None)])
    equal([len(d.log_events(name)) for name in ("sink-trouble",
                                                "sink-recovered")], [1, 1])
    expect_no_key(d.log())
    equal(d.stop(), 0)
    api.stop()


@tap.test("while nobody answers one row at a time has to pay")
def nobody_answers():
    outbox = Outbox()
    outbox.fill(5000)
    port = free_port()
    d = Deliverer(outbox, to=f"http://127.0.0.1:{port}/e/{KEY}")
    until(lambda: d.log_events("sink-trouble"))
    until(lambda: outbox.value("SELECT sum(attempts > 0) FROM outbox"))
    paid = outbox.value("SELECT sum(attempts) FROM outbox")
    assert paid <= 2, paid
    until(lambda: outbox.value("SELECT sum(attempts) FROM outbox") > paid)
    assert outbox.value("SELECT sum(attempts) FROM outbox") <= paid + 3
    api = EventApi(port=port)
    until(outbox.nothing_pending)
    equal(outbox.states(), {"delivered": 5000})
    equal(len(d.log_events("sink-trouble")), 1)
    equal(d.stop(), 0)
    api.stop()


@tap.test("when a sink goes down only what was on its way in a request pays")
def sink_goes_down():
    api = EventApi(delay=0.2)
    outbox = Outbox()
    outbox.fill(20000, size=20)
    d = Deliverer(outbox, to=api.url)
    until(lambda: api.count() >= 1000)
    api.stop()
    until(lambda: d.log_events("sink-trouble"))
    until(lambda: outbox.count(
        "attempts > 0 AND last_error LIKE '%connect%'") > 1)
    api = EventApi(port=api.port)
    until(outbox.nothing_pending)
    equal(outbox.states(), {"delivered": 20000})
    paid = outbox.value("SELECT sum(attempts - 1) FROM outbox")
    assert paid <= 4 * 500 + 20, f"{paid} attempts"
    equal(d.stop(), 0)
    api.stop()


@tap.test("rows that the sink never answers hold up nobody else, nor do dead "
          "and unmapped ones")
def unanswered_rows_hold_up_nobody():
    api = EventApi()
    api.never_answers("slow")
    outbox = Outbox()
    outbox.fill(8, "slow")         # more than requests at once
    outbox.fill(50, "dead", state="dead")
    outbox.fill(50, "unmapped", state="unmapped")
    d = Deliverer(outbox, "--timeout", "3", "--max-attempts", "30", to=api.url)
    until(lambda: api.seen("never"))
    for i in range(5):
        come_soon(api, outbox, f"quick{i}", "ws_1")
        until(lambda: len(api.seen("never")) > i)
    equal(d.stop(), 0)
    equal(outbox.states(), {"pending": 8, "delivered": 100, "dead": 50,
                            "unmapped": 50})
    api.stop()


def hangs_for(*workspaces):
    """A sink that never answers for these workspaces; and a list that stays
    empty unless rows of two workspaces, or tried and fresh rows, share a
    request."""
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


def come_soon(api, outbox, name, workspace, promise=1.5):
    """Twenty rows that come now are taken in a moment."""
    with Latency() as latency:
        ids = outbox.fill(20, name, workspace_id=workspace)
        until(lambda: all(id in api.taken for id in ids))
    latency.within(promise)


@tap.table("{} bytes of a workspace that gets no answer hold up no row of "
           "another", [
    ("1500 rows of 8000", 1500, 8000), ("400 rows of 60000", 400, 60000),
    ("6000 rows of 2000", 6000, 2000)] +
    [("10000 rows of 2000", 10000, 2000)] * FULL)
def slow_workspace(_, count, size):
    api, mixed = hangs_for("slow")
    outbox = Outbox()
    outbox.fill(count, "slow", size, workspace_id="slow")
    d = Deliverer(outbox, "--timeout", "3", "--max-attempts", "100",
                  to=api.url)
    until(lambda: api.seen("never"))
    for i in range(5):
        # More and more of them have been tried before.
        come_soon(api, outbox, f"quick{i}", f"ws{i}")
        until(lambda: len(api.seen("never")) > 5 * (i + 1))
    equal(d.stop(), 0)
    equal(outbox.rows("SELECT count(*), min(attempts), max(attempts) FROM "
                      "outbox WHERE event_id LIKE '%quick%' AND state = "
                      "'delivered'"), [(100, 1, 1)])
    equal(outbox.count("event_id LIKE '%slow%' AND state = 'pending'"), count)
    equal(mixed, [], "what shared a request")
    api.stop()


@tap.test("thousands of rows that hang and were tried before hold up no fresh "
          "row, not even of the same workspace")
def tried_rows_hold_up_nobody():
    api = EventApi()
    api.never_answers("slow")
    outbox = Outbox()
    outbox.fill(5000, "slow", 3000, attempts=1)
    d = Deliverer(outbox, "--max-attempts", "100", to=api.url)
    until(lambda: len(api.seen("never")) >= 3)
    for i in range(3):
        come_soon(api, outbox, f"quick{i}", "ws_1")
    equal(d.stop(), 0)
    equal(outbox.states(), {"pending": 5000, "delivered": 60})
    api.stop()


@tap.test("rows that were tried before go while fresh ones keep coming, and "
          "one workspace's hold up no other's")
def tried_rows_get_a_share():
    api, mixed = hangs_for("slow")
    outbox = Outbox()
    outbox.fill(3000, "slow", 20, workspace_id="slow", attempts=1)
    d = Deliverer(outbox, "--max-attempts", "100", to=api.url)
    until(lambda: len(api.seen("never")) >= 2)
    outbox.fill(5, "tried", 20, workspace_id="other", attempts=1)
    n = 0
    while not any("tried" in id for id in list(api.taken)):
        outbox.fill(500, f"fresh{n}", 20)
        n += 1
        assert n < 500, "they never leave"
    equal(mixed, [], "what shared a request")
    d.kill()
    api.stop()


@tap.test("a row that makes its batch fail soon travels alone, and dies by "
          "--max-attempts")
def poisonous_row_travels_alone():
    api = EventApi()
    api.misdeed = lambda events: "500" if any(
        "toxic" in e["id"] for e in events) else None
    outbox = Outbox()
    outbox.fill(100)
    outbox.fill(1, "toxic")
    outbox.fill(100, "f")
    d = Deliverer(outbox, "--max-attempts", "4", to=api.url)
    until(outbox.nothing_pending)
    equal(outbox.states(), {"delivered": 200, "dead": 1})
    row = outbox.dead()[0]
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
    clock = Clock()
    manager = ServiceManager()
    api = EventApi()
    outbox = Outbox()
    outbox.fill(5, "before")
    d = Deliverer(outbox, to=api.url, env={**clock.env, **manager.env})
    until(lambda: outbox.states() == {"delivered": 5})
    clock.jump(seconds)
    equal(d.process.poll(), None, d.log())
    come_soon(api, outbox, "now", "ws_1")
    # By a program whose clock is wrong, for longer.
    ids = outbox.fill(5, "ahead", due=DAY) + outbox.fill(5, "behind", due=-DAY)
    until(lambda: all(id in api.taken for id in ids))
    clock.jump(0)
    come_soon(api, outbox, "after", "ws_1")
    until(lambda: outbox.states() == {"delivered": 55})
    manager.pings()                 # forget those of before
    manager.expect(b"WATCHDOG=1", b"WATCHDOG=1")
    equal(d.stop(), 0)
    manager.close()
    api.stop()


@tap.table("a clock that is set {} delays no second attempt, nor the end of a "
           "pause", JUMPS)
def clock_set_later(_, seconds):
    clock = Clock()
    for misdeed in ("503", "401"):
        api = EventApi(retry_after="0")
        api.misdeed = lambda events: misdeed
        outbox = Outbox()
        outbox.fill(20)
        clock.jump(0)
        d = Deliverer(outbox, to=api.url, env=clock.env)
        until(lambda: len(api.seen(misdeed)) > 1)
        clock.jump(seconds)
        before = len(api.seen(misdeed))
        until(lambda: len(api.seen(misdeed)) > before)
        api.misdeed = lambda events: None
        until(lambda: outbox.states() == {"delivered": 20})
        equal(d.stop(), 0)
        api.stop()


@tap.test("a row waits for its second attempt; one that is put off for longer "
          "than any waits is due")
def far_due_times():
    api = EventApi()
    outbox = Outbox()
    hour = DAY // 24
    outbox.fill(3, "fresh", due=300 * DAY)
    outbox.fill(3, "far", due=hour + 120000, attempts=1)
    outbox.fill(3, "wait", due=hour - 120000, attempts=1)
    equal(run_once(outbox, to=api.url)[0], 1, "some are left")
    equal(outbox.rows("SELECT count(*), min(event_id LIKE '%wait%') FROM "
                      "outbox WHERE state = 'pending'"), [(3, 1)])
    equal(api.count(), 6)
    api.stop()


# ---- everything at once --------------------------------------------------

def misdeeds(share, seed_):
    """One request in `share` meets a misdeed, each in its turn."""
    rng = random.Random(seed_)
    turn = [m for m in eventapi.MISDEEDS if m != "close-before"]

    lock = threading.Lock()

    def fits(misdeed, events):
        # A lone good row must not be called bad, nor a bad one be taken.
        if misdeed in eventapi.TAKES:
            return not any("poison" in e["id"] for e in events)
        return misdeed not in ("partial", "413") or len(events) > 1

    def choose(events):
        with lock:
            if rng.random() * share >= 1:
                return None
            misdeed = next(m for m in turn if fits(m, events))
            turn.remove(misdeed)
            turn.append(misdeed)
            return misdeed
    return choose


@tap.test("through every misdeed and kill -9 each row arrives; only the "
          "poisoned ones are dead")
def every_misdeed_and_kills():
    count, kills = (10000, 10) if FULL else (2000, 4)
    api = eventapi.Rude(every=7)
    api.misdeed = misdeeds(5, 1)
    outbox = Outbox()
    ids = outbox.fill(count, "e", 500)
    bad = outbox.fill(count // 500, "poison", 500)
    outbox.shell("UPDATE outbox SET due_at = abs(random() % 1000)")
    options = ("--batch", "50" if FULL else "20", "--requests", "8",
               "--timeout", "2")
    for i in range(kills):
        d = Deliverer(outbox, *options, to=api.url)
        until(lambda: api.count() >= (i + 1) * count * 9 // (10 * kills)
              or outbox.nothing_pending())
        d.kill()
        expect_no_key(d.log())
    d = Deliverer(outbox, *options, to=api.url)
    until(outbox.nothing_pending)
    equal(d.stop(), 0)
    expect_no_key(d.log())
    equal(outbox.states(), {"delivered": count, "dead": len(bad)})
    missing = [id for id in ids if id not in api.taken]
    equal(missing[:5], [], f"{len(missing)} never arrived")
    for row in outbox.dead():
        assert row["event_id"] in bad, row["event_id"]
        assert "bad event" in row["last_error"], row["last_error"]
    for row in outbox.rows("SELECT last_error FROM outbox"):
        expect_no_key(row[0])
    did = {what for _, _, what in api.seen()}
    assert did >= set(eventapi.MISDEEDS), set(eventapi.MISDEEDS) - did
    twice = sum(n > 1 for n in api.taken.values())
    print(f"# {len(api.seen())} requests, {twice} ids more than once, "
          f"{api.connections} connections", flush=True)
    api.stop()


tap.last("no deliverer left a memory error")(Deliverer.inspect_all)
tap.run(lanes=4)
