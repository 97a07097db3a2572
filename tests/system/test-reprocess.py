#!/usr/bin/env python3
"""--reprocess: kept hooks, observed again by today's rules; beside a worker,
cut and gone on, and nothing that was not asked for."""
import os
import signal
import sqlite3
import subprocess
import time

from database import map_everything, shell_ok
from environment import (FULL, MEMORY_ERROR, PROGRAM, WRAPPER,
                         clean_environment)
from expect import equal, until
from hammer import Hammer, no_answer_but_200
from hooks import compact, event_alert, issue, signed
from nginx import Nginx
from outbox import Outbox
from process import finish_process, run_program, start_process
from scratch import Scratch
from tap import Tap, need_program
from worker import Worker

need_program()
tap = Tap()
WIDE = "issue.* error.created event_alert.triggered metric_alert.*"
MANY = 100000 if FULL else 3000
COLUMNS = ("event_id, source_type, source_id, title, occurred_at, project_id,"
           " project_slug, issue_id, short_id, level, release, environment,"
           " source_event, workspace_id, state")


def reprocess(db, *options, status=0, **env):
    """Runs it; its output, after a look at the exit status."""
    done = run_program("--reprocess", "--db", db, *options, env={
        "SENTRY_WEBHOOKS_OBSERVE": WIDE, **env})
    equal(done.returncode, status, done.stdout + done.stderr)
    assert not MEMORY_ERROR.search(done.stderr), done.stderr
    return done.stdout, done.stderr


def number(text, label):
    """The figure behind a label of the plan."""
    line, = [x for x in text.splitlines() if x.startswith(label)]
    return int(line[len(label):].split()[0].rstrip(":"))


def post(w, hook, resource="issue"):
    equal(w.send(hook, resource).status, 200)
    time.sleep(0.002)   # what came first is known by its millisecond


def story(w, count=20):
    """Issues that are created, alerted about, and come back."""
    for n in range(count):
        id = str(7000 + n)
        post(w, issue("created", id=id, slug=f"shop-{n % 2}"))
        if n % 2:
            post(w, event_alert(issue_id=id, release=f"shop@{n}"),
                 "event_alert")
        post(w, issue("unresolved", id=id, slug=f"shop-{n % 2}"))
    return count


def observations(w, where="1"):
    return [tuple(row) for row in
            w.rows(f"SELECT {COLUMNS} FROM outbox WHERE {where} "
                   "ORDER BY event_id")]


@tap.test("without a selection, or with one for nothing, it is wrong usage")
def wrong_usage_is_said():
    for options, words in (
            (["--reprocess"], "wants a selection"),
            (["--reprocess", "--outcome", "odd"], "--outcome wants"),
            (["--reprocess", "--since", "tomorrow"], "--since wants a time"),
            (["--reprocess", "--since", "2026-13-01"], "--since wants a time"),
            (["--action", "unresolved"], "go with --reprocess"),
            (["--all", "--new-id"], "go with --reprocess")):
        done = run_program(*options)
        equal(done.returncode, 64, done.stderr)
        assert words in done.stderr, done.stderr
        equal(done.stderr.count("\n"), 1)


