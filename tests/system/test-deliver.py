#!/usr/bin/env python3
"""The program sentry-deliver: its options, its URL that is never shown, its
database, its exit."""
import glob
import json
import os
import signal
import subprocess
import time

from database import WriteLock
from deliverer import Deliverer, run_once
from environment import DELIVER, FULL, SLOW, WRAPPER, clean_environment
from eventapi import KEY, EventApi, expect_no_key
from expect import equal, until
from hammer import no_answer_but_200
from latency import Latency
from metrics import series_of
from outbox import DAY, Outbox, now_ms
from process import (cpu_seconds, finish_process, has_open, start_process,
                     stop_process)
from scratch import Scratch, read_file, write_file
from service_manager import ServiceManager
from strace import need_strace
from tap import Tap, need_program
from webhook_site import on_site
from worker import BRIEF, Worker

tap = Tap()
need_program(DELIVER)


# ---- the program ---------------------------------------------------------

@tap.test("a second deliverer says who has the database, and exits 75")
def second_deliverer():
    api = EventApi()
    outbox = Outbox()
    d = Deliverer(outbox, to=api.url)
    d.has_started()
    link = os.path.join(Scratch.new("link"), "other.db")
    os.symlink(outbox.db, link)
    for name in (outbox.db, link):
        code, other = run_once(name, to=api.url)
        equal(code, 75, name)
        if not WRAPPER:
            assert str(d.process.pid) in other.log(), other.log()
    d.kill()
    equal(run_once(outbox, to=api.url)[0], 0, "after a kill it is free")
    api.stop()


