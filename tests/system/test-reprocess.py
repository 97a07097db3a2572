#!/usr/bin/env python3
"""--reprocess: kept hooks, observed again by today's rules; beside a worker,
cut and gone on, and nothing that was not asked for."""
import json
import os
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import harness as h
from harness import equal, signed, until

h.need_program()
tap = h.Tap()
WIDE = "issue.* error.created event_alert.triggered metric_alert.*"
MANY = 100000 if h.FULL else 3000
COLUMNS = ("event_id, source_type, source_id, title, occurred_at, project_id,"
           " project_slug, issue_id, short_id, level, release, environment,"
           " source_event, workspace_id, state")


def reprocess(db, *options, status=0, **env):
    """Runs it; its output, after a look at the exit status."""
    done = h.run_program("--reprocess", "--db", db, *options, env={
        "SENTRY_WEBHOOKS_OBSERVE": WIDE, **env})
    equal(done.returncode, status, done.stdout + done.stderr)
    return done.stdout, done.stderr


def number(text, label):
    """The figure behind a label of the plan."""
    line, = [x for x in text.splitlines() if x.startswith(label)]
    return int(line[len(label):].split()[0].rstrip(":"))


def post(w, value, resource="issue"):
    body = h.compact(value)
    equal(w.post(body, signed(body, resource)).status, 200)
    time.sleep(0.002)   # what came first is known by its millisecond


def story(w, count=20):
    """Issues that are created, alerted about, and come back."""
    for n in range(count):
        id = str(7000 + n)
        post(w, h.issue("created", id=id, slug=f"shop-{n % 2}"))
        if n % 2:
            post(w, h.event_alert(issue_id=id, release=f"shop@{n}"),
                 "event_alert")
        post(w, h.issue("unresolved", id=id, slug=f"shop-{n % 2}"))
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
        done = h.run_program(*options)
        equal(done.returncode, 64, done.stderr)
        assert words in done.stderr, done.stderr
        equal(done.stderr.count("\n"), 1)


@tap.test("a plan alone changes nothing, and says what would come")
def plan_changes_nothing():
    w = h.Worker()
    h.map_everything(w.db)
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
    folder = h.Scratch.new("twin")
    w, twin = h.Worker(), h.Worker("--observe", WIDE, folder=folder)
    for each in (w, twin):
        h.map_everything(each.db)
    for n in range(12):
        id = str(7000 + n)
        hooks = [(h.issue("created", id=id), "issue"),
                 (h.event_alert(issue_id=id, release=f"shop@{n}"),
                  "event_alert"), (h.issue("unresolved", id=id), "issue")]
        for value, resource in hooks:
            body = h.compact(value)
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
    ("project", ["--project", "SHOP-1"], 10),
    ("its number", ["--project", "4509877862268928"], 20),
    ("outcome", ["--outcome", "ignored"], 20),
    ("action", ["--action", "resolved"], 0),
    ("time", ["--since", "1h"], 20),
    ("an earlier time", ["--until", "2026-01-10T20:56:00Z"], 0)])
def selection_takes_these_alone(_name, options, wanted):
    w = h.Worker()
    story(w)
    out, _ = reprocess(w.db, *options, "--dry-run", status=wanted == 0)
    equal(number(out, "new observations"), wanted)


@tap.test("rows that older rules made are replaced where that is asked for: "
          "waiting ones in place, delivered ones as new events")
def old_rows_are_replaced():
    w = h.Worker()
    h.map_everything(w.db)
    for n in range(6):
        post(w, h.issue("created", id=str(8000 + n)))
    good = observations(w)
    for id, state in enumerate(("pending", "unmapped", "dead", "acked",
                                "delivered"), 1):
        h.shell_ok(w.db, f"UPDATE outbox SET state = '{state}', title = 'old',"
                   " source_event = json_set(source_event, '$.title', 'old',"
                   f" '$.metadata.gone', 1), attempts = {id} WHERE id = {id}")
    out, _ = reprocess(w.db, "--all", "--dry-run")
    assert "3 not yet delivered (--update replaces them), 2 delivered " \
        "(--new-id sends them anew)" in out, out
    equal(number(out, "    title"), 5)
    equal(number(out, "    metadata.gone"), 5)
    equal(number(out, "stay as they are"), 1)
    equal(number(reprocess(w.db, "--all", "--update", "--yes")[0],
                 "rows written"), 3)
    equal([tuple(r) for r in w.rows("SELECT state, attempts, title <> 'old' "
                                    "FROM outbox ORDER BY id")],
          [("pending", 2, 1), ("pending", 0, 1), ("dead", 3, 1),
           ("acked", 4, 0), ("delivered", 5, 0), ("pending", 0, 1)])
    equal(number(reprocess(w.db, "--all", "--new-id", "--yes")[0],
                 "rows written"), 2)
    equal([r[0][len("sentry-") + 32:] for r in
           w.rows("SELECT event_id FROM outbox ORDER BY id")],
          ["", "", "", "-r2", "-r2", ""])
    h.shell_ok(w.db, "UPDATE outbox SET state = 'pending'; UPDATE outbox SET "
               "event_id = substr(event_id, 1, 39)")
    equal(observations(w), good)
    equal([tuple(r) for r in w.rows("SELECT rows, new_id FROM replay")],
          [(3, 0), (2, 1)])