@tap.test("a plan alone changes nothing, and says what would come")
def plan_changes_nothing():
    w = Worker()
    map_everything(w.db)
    count = story(w)
    before = w.rows("SELECT * FROM webhook"), observations(w)
    out, _ = reprocess(w.db, "--all", "--dry-run")
    equal(number(out, "hooks selected"), 2 * count + count // 2)
    equal(number(out, "new observations"), count)
    equal(number(out, "stay as they are"), count + count // 2)
    out, err = reprocess(w.db, "--all", status=1)
    assert "say --yes" in err, err
    equal((w.rows("SELECT * FROM webhook"), observations(w)), before)
    equal(w.value("SELECT count(*) FROM replay"), 0)


@tap.test("hooks that were ignored become what they would have become")
def ignored_hooks_are_observed():
    folder = Scratch.new("twin")
    w, twin = Worker(), Worker("--observe", WIDE, folder=folder)
    for each in (w, twin):
        map_everything(each.db)
    for n in range(12):
        id = str(7000 + n)
        hooks = [(issue("created", id=id), "issue"),
                 (event_alert(issue_id=id, release=f"shop@{n}"),
                  "event_alert"), (issue("unresolved", id=id), "issue")]
        for value, resource in hooks:
            body = compact(value)
            headers = signed(body, resource)
            for each in (w, twin):
                equal(each.post(body, headers).status, 200)
            time.sleep(0.002)
    out, _ = reprocess(w.db, "--resource", "issue", "--action", "unresolved",
                       "--yes")
    equal(number(out, "rows written"), 12)
    equal(observations(w), observations(twin))
    equal(w.value("SELECT count(*) FROM webhook WHERE outcome = 'ignored'"), 0)
    equal([tuple(r) for r in w.rows("SELECT selection, rows, new_id FROM "
                                    "replay")],
          [("--reprocess --resource issue --action unresolved", 12, 0)])
    equal(w.value("SELECT count(*) FROM reprocessed"), 12)
    out, _ = reprocess(w.db, "--all", "--update", "--new-id", "--yes")
    equal(number(out, "stay as they are"), 36)
    equal(w.value("SELECT count(*) FROM replay"), 1)


@tap.table("a selection by {} takes these alone", [
    ("project", ["--project", "SHOP-1"], 20, 10),
    ("its number", ["--project", "4509877862268999"], 1, 1),
    ("outcome", ["--outcome", "ignored"], 21, 21),
    ("resource", ["--resource", "event_alert"], 10, 0),
    ("action", ["--action", "created"], 20, 0),
    ("an action that never came", ["--action", "resolved"], 0, 0),
    ("time", ["--since", "1h"], 50, 20),
    ("an earlier time", ["--until", "1h"], 1, 1)])
def selection_takes_these_alone(_name, options, selected, wanted):
    w = Worker()
    story(w)
    post(w, issue("unresolved", project="4509877862268999"))
    shell_ok(w.db, "UPDATE webhook SET received_at = received_at - 7200000 "
             "WHERE id = (SELECT max(id) FROM webhook)")
    out, _ = reprocess(w.db, *options, "--dry-run", status=selected == 0)
    equal((number(out, "hooks selected"), number(out, "new observations")),
          (selected, wanted))


@tap.test("rows that older rules made are replaced where that is asked for: "
          "waiting ones in place, delivered ones as new events")
def old_rows_are_replaced():
    w = Worker()
    map_everything(w.db)
    for n in range(6):
        post(w, issue("created", id=str(8000 + n)))
    good = observations(w)
    equal(w.stop(), 0)                  # it would map the unmapped row
    for id, state in enumerate(("pending", "unmapped", "dead", "acked",
                                "delivered"), 1):
        shell_ok(w.db, f"UPDATE outbox SET state = '{state}', title = 'old',"
                 " source_event = json_set(source_event, '$.title', 'old',"
                 f" '$.metadata.gone', 1), attempts = {id} WHERE id = {id}")
    out, _ = reprocess(w.db, "--all", "--dry-run")
    assert "3 not yet delivered (--update replaces them), 2 delivered " \
        "(--new-id sends them anew)" in out, out
    equal(number(out, "tried before"), 3)
    equal(number(out, "    title"), 5)
    equal(number(out, "    metadata.gone"), 5)
    equal(number(out, "stay as they are"), 1)
    equal(number(reprocess(w.db, "--all", "--update", "--yes")[0],
                 "rows written"), 3)
    equal([tuple(r) for r in w.rows("SELECT state, attempts, title <> 'old' "
                                    "FROM outbox ORDER BY id")],
          [("pending", 2, 1), ("pending", 3, 1), ("dead", 3, 1),
           ("acked", 4, 0), ("delivered", 5, 0), ("pending", 0, 1)])
    equal(number(reprocess(w.db, "--all", "--new-id", "--yes")[0],
                 "rows written"), 2)
    equal([r[0][len("sentry-") + 32:] for r in
           w.rows("SELECT event_id FROM outbox ORDER BY id")],
          ["", "", "", "-r2", "-r2", ""])
    shell_ok(w.db, "UPDATE outbox SET state = 'pending'; UPDATE outbox SET "
             "event_id = substr(event_id, 1, 39)")
    equal(observations(w), good)
    equal([tuple(r) for r in w.rows("SELECT rows, new_id FROM replay")],
          [(3, 0), (2, 1)])


@tap.test("a dead row whose project is no longer mapped is replaced, and stays "
          "dead")
def dead_row_stays_dead():
    w = Worker()
    map_everything(w.db, "ws_1")
    post(w, issue("created"))
    shell_ok(w.db, "DELETE FROM workspace_map; UPDATE outbox SET "
             "state = 'dead', attempts = 20, title = 'old', project_id = '0'")
    equal(number(reprocess(w.db, "--all", "--update", "--yes")[0],
                 "rows written"), 1)
    equal([tuple(r) for r in w.rows("SELECT state, attempts, workspace_id, "
                                    "title <> 'old' FROM outbox")],
          [("dead", 20, "ws_1", 1)])


@tap.test("many large hooks are no single transaction")
def large_hooks_are_parted():
    w = Worker("--observe", "error.created")
    map_everything(w.db)
    for n in range(64):
        post(w, issue("created", id=str(n), annotations=["x" * 200000]))
    equal(w.stop(), 0)
    before = os.path.getsize(w.db + "-wal") \
        if os.path.exists(w.db + "-wal") else 0
    out, _ = reprocess(w.db, "--all", "--yes")
    equal((number(out, "rows written"), before), (64, 0))
    pages = os.path.getsize(w.db + "-wal") // 8192
    assert pages < 1000, f"{pages} pages in the log"


@tap.test("a row keeps the release that it has, whatever was learned since")
def row_keeps_its_release():
    w = Worker()
    map_everything(w.db)
    for release in ("shop@1", "shop@2"):
        post(w, event_alert(issue_id="9000", release=release), "event_alert")
    post(w, issue("created", id="9000"))
    post(w, event_alert(issue_id="9000", release="shop@1"), "event_alert")
    out, _ = reprocess(w.db, "--all", "--dry-run")
    equal(number(out, "stay as they are"), 4)


@tap.test("a hook without a row gets the release of its time, no later one")
def release_is_that_of_the_time():
    w = Worker()
    map_everything(w.db)
    post(w, issue("unresolved", id="9001"))
    post(w, event_alert(issue_id="9001", release="shop@1"), "event_alert")
    post(w, issue("unresolved", id="9001", title="again"))
    post(w, event_alert(issue_id="9001", release="shop@2"), "event_alert")
    reprocess(w.db, "--action", "unresolved", "--yes")
    equal([tuple(r) for r in w.rows(
        "SELECT release FROM outbox WHERE source_type = 'issue.unresolved' "
        "ORDER BY webhook_id")], [(None,), ("shop@1",)])


@tap.test("a source event that is no object any more counts as changed")
def odd_source_event_is_replaced():
    w = Worker()
    post(w, issue("created"))
    good = observations(w)
    shell_ok(w.db, "UPDATE outbox SET source_event = '[1]'")
    out, _ = reprocess(w.db, "--all", "--update", "--yes")
    equal(number(out, "    source_event"), 1)
    equal(observations(w), good)


@tap.test("a hook whose row was deleted gets it again")
def deleted_row_comes_again():
    w = Worker()
    post(w, issue("created"))
    good = observations(w)
    shell_ok(w.db, "DELETE FROM outbox")
    out, _ = reprocess(w.db, "--all", "--yes")
    equal((number(out, "new observations"), number(out, "rows written")),
          (1, 1))
    equal(observations(w), good)


@tap.test("while another process holds the write lock for long it fails")
def lock_is_not_passed_over():
    w = Worker()
    post(w, issue("unresolved"))
    w.stop()
    with sqlite3.connect(w.db, isolation_level=None) as db:
        db.execute("BEGIN IMMEDIATE")
        _, err = reprocess(w.db, "--all", "--yes", status=1)
        db.execute("ROLLBACK")
    db.close()
    assert "busy" in err, err
    equal(number(reprocess(w.db, "--all", "--yes")[0], "rows written"), 1)


@tap.test("a mapping that came later counts, and none leaves a row unmapped")
def mapping_is_todays():
    w = Worker()
    story(w, 4)
    shell_ok(w.db, "INSERT INTO workspace_map (project_slug, workspace_id) "
             "VALUES ('shop-1', 'ws_1')")
    reprocess(w.db, "--action", "unresolved", "--yes")
    equal([tuple(r) for r in
           w.rows("SELECT project_slug, state, workspace_id FROM outbox WHERE"
                  " source_type = 'issue.unresolved' ORDER BY id")],
          [("shop-0", "unmapped", None), ("shop-1", "pending", "ws_1")] * 2)


@tap.test("redacted bodies are said to be poorer; with --redact nothing "
          "personal gets into an observation")
def redaction_holds():
    w = Worker("--redact")
    post(w, issue("unresolved", title="mail kai@example.com"))
    out, _ = reprocess(w.db, "--all", "--dry-run")
    equal(number(out, "redacted"), 1)
    w.stop()
    w = Worker()
    post(w, issue("unresolved", title="mail kai@example.com"))
    reprocess(w.db, "--all", "--yes", SENTRY_WEBHOOKS_REDACT="1")
    title, = w.rows("SELECT title FROM outbox")[0]
    assert "[email]" in title and "kai@" not in title, title


@tap.test("what has gone by the time of writing is left alone")
def gone_hooks_stay_gone():
    w = Worker()
    post(w, issue("unresolved"))
    w.stop()
    lock = w.lock()
    run = start_process([*WRAPPER, PROGRAM, "--reprocess", "--db", w.db,
                         "--all", "--yes", "--observe", WIDE],
                        stdout=subprocess.PIPE, env=clean_environment())
    until(lambda: b"new observations" in os.read(run.stdout.fileno(), 4096))
    lock.db.execute("DELETE FROM webhook")
    time.sleep(0.2)
    lock.release(keep=True)
    out = run.stdout.read()
    equal(finish_process(run), 0, out)
    assert b"rows written       0" in out, out
    equal(w.value("SELECT count(*) FROM outbox"), 0)


def fill(w, count):
    """So many ignored hooks like the first, one in ten of another action."""
    received, body = w.rows("SELECT received_at, body FROM webhook")[0]
    archived = body.replace(b"unresolved", b"archived")
    Outbox(db=w.db).add_hooks({
        "received_at": received, "dedupe_key": os.urandom(16),
        "action": "unresolved" if i % 10 else "archived",
        "body": body if i % 10 else archived, "outcome": "ignored"}
        for i in range(1, count + 1))


@tap.table("cut by {} it goes on where it was, and each is there once", [
    ("SIGINT", signal.SIGINT), ("kill -9", signal.SIGKILL)])
def cut_run_goes_on(_name, how):
    w = Worker()
    map_everything(w.db)
    post(w, issue("unresolved"))
    fill(w, MANY)
    run = start_process([PROGRAM, "--reprocess", "--db", w.db, "--action",
                         "unresolved", "--yes", "--observe", WIDE],
                        stdout=subprocess.PIPE, env=clean_environment())
    until(lambda: w.value("SELECT count(*) FROM outbox") > 100)
    run.send_signal(how)
    equal(finish_process(run), 1 if how == signal.SIGINT else -9)
    run.stdout.close()
    part = w.value("SELECT count(*) FROM outbox")
    wanted = MANY - MANY // 10 + 1
    assert 100 < part < wanted, part
    equal(w.value("SELECT sum(rows) FROM replay"), part)
    reprocess(w.db, "--action", "unresolved", "--yes")
    equal([tuple(r) for r in
           w.rows("SELECT count(*), count(DISTINCT event_id), "
                  "count(DISTINCT webhook_id), sum(json_valid(source_event)) "
                  "FROM outbox")], [(wanted,) * 4])
    equal(w.value("SELECT sum(rows) FROM replay"), wanted)
    equal(w.value("SELECT count(*) FROM pragma_integrity_check "
                  "WHERE integrity_check <> 'ok'"), 0)


@tap.test(f"{MANY} hooks beside a worker under load: exactly these, and no "
          "hook is refused")
def beside_a_worker_under_load():
    w = Worker()
    nginx = Nginx(w.socket)
    post(w, issue("unresolved"))
    fill(w, MANY)
    load = Hammer(nginx.port, clients=8)
    until(lambda: w.hook_count() > MANY + 100)
    begin = time.monotonic()
    out, _ = reprocess(w.db, "--action", "unresolved", "--yes")
    took = time.monotonic() - begin
    figures = load.result()
    equal(number(out, "rows written"), MANY - MANY // 10 + 1)
    no_answer_but_200(figures)
    equal(figures["sent"], figures["ok"])
    equal(w.value("SELECT count(*) FROM outbox WHERE source_type = "
                  "'issue.unresolved'"), MANY - MANY // 10 + 1)
    equal(w.value("SELECT count(*) FROM outbox WHERE source_type = "
                  "'issue.archived'"), 0)
    print(f"# {took:.1f} s")
    nginx.stop()


tap.run(lanes=2)