@tap.table("--once exits {0}", [
    ("0 when there is nothing", 0, {}),
    ("0 when all was delivered", 3, {}),
    ("1 when a row is due later", 1, {"due": DAY // 48, "attempts": 1}),
    ("1 when a row is unmapped", 1, {"state": "unmapped"}),
    ("1 when a row is dead", 1, {"state": "dead"}),
])
def exit_status(what, count, columns):
    api = EventApi()
    outbox = Outbox(count, **columns)
    equal(run_once(outbox, to=api.url)[0], int(what[0]))
    api.stop()


@tap.test("a FIFO in place of a file with the URL is refused, not waited for")
def fifo_is_no_credential():
    path = os.path.join(Scratch.new("fifo"), "to")
    os.mkfifo(path)
    status, run = run_once(Outbox(), "--to-file", path)
    equal(status, 64)
    assert "no regular file" in run.log(), run.log()


@tap.test("SIGTERM writes what was acknowledged, though another request "
          "hangs")
def sigterm_writes_fates():
    api = EventApi()
    api.never_answers("slow")
    outbox = Outbox()
    outbox.fill(1, "slow")
    d = Deliverer(outbox, "--batch", "1", to=api.url)
    until(lambda: api.seen("never"))
    outbox.fill(40, "quick")
    lock = WriteLock(outbox.db)             # no fate can be written
    until(lambda: api.count() == 40)
    d.process.terminate()
    lock.release()
    equal(d.wait(), 0)
    equal(outbox.states(), {"pending": 1, "delivered": 40})
    api.stop()


@tap.table("the URL from {0} is found", [
    ("SENTRY_DELIVER_TO", lambda url, folder: ({}, [], url)),
    ("--to", lambda url, folder: ({}, ["--to", url], "http://no.invalid/")),
    ("--to= with its value", lambda url, folder: ({}, ["--to=" + url], None)),
    ("--to-file", lambda url, folder: (
        {}, ["--to-file", write_file(folder + "/f", f" {url} \n")], "-")),
    ("SENTRY_DELIVER_TO_FILE", lambda url, folder: (
        {"SENTRY_DELIVER_TO_FILE": write_file(folder + "/f", url)}, [], None)),
    ("INNGEST_EVENT_KEY", lambda url, folder: (
        {"INNGEST_EVENT_KEY": KEY,
         "INNGEST_BASE_URL": url.split("/e/")[0]}, [], None)),
    ("INNGEST_EVENT_KEY and a base with a slash", lambda url, folder: (
        {"INNGEST_EVENT_KEY": KEY,
         "INNGEST_BASE_URL": url.split("/e/")[0] + "/"}, [], None)),
    ("a credential", lambda url, folder: (
        {"CREDENTIALS_DIRECTORY": os.path.dirname(
            write_file(folder + "/sentry-deliver-to", url + "\n"))}, [],
        None)),
])
def url_is_found(_, make):
    api = EventApi()
    outbox = Outbox()
    outbox.fill(1)
    env, options, to = make(api.url, Scratch.new("to"))
    code, d = run_once(outbox, *options, to=to, env=env)
    equal((code, api.count()), (0, 1), d.log())
    expect_no_key(d.log())
    api.stop()


@tap.table("a command line {0} is refused with 64, in a line without the "
           "key", [
    ("without a URL", []), ("with another scheme", ["--to", f"ftp://{KEY}"]),
    ("with a URL too many", ["--to", "-", f"http://x/e/{KEY}"]),
    ("with an empty URL", ["--to="]),
    ("with half a URL", ["--to", "http://"]),
    ("with a wrong number", ["--to", f"http://x/{KEY}", "--keep", KEY]),
])
def bad_usage(_, options):
    d = Deliverer(Outbox(), *options)
    equal(d.wait(), 64, d.log())
    equal(len(d.log_lines()), 1, d.log())
    expect_no_key(d.log())


@tap.table("no part of a URL {0} is shown", [
    ("with a key in its path", "/e/{k}"),
    ("with a slash behind the key", "/e/{k}/"),
    ("with a key in its query", "/e/x?key={k}&a=b"),
    ("with an escaped key", "/e/sup3r%2ds3cret-k3y"),
    ("with a name and a password", "@/e/x"),
])
def no_part_of_url_is_shown(_, path):
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
        outbox = Outbox()
        outbox.fill(1)
        metrics = os.path.join(Scratch.new("m"), "m.prom")
        _, d = run_once(outbox, "--to", url, "--metrics", metrics)
        shown = d.log() + open(metrics).read() + "".join(
            map(str, outbox.rows("SELECT * FROM outbox")))
        expect_no_key(shown)
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
def arguments_are_blanked(_, options):
    api = EventApi()
    d = Deliverer(Outbox(), *options(api.url))
    d.has_started()
    with open(f"/proc/{d.process.pid}/cmdline") as f:
        arguments = f.read()
    expect_no_key(arguments)
    assert "/e/" not in arguments, arguments
    equal(d.stop(), 0)
    api.stop()


@tap.test("the metrics file says what was done, in Prometheus's format")
def metrics_file():
    api = EventApi()
    outbox = Outbox()
    outbox.fill(30)
    outbox.fill(2, "poison")
    outbox.fill(3, "wait", due=DAY // 48, attempts=1)
    path = os.path.join(Scratch.new("metrics"), "m.prom")
    run_once(outbox, "--metrics", path, to=api.url)
    text = read_file(path)
    expect_no_key(text)
    series = series_of(text)
    for name, value in (
            ('rows_total{result="delivered"}', 30),
            ('rows_total{result="dead"}', 2),
            ('outbox_rows{state="pending"}', 3),
            ('outbox_rows{state="dead"}', 2), ("sink_up", 1),
            ("in_flight_rows", 0)):
        equal(series["sentry_deliver_" + name], value, name)
    equal(glob.glob(path + ".*"), [], "left behind")
    api.stop()


# ---- the database --------------------------------------------------------

@tap.test("--keep deletes what is settled and old, with its bodies, and "
          "nothing else")
def keep_deletes_old_rows():
    api = EventApi()
    worker = Worker(*BRIEF)
    outbox = Outbox(db=worker.db)
    outbox.fill(3000, "old", state="delivered", age=40 * DAY)
    for state in ("pending", "unmapped", "acked", "dead"):
        outbox.fill(20, state, 20, state=state, age=40 * DAY,
                    due=40 * DAY + DAY // 48, attempts=1)
    outbox.fill(3000, "older", state="delivered", age=40 * DAY)
    outbox.add_hooks([{"received_at": 1, "dedupe_key": b"lone-old",
                       "outcome": "ignored"}])
    outbox.fill(30, "new", 20, state="delivered", age=20 * DAY)
    outbox.add_hooks([{
        "received_at": now_ms() - 20 * DAY, "dedupe_key": b"lone-new",
        "outcome": "unreadable"}])
    newest = outbox.value("SELECT max(id) FROM webhook")
    equal(run_once(outbox, "--keep", "0", to=api.url)[0], 1)
    equal(outbox.states()["delivered"], 6030, "with --keep 0")
    d = Deliverer(outbox, to=api.url)
    took = []

    def pruned():
        begin = time.monotonic()
        equal(worker.send().status, 200)
        took.append(time.monotonic() - begin)
        return outbox.states().get("delivered") == 30 and outbox.value(
            "SELECT count(*) FROM webhook WHERE id <= ?", newest) == 111
    with Latency() as latency:
        until(pruned)
    latency.allows(max(took), 1, "a hook")
    until(lambda: not worker.spooled())
    states = outbox.states()
    equal(states.pop("unmapped"), 20 + len(took))
    equal(states, {"pending": 20, "acked": 20, "dead": 20, "delivered": 30})
    equal(outbox.rows("SELECT dedupe_key FROM webhook WHERE "
                      "CAST(dedupe_key AS TEXT) LIKE 'lone%'"),
          [(b"lone-new",)])
    equal(outbox.count("webhook_id NOT IN (SELECT id FROM webhook)"), 0)
    equal(d.stop(), 0)
    equal(worker.stop(), 0)
    api.stop()


@tap.test("pruning goes on while a backlog is sent")
def prune_and_drain():
    api = EventApi(delay=0.05)
    outbox = Outbox()
    outbox.fill(2000, "old", 200, state="delivered", age=40 * DAY)
    outbox.fill(20000, "e", 20)
    d = Deliverer(outbox, "--batch", "20", to=api.url)
    until(lambda: outbox.count("event_id LIKE 'sentry-old%'") == 0)
    assert not outbox.nothing_pending(), "the backlog went first"
    d.stop()
    api.stop()


@tap.test("while hooks come in fast rows are delivered, and old hooks deleted "
          "with their rows")
@on_site
def prune_under_load(site, w):
    outbox = Outbox(db=w.db)
    outbox.fill(50000, "old", 200, state="delivered", age=40 * DAY)
    load = site.hammer(clients=16)
    until(lambda: outbox.value("SELECT max(id) FROM webhook") > 52000)
    d = Deliverer(outbox, to="-")
    old = "SELECT count(*) FROM webhook WHERE id <= 50000"
    until(lambda: outbox.value(old) <= 48000)
    assert outbox.value(old.replace("webhook", "outbox")) > 40000, \
        "the rows went first"
    until(lambda: outbox.count("id > 50000 AND state = 'delivered'") > 500)
    no_answer_but_200(load.result())
    equal(d.stop(), 0)


@tap.test("a database that is replaced is noticed, though nothing is due")
def replaced_database():
    api = EventApi()
    outbox = Outbox()
    d = Deliverer(outbox, "--keep", "0", to=api.url)
    until(lambda: has_open(d.process, outbox.db + "-shm"))
    fresh = Outbox()
    ids = fresh.fill(5)
    fresh.shell("PRAGMA wal_checkpoint(TRUNCATE)")
    for end in ("-wal", "-shm"):
        if os.path.exists(outbox.db + end):
            os.unlink(outbox.db + end)
    os.rename(fresh.db, outbox.db)
    until(lambda: all(id in api.taken for id in ids))
    until(lambda: outbox.states() == {"delivered": 5})
    equal(len(d.log_events("database-fault")), 1)
    equal(d.stop(), 0)
    api.stop()


def does_not_spin(d):
    begin = time.monotonic()
    before = cpu_seconds(d.process)
    while time.monotonic() - begin < (10 if FULL else 2):
        assert d.running(), d.log()
        time.sleep(0.1)
    spent = cpu_seconds(d.process) - before
    assert spent < 0.5 * SLOW * (5 if FULL else 1), f"it spins: {spent} s"


@tap.test("a database that is locked for long is waited for")
def locked_database():
    api = EventApi()
    outbox = Outbox()
    outbox.fill(1500)
    lock = WriteLock(outbox.db)
    d = Deliverer(outbox, "--once", to=api.url)
    until(lambda: api.count() == 1500)
    does_not_spin(d)
    lock.release()
    equal(d.wait(), 0, d.log())
    equal(outbox.states(), {"delivered": 1500})
    equal(max(api.taken.values()), 1, "sent again meanwhile")
    api.stop()


@tap.test("a database that is gone before the fates of rows are in it is "
          "waited for")
def database_gone_before_fates():
    api = EventApi()
    outbox = Outbox()
    outbox.fill(100)
    lock = WriteLock(outbox.db)
    d = Deliverer(outbox, to=api.url)
    until(lambda: api.count() == 100)
    os.rename(outbox.db, outbox.db + ".away")
    d.says("event=database-fault")
    does_not_spin(d)
    os.rename(outbox.db + ".away", outbox.db)
    lock.release()
    d.reaches({"delivered": 100})
    equal(max(api.taken.values()), 1, "sent again meanwhile")
    equal(d.stop(), 0)
    api.stop()


@tap.table("a database {0} is refused with 1, in words", [
    ("that is not there", lambda outbox: os.unlink(outbox.db), "makes it"),
    ("of another program", lambda outbox: write_file(
        outbox.db, b"") and outbox.shell(
        "PRAGMA application_id = 7; CREATE TABLE t (a)"), "another"),
    ("of a newer version", lambda outbox: outbox.shell(
        "PRAGMA user_version = 99"), "newer"),
    ("that is none", lambda outbox: write_file(outbox.db, b"x" * 9000),
     "not a database"),
])
def database_is_refused(_, spoil, words):
    for options in ([], ["--once"]):
        outbox = Outbox()
        spoil(outbox)
        d = Deliverer(outbox, *options, to="-")
        equal(d.wait(), 1, d.log())
        assert words in d.log(), d.log()


@tap.test("no transaction is open while a request hangs")
def no_transaction():
    api = EventApi()
    api.misdeed = lambda events: "never"
    outbox = Outbox()
    outbox.fill(800)
    d = Deliverer(outbox, to=api.url)
    until(lambda: api.seen("never"))
    outbox.fill(10, "more")
    out = outbox.shell("PRAGMA wal_checkpoint(TRUNCATE)")
    equal(out.strip(), "0|0|0", "the checkpoint")
    d.kill()
    api.stop()


@tap.table("a terminal that hangs up {}", [
    ("ends it as SIGTERM does", []),
    ("is nothing to it under nohup", ["nohup"])])
def terminal_hangs_up(_name, before):
    outbox = Outbox()
    d = Deliverer(outbox, to="-")
    d.stop()
    d.argv = before + d.argv
    d.start()
    outbox.fill(1)
    d.reaches({"delivered": 1})
    d.process.send_signal(signal.SIGHUP)
    if before:
        outbox.fill(1)
        d.reaches({"delivered": 2})
        d.process.terminate()
    equal(d.wait(), 0)


@tap.test("an idle deliverer makes few system calls")
def idle_deliverer_rests():
    need_strace()
    api = EventApi()
    outbox = Outbox()
    outbox.fill(100)
    d = Deliverer(outbox, to=api.url)
    until(lambda: outbox.states() == {"delivered": 100})
    trace = os.path.join(d.folder, "trace")
    s = start_process(["strace", "-f", "-o", trace, "-p", str(d.process.pid)],
                      stderr=subprocess.DEVNULL)
    until(lambda: os.path.exists(trace) and os.path.getsize(trace))
    lines = len(open(trace).readlines())
    begin = time.monotonic()
    time.sleep(3)               # this is what is measured
    took = time.monotonic() - begin
    lines = len(open(trace).readlines()) - lines
    stop_process(s)
    print(f"# {lines / took:.0f} system calls a second", flush=True)
    assert lines / took < 100, f"{lines} in {took} s"
    equal(d.stop(), 0)
    api.stop()


@tap.test("a pass with nothing due does not grow with what is delivered")
def no_growth():
    need_strace()
    outbox = Outbox()
    outbox.fill(1)
    run_once(outbox, to="-")

    def pages_read():
        trace = os.path.join(Scratch.new("trace"), "trace")
        p = start_process(
            ["strace", "-f", "-o", trace, "-P", outbox.db, "-P",
             outbox.db + "-wal", "-e", "trace=read,pread64,preadv,mmap",
             DELIVER, "--once", "--db", outbox.db, "--to", "-"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=clean_environment())
        equal(finish_process(p), 0)
        with open(trace) as f:
            return sum("+++" not in line for line in f)
    outbox.fill(1000, "d", 10, state="delivered")
    short = pages_read()
    outbox.fill(1000000 if FULL else 30000, "f", 10, state="delivered")
    long = pages_read()
    print(f"# {short} reads, {long} reads", flush=True)
    assert 0 < short <= long < short + 60, f"{short}, {long}"


@tap.test("standard output gets an envelope a line, and a reader that goes "
          "away ends it")
def standard_output():
    outbox = Outbox()
    ids = outbox.fill(2500)
    code, d = run_once(outbox, to="-")
    equal(code, 0)
    with open(d.stdout) as f:
        got = [json.loads(line)["id"] for line in f]
    equal(got, ids)
    outbox.fill(20000, "more")
    p = start_process([DELIVER, "--db", outbox.db, "--to", "-"],
                      stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                      env=clean_environment())
    p.stdout.readline()
    p.stdout.close()
    equal(finish_process(p), 1)
    assert b"standard output" in p.stderr.read()
    p.stderr.close()


@tap.test("both programs tell the service manager when they are ready, alive "
          "and stopping")
def service_manager_is_told():
    manager = ServiceManager()
    alive = [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
    api = EventApi()
    d = Deliverer(Outbox(), to=api.url, env=manager.env)
    manager.expect(*alive)
    d.process.terminate()
    manager.expect(b"STOPPING=1")
    equal(d.wait(), 0)
    worker = Worker(env=manager.env)
    manager.expect(*alive)
    worker.terminate()
    manager.expect(b"STOPPING=1")
    equal(worker.stop(), 0)
    manager.close()
    api.stop()


tap.last("no deliverer left a memory error")(Deliverer.inspect_all)
tap.run(lanes=4)