@tap.test("a mapping that came later counts, and none leaves a row unmapped")
def mapping_is_todays():
    w = h.Worker()
    story(w, 4)
    h.shell_ok(w.db, "INSERT INTO workspace_map (project_slug, workspace_id) "
               "VALUES ('shop-1', 'ws_1')")
    reprocess(w.db, "--action", "unresolved", "--yes")
    equal([tuple(r) for r in
           w.rows("SELECT project_slug, state, workspace_id FROM outbox WHERE"
                  " source_type = 'issue.unresolved' ORDER BY id")],
          [("shop-0", "unmapped", None), ("shop-1", "pending", "ws_1")] * 2)


@tap.test("redacted bodies are said to be poorer; with --redact nothing "
          "personal gets into an observation")
def redaction_holds():
    w = h.Worker("--redact")
    post(w, h.issue("unresolved", title="mail kai@example.com"))
    out, _ = reprocess(w.db, "--all", "--dry-run")
    equal(number(out, "redacted"), 1)
    w.stop()
    w = h.Worker()
    post(w, h.issue("unresolved", title="mail kai@example.com"))
    reprocess(w.db, "--all", "--yes", SENTRY_WEBHOOKS_REDACT="1")
    title, = w.rows("SELECT title FROM outbox")[0]
    assert "[email]" in title and "kai@" not in title, title


@tap.test("what has gone by the time of writing is left alone")
def gone_hooks_stay_gone():
    w = h.Worker()
    post(w, h.issue("unresolved"))
    w.stop()
    db = h.open_db(w.db, write=True)
    db.execute("BEGIN IMMEDIATE")
    run = h.start([*h.WRAPPER, h.PROGRAM, "--reprocess", "--db", w.db,
                   "--all", "--yes", "--observe", WIDE],
                  stdout=subprocess.PIPE, env=h.clean_environment({}))
    until(lambda: b"new observations" in os.read(run.stdout.fileno(), 4096))
    db.execute("DELETE FROM webhook")
    time.sleep(0.2)
    db.execute("COMMIT")
    out = run.stdout.read()
    equal(h.finish(run), 0, out)
    assert b"rows written       0" in out, out
    equal(w.value("SELECT count(*) FROM outbox"), 0)


def fill(db, count):
    """So many ignored hooks beside the first, one in ten of another action."""
    h.shell_ok(db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
               f"FROM n WHERE i < {count}) INSERT INTO webhook (received_at, "
               "resource, action, installation, dedupe_key, outcome, body) "
               "SELECT received_at, resource, iif(i % 10, action, 'archived'),"
               " installation, randomblob(16), 'ignored', iif(i % 10, body, "
               "CAST(replace(body, 'unresolved', 'archived') AS BLOB)) FROM n, webhook "
               "WHERE id = 1")


@tap.table("cut by {} it goes on where it was, and each is there once", [
    ("SIGINT", signal.SIGINT), ("kill -9", signal.SIGKILL)])
def cut_run_goes_on(_name, how):
    w = h.Worker()
    h.map_everything(w.db)
    post(w, h.issue("unresolved"))
    fill(w.db, MANY)
    run = h.start([h.PROGRAM, "--reprocess", "--db", w.db, "--action",
                   "unresolved", "--yes", "--observe", WIDE],
                  stdout=subprocess.PIPE, env=h.clean_environment({}))
    until(lambda: w.value("SELECT count(*) FROM outbox") > 100)
    run.send_signal(how)
    equal(h.finish(run), 1 if how == signal.SIGINT else -9)
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
    w = h.Worker()
    nginx = h.Nginx(w.socket)
    post(w, h.issue("unresolved"))
    fill(w.db, MANY)
    load = h.Hammer(nginx.port, clients=8)
    until(lambda: w.value("SELECT count(*) FROM webhook") > MANY + 100)
    begin = time.monotonic()
    out, _ = reprocess(w.db, "--action", "unresolved", "--yes")
    took = time.monotonic() - begin
    figures = load.result()
    equal(number(out, "rows written"), MANY - MANY // 10 + 1)
    equal((figures["status_other"], figures["broken"]), (0, 0))
    equal(figures["sent"], figures["ok"])
    equal(w.value("SELECT count(*) FROM outbox WHERE source_type = "
                  "'issue.unresolved'"), MANY - MANY // 10 + 1)
    equal(w.value("SELECT count(*) FROM outbox WHERE source_type = "
                  "'issue.archived'"), 0)
    print(f"# {took:.1f} s")
    nginx.stop()


tap.run(lanes=2)
