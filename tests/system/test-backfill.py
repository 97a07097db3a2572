#!/usr/bin/env python3
"""sentry-backfill against a stand-in of Sentry's API: it files what never came,
nothing else, and nothing twice; and what it does when that API limits, fails,
lies or is cut off."""
import itertools
import json
import os
import re
import signal
import ssl
import subprocess
import time

from database import map_everything, shell_ok
from environment import (BUILD, LIMIT, MEMORY_ERROR, WRAPPER,
                         clean_environment, strip_valgrind)
from expect import equal, until
from hooks import INSTALLATION, PATH, compact, error, issue, signed, unique
from outbox import Outbox
from process import finish_process, run_program, start_process
from scratch import Scratch, write_file
from tap import Skip, Tap, need_program
from worker import Worker

import sentryapi
from sentryapi import ISSUES, MINUTE, Answer, Hold, SentryApi, Story

need_program()
tap = Tap()
PROGRAM = os.path.join(BUILD, "sentry-backfill")
OBSERVE = "issue.* event_alert.*"
STOPPED = 60, 180           # minutes of the story


def base():
    """The story begins four hours ago."""
    return int(time.time() * 1000) - 240 * MINUTE


def post(worker, at, resource, body):
    raw = compact(body)
    answer = worker.post(raw, signed(
        raw, resource, sentry_hook_timestamp=str(at // 1000)))
    equal(answer.status, 200)


class World:
    """A worker that was stopped from one minute of a story to another; what it
    missed stands in Sentry's log of failures."""

    def __init__(self, api, stopped=STOPPED, options=("--observe", OBSERVE)):
        self.worker = Worker(*options)
        self.api = api
        self.token = write_file(os.path.join(self.worker.folder, "token"),
                             sentryapi.TOKEN + "\n", 0o600)
        map_everything(self.worker.db)
        begin, end = (api.story.base + m * MINUTE for m in stopped)
        for at, resource, body in api.story.hooks():
            if begin <= at < end:
                api.fail(at, resource, body)
            else:
                post(self.worker, at, resource, body)

    def argv(self, *words, token=None):
        return WRAPPER + [
            PROGRAM, "--db", self.worker.db, "--org", sentryapi.ORG,
            "--token-file", token or self.token, "--base-url", self.api.url,
            *words]

    def run(self, *words, since=("--since", "5h"), yes=("--yes",), env=None,
            token=None, status=0):
        done = subprocess.run(
            self.argv(*since, "--observe", OBSERVE, *yes, *words,
                      token=token),
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", env=clean_environment(env), timeout=LIMIT)
        done.stderr = strip_valgrind(done.stderr)
        assert not MEMORY_ERROR.search(done.stderr), done.stderr
        equal(done.returncode, status, done.stdout + done.stderr)
        assert sentryapi.TOKEN not in done.stdout + done.stderr
        return done

    def rows(self, sql, *values):
        return [tuple(r) for r in self.worker.rows(sql, *values)]

    def outbox(self):
        """What of the observations about issues must be equal."""
        out = []
        for kind, issue, title, release, event in self.rows(
                "SELECT source_type, issue_id, title, release, source_event "
                "FROM outbox WHERE source_type LIKE 'issue.%'"):
            event = json.loads(event)
            out.append((kind, issue, title, event["body"],
                        json.dumps(event["references"]), release))
        return sorted(out, key=lambda r: [str(x) for x in r])

    def filed(self):
        return self.rows("SELECT count(*) FROM webhook WHERE origin = "
                         "'backfill'")[0][0]


def differences(got, want):
    got, want = [*got], [*want]
    for row in [*got]:
        if row in want:
            want.remove(row)
            got.remove(row)
    return got, want


def same(got, want):
    extra, missing = differences(got, want)
    assert not extra and not missing, \
        f"too many: {extra[:5]}\nmissing: {missing[:5]}"


@tap.test("one issue that was created while nobody listened is filed")
def created_issue_is_filed():
    api = SentryApi(Story(base(), [("alone", {}, "created@70")]))
    world = World(api)
    equal(world.outbox(), [])
    world.run()
    row, = world.rows(
        "SELECT o.source_type, o.title, o.release, o.state, w.origin, "
        "w.secret_name, w.resource, w.action, w.installation, w.outcome, "
        "w.seen, o.source_event FROM outbox o JOIN webhook w "
        "ON w.id = o.webhook_id")
    equal(row[:-1], ("issue.created", "🔴 [New Issue] ValueError: alone",
                     "shop@1.4.2", "pending", "backfill", None, "issue",
                     "created", None,
                     "observed", 1))
    equal(json.loads(row[-1])["metadata"]["backfilled"], True)


@tap.test("a worker that was stopped for two hours has the outbox of one that "
          "never was: 530 issues over three pages, a 429 and a kill -9")
def stopped_worker_catches_up():
    api = SentryApi(Story(base(), ISSUES).many(500), page=200)
    never = World(api, stopped=(0, 0))
    api.failed.clear()
    world = World(api)
    assert len(world.outbox()) < len(never.outbox()) - 600
    api.odd.append((r"/issues/\?", Answer(429, b"{}", {"Retry-After": "1"})))
    api.odd.append((r"/activities/", Answer(429, b"{}",
                                            {"Retry-After": "1"})))
    auto = "--since", "auto", "--app", sentryapi.APP
    hold = Hold(330)
    api.always.append(("/activities/", hold))
    with open(os.path.join(world.worker.folder, "out"), "wb") as out:
        cut = start_process(world.argv(*auto, "--observe", OBSERVE, "--yes"),
                      env=clean_environment(), stdout=out, stderr=out)
        assert hold.reached.wait(LIMIT)
        cut.kill()
        finish_process(cut)
        hold.release()
    some = world.filed()
    assert 100 < some < 500, some
    asked = len(api.paths("/activities/"))
    done = world.run(since=auto)
    assert "going on where it was cut" in done.stdout, done.stdout
    # The first page was not read again.
    asked = len(api.paths("/activities/")) - asked
    assert asked < 530 - 150, asked
    same(world.outbox(), never.outbox())
    filed = world.filed()
    equal(world.rows("SELECT sum(rows) FROM backfill"), [(filed,)])

    done = world.run(since=auto)
    assert "nothing has failed that was not fetched" in done.stdout
    done = world.run(since=("--since", "5h"))
    assert "0 hooks filed" in done.stdout, done.stdout
    equal(world.filed(), filed)
    same(world.outbox(), never.outbox())


ALONE = [("alone", {}, "created@70"), ("resolved", {},
                                       "created@5 resolved:ann@80")]


def alone(**how):
    """A world in which two hooks did not come."""
    return World(SentryApi(Story(base(), ALONE), **how))


# ---- the command line ----------------------------------------------------

@tap.test("--help tells every option, in 80 columns; --version the package's")
def help_and_version():
    done = subprocess.run(WRAPPER + [PROGRAM, "--help"],
                          capture_output=True, text=True)
    equal(done.returncode, 0)
    for word in ("--org", "--app", "--token-file", "--base-url", "--since",
                 "--until", "--dry-run", "--yes", "--horizon", "--observe",
                 "--redact", "--installation", "--ca", "--timeout", "--db"):
        assert word in done.stdout, word
    assert all(len(x) <= 80 for x in done.stdout.splitlines())
    done = subprocess.run(WRAPPER + [PROGRAM, "--version"],
                          capture_output=True, text=True)
    equal(done.stdout.split()[1], run_program("--version").stdout.split()[1])


USAGE = [
    ("no --org", ["--token-file", "T", "--since", "2h"]),
    ("no --token-file", ["--org", "x", "--since", "2h"]),
    ("no --since", ["--org", "x", "--token-file", "T"]),
    ("a slug with a slash", ["--org", "a/b", "--token-file", "T", "--since",
                             "2h"]),
    ("a slug with dots", ["--org", "..", "--token-file", "T", "--since",
                          "2h"]),
    ("auto without --app", ["--org", "x", "--token-file", "T", "--since",
                            "auto"]),
    ("a URL of another kind", ["--org", "x", "--token-file", "T", "--since",
                               "2h", "--base-url", "file:///etc/passwd"]),
    ("a URL with a user", ["--org", "x", "--token-file", "T", "--since", "2h",
                           "--base-url", "https://sentry.io@example.com"]),
    ("a URL without a host", ["--org", "x", "--token-file", "T", "--since",
                              "2h", "--base-url", "https://"]),
    ("a URL with a path alone", ["--org", "x", "--token-file", "T",
                                 "--since", "2h", "--base-url",
                                 "https:///api"]),
    ("a token with a blank", ["--org", "x", "--token-file", "BLANK",
                              "--since", "2h"]),
    ("a token in a FIFO", ["--org", "x", "--token-file", "FIFO", "--since",
                           "2h"]),
    ("an empty token", ["--org", "x", "--token-file", "EMPTY", "--since",
                        "2h"]),
    ("no such token", ["--org", "x", "--token-file", "/nowhere", "--since",
                       "2h"]),
    ("a horizon of 91 days", ["--org", "x", "--token-file", "T", "--since",
                              "2h", "--horizon", "91"]),
    ("an argument", ["--org", "x", "--token-file", "T", "--since", "2h",
                     "more"]),
    ("an odd list", ["--org", "x", "--token-file", "T", "--since", "2h",
                     "--observe", "issue"]),
]


@tap.table("{} exits 64 with a line", USAGE)
def bad_usage(_, words):
    folder = Scratch.new("usage")
    files = {"T": "token", "BLANK": "a b", "EMPTY": "\n\n"}
    for name, text in files.items():
        write_file(os.path.join(folder, name), text)
    os.mkfifo(os.path.join(folder, "FIFO"))
    done = subprocess.run(WRAPPER + [PROGRAM, *words], cwd=folder,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, env=clean_environment())
    err = strip_valgrind(done.stderr)
    equal((done.returncode, done.stdout), (64, ""), err)
    assert err.startswith("sentry-backfill: "), err


@tap.table("--since {} exits 64", [(x,) for x in (
    "yesterday", "", "2", "-2h", "2026-13-01", "9d9")])
def bad_since(since):
    world = alone()
    world.run(since=("--since", since), status=64)
    world.run(since=("--since", "5h", "--until", since), status=64)
    equal(world.filed(), 0)


@tap.test("an empty window exits 64")
def empty_window():
    world = alone()
    world.run(since=("--since", "2h", "--until", "3h"), status=64)
    world.run(since=("--since", "60s"), status=64)


@tap.test("where nobody can be asked it changes nothing, and asks nothing")
def nobody_to_ask():
    world = alone()
    done = world.run(yes=(), status=1)
    assert "say --yes" in done.stderr, done.stderr
    equal((world.filed(), world.api.paths(), world.rows(
        "SELECT count(*) FROM backfill")), (0, [], [(0,)]))


@tap.test("--dry-run says what would be filed, and files nothing")
def dry_run_files_nothing():
    world = alone()
    done = world.run(yes=("--dry-run",))
    assert "2 hooks would be filed" in done.stdout, done.stdout
    assert re.search(r"issue\.created +1\n", done.stdout), done.stdout
    equal((world.filed(), world.rows("SELECT count(*) FROM backfill")),
          (0, [(0,)]))
    equal(world.api.paths("latest"), [])


@tap.test("--dry-run that is cut says that it begins again")
def cut_dry_run():
    world = alone()
    world.api.always.append(("activities", Answer(500)))
    done = world.run(yes=("--dry-run",), status=75)
    assert "from the beginning" in done.stderr, done.stderr
    assert "goes on" not in done.stderr, done.stderr


@tap.test("where nobody can read what is missing, that is no success")
def output_is_full():
    world = alone()
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            world.argv("--since", "5h", "--dry-run"), stdout=full,
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
            env=clean_environment(), timeout=LIMIT)
    equal(done.returncode, 1, done.stderr)
    assert "standard output" in done.stderr, done.stderr


@tap.test("without a database it says who makes it")
def no_database():
    world = alone()
    world.worker.stop()         # it would make another one
    os.remove(world.worker.db)
    done = world.run(status=1)
    assert "sentry-webhooks makes it" in done.stderr, done.stderr


# ---- what is filed -------------------------------------------------------

@tap.test("the thirty issues: each hook that did not come, and no other")
def thirty_issues():
    api = SentryApi(Story(base(), ISSUES), page=7)
    never = World(api, stopped=(0, 0))
    world = World(api)
    world.run()
    same(world.outbox(), never.outbox())
    for event, in world.rows("SELECT source_event FROM outbox o JOIN webhook w"
                             " ON w.id = o.webhook_id WHERE origin = 'hook'"):
        assert "backfilled" not in event, event
    filed = world.filed()
    world.run()
    equal(world.filed(), filed)
    never.run()
    equal(never.filed(), 0)


@tap.test("a backfilled hook differs from the real one in its mark alone")
def differs_in_its_mark_alone():
    api = SentryApi(Story(base(), ISSUES))
    never, world = World(api, stopped=(0, 0)), World(api)
    world.run()

    def events(w):
        return {(e["sourceId"], e["sourceType"]): e for e, in
                ((json.loads(x),) for x, in w.rows(
                    "SELECT source_event FROM outbox WHERE source_type "
                    "LIKE 'issue.%' AND issue_id IN (SELECT issue_id FROM "
                    "outbox WHERE source_type LIKE 'issue.%' GROUP BY 1 "
                    "HAVING count(*) = 1)"))}
    want, got = events(never), events(world)
    differ = {}
    filed = {tuple(row) for row in world.rows(
        "SELECT source_id, source_type FROM outbox o JOIN webhook w "
        "ON w.id = o.webhook_id WHERE origin = 'backfill'")}
    compared = want.keys() & got.keys() & filed
    for key in compared:
        assert got[key]["metadata"].pop("backfilled") is True
        if got[key] != want[key]:
            differ[key] = [(k, got[key].get(k), want[key].get(k))
                           for k in want[key] if got[key].get(k)
                           != want[key].get(k)]
    equal(differ, {})
    assert len(want) >= 5, want
    assert len(compared) >= 4, compared


@tap.test("what the list of observed actions leaves out is not filed")
def observe_list_counts():
    api = SentryApi(Story(base(), ISSUES))
    world = World(api)
    world.run("--observe", "issue.created issue.assigned")
    equal(world.rows("SELECT DISTINCT action FROM webhook WHERE "
                     "origin = 'backfill' ORDER BY 1"),
          [("assigned",), ("created",)])
    equal(world.rows("SELECT count(*) FROM webhook WHERE origin = 'backfill'"
                     " AND outcome <> 'observed'"), [(0,)])


@tap.test("--since and --until are the window")
def since_and_until_are_the_window():
    story = Story(base(), [(str(m), {}, f"created@{m}")
                           for m in (70, 100, 130)])
    world = World(SentryApi(story))
    begin, end = (sentryapi.iso(story.base + m * MINUTE) for m in (90, 110))
    world.run(since=("--since", begin, "--until", end))
    equal(world.rows("SELECT title FROM outbox"),
          [("🔴 [New Issue] ValueError: 100",)])
    # What was created behind it is not even asked for.
    equal(len(world.api.paths("activities")), 2)


@tap.test("the newest event teaches a release where nobody knew one")
def release_of_newest_event():
    world = World(SentryApi(Story(base(), [
        ("known", {}, "created@5 resolved:ann@70"),
        ("unknown", {}, "created@65"),
        ("none", {"release": None}, "created@66"),
        ("nothing missing", {}, "created@5")])))
    api = world.api
    world.run()
    equal(world.rows("SELECT title, release FROM outbox WHERE source_type = "
                     "'issue.created' AND id > 4 ORDER BY title"),
          [("🔴 [New Issue] ValueError: none", None),
           ("🔴 [New Issue] ValueError: unknown", "shop@1.4.2")])
    equal([p.split("/")[6] for p in api.paths("latest")],
          [i.id for i in sorted(api.story.issues[1:3],
                                key=lambda i: -i.created)])
    equal(world.rows("SELECT environment, last_seen_at FROM issue_release "
                     "WHERE issue_id = ?", api.story.issues[1].id),
          [("production", api.story.issues[1].created)])


@tap.test("--redact keeps no address of an end user, as the worker does")
def redact_hides_addresses():
    api = SentryApi(Story(base(), [("alone", {
        "metadata": {"type": "E", "value": "mail eve@example.org"}},
        "created@70")]))
    world = World(api)
    world.run(env={"SENTRY_WEBHOOKS_REDACT": "1"})
    for column in "w.body", "o.source_event":
        (text,), = world.rows(f"SELECT {column} FROM outbox o JOIN webhook w"
                              " ON w.id = o.webhook_id")
        text = text.decode() if isinstance(text, bytes) else text
        assert "eve@example.org" not in text, text
    world.run()
    equal(world.filed(), 1)


@tap.test("whose installation it is: the newest hooks', or the one said")
def installation_of_newest_hooks():
    world = alone()
    world.run()
    equal(world.rows("SELECT DISTINCT installation FROM webhook"),
          [(INSTALLATION,)])
    other = "11111111-2222-3333-4444-555555555555"
    raw = compact(issue(installation=other))
    world.worker.post(raw, signed(raw))
    done = world.run(status=1)
    assert "--installation" in done.stderr, done.stderr
    done = world.run("--installation", other)
    equal(world.rows("SELECT count(*) FROM webhook WHERE origin = 'backfill'"
                     " AND installation = ?", other), [(3,)])


@tap.test("what came under an installation before this one came")
def installation_made_anew():
    world = World(SentryApi(Story(base(), [
        ("old", {}, "created@5 resolved:ann@70")])), stopped=(0, 0))
    before = world.outbox()
    new = "11111111-2222-3333-4444-555555555555"
    Outbox(db=world.worker.db).fill(1000, installation=new)
    done = world.run()
    assert f"installation  {new}" in done.stdout, done.stdout
    equal((world.filed(), len(before)), (0, 2))


@tap.test("a change whose hook came and was not observed is one row, with "
          "--reprocess too")
def ignored_hook_is_backfilled():
    story = Story(base(), [("alone", {}, "created@5 resolved:ann@70")])
    world = World(SentryApi(story), stopped=(0, 0),
                  options=("--observe", "issue.created"))
    world.run()
    done = run_program("--reprocess", "--all", "--yes", "--db",
                       world.worker.db,
                       env={"SENTRY_WEBHOOKS_OBSERVE": "issue.*"})
    equal(done.returncode, 0, done.stdout)
    equal(world.rows("SELECT source_type, count(*) FROM outbox GROUP BY 1 "
                     "ORDER BY 1"),
          [("issue.created", 1), ("issue.resolved", 1)])


@tap.test("what was filed before the first hook came is known later on")
def filed_before_first_hook():
    story = Story(base(), [("alone", {}, "created@70 resolved:ann@80"),
                           ("after", {}, "created@190")])
    world = World(SentryApi(story), stopped=(0, 200))
    world.run("--until", "90m")
    equal(world.rows("SELECT DISTINCT installation FROM webhook"), [(None,)])
    before = world.outbox()
    for at, resource, body in story.hooks():
        post(world.worker, at, resource, body)
    same([r for r in world.outbox() if r in before], before)
    equal(len(world.outbox()), 3)
    world.run()
    equal(len(world.outbox()), 3)


@tap.test("observed again by the same rules nothing of it changes")
def reprocess_changes_nothing():
    world = World(SentryApi(Story(base(), ISSUES)))
    world.run()
    done = run_program("--reprocess", "--all", "--db", world.worker.db,
                         env={"SENTRY_WEBHOOKS_OBSERVE": OBSERVE})
    assert re.search(r"new observations +0\nwould change +0 ", done.stdout), \
        done.stdout


@tap.test("the time of the last hook is that of the last one that came")
def last_hook_is_no_backfilled_one():
    world = alone()
    shell_ok(world.worker.db, "UPDATE webhook SET received_at = 1000000")
    world.run()
    world.worker.stop()         # it knows of its own hooks without asking
    world.worker.start()
    metrics = world.worker.get(PATH + "/metrics").body.decode()
    assert re.search(r"last\w+seconds 1000(\.0*)?\n", metrics), metrics


# ---- late and skewed -----------------------------------------------------

@tap.test("a hook that comes after all is no second one")
def late_hook_is_no_second_one():
    world = alone()
    world.run()
    before = world.outbox()
    for at, resource, body in world.api.story.hooks():
        if resource == "issue":
            raw = compact(body)
            late = 5 * 60 if body["action"] == "created" else 5
            world.worker.post(raw, signed(
                raw, sentry_hook_timestamp=str(at // 1000 + late)))
    equal(world.outbox(), before)
    equal(world.rows("SELECT seen FROM webhook WHERE origin = 'backfill'"),
          [(2,), (2,)])


def post_last(world, story):
    """Posts the hook of the story's last change a second late."""
    at, _, body = story.hooks()[-1]
    raw = compact(body)
    equal(world.worker.post(raw, signed(
        raw, sentry_hook_timestamp=str(at // 1000 + 1))).status, 200)


@tap.test("of two changes within two minutes a late hook is the nearest one")
def late_hook_is_the_nearest():
    world = World(SentryApi(Story(base(), [
        ("alone", {}, "created@70 resolved:ann@80 regression@80.5 "
                      "resolved:bob@81")])))
    world.run()
    before = world.outbox()
    post_last(world, world.api.story)
    equal(world.outbox(), before)
    equal(world.rows("SELECT seen FROM webhook WHERE action = 'resolved' "
                     "ORDER BY hook_timestamp"), [(1,), (2,)])


@tap.test("a hook with another time is kept, whatever it says of that")
def strange_time_is_no_late_hook():
    world = alone()
    world.run()
    before = len(world.outbox())
    _, _, body = world.api.story.hooks()[-1]
    raw = compact(body)
    for sent in ("60", "0", "99999999999", "-1"):
        world.worker.post(raw, signed(raw, sentry_hook_timestamp=sent,
                                      request_id=f"sent-at-{sent}"))
    equal(len(world.outbox()), before + 4)


@tap.test("rows that somebody has written by hand do not stop it")
def odd_rows_are_no_fault():
    world = alone()
    Outbox(db=world.worker.db).add_all(
        {"issue_id": world.api.story.issues[0].id, "received_at": at,
         "action": "resolved", "source_type": "issue.resolved",
         "hook_timestamp": sent}
        for at, sent in ((1795670418808, "-9223370241184357"),
                         (-2**63, "0"), (2**63 - 1, "9" * 30), (0, "x")))
    world.run()
    equal(world.filed(), 2)


@tap.test("a late hook for another assignee is no backfilled one")
def late_hook_for_another_assignee():
    world = World(SentryApi(Story(base(), [
        ("alone", {}, "created@70 assigned:ann:ann@80")])))
    world.run()
    equal(len(world.outbox()), 2)
    other = Story(world.api.story.base, [
        ("alone", {}, "created@70 assigned:ann:bob@80.5")])
    other.issues[0].id = world.api.story.issues[0].id
    post_last(world, other)
    equal(len(world.outbox()), 3)


@tap.table("delivered twice, {}, a late hook is no second one", [
    ("with an Idempotency-Key", True), ("without one", False)])
def late_hook_delivered_twice(_, keyed):
    world = World(SentryApi(Story(base(), [
        ("alone", {}, "created@70 resolved:ann@80 ignored:ann@90")])))
    world.run()
    before = world.outbox()
    for at, _, body in world.api.story.hooks()[1:]:
        if body["action"] == "ignored":
            body["action"] = "archived"     # the same, as some are told
        raw = compact(body)
        more = {"idempotency_key": os.urandom(16).hex()} if keyed else {}
        headers = signed(raw, sentry_hook_timestamp=str(at // 1000 + 1),
                         **more)
        for _ in range(3):
            world.worker.post(raw, headers)
    equal(world.outbox(), before)
    equal(world.rows("SELECT seen FROM webhook WHERE origin = 'backfill'"),
          [(4,), (4,), (4,)])
    world.run()
    equal(world.outbox(), before)
    done = run_program("--reprocess", "--all", "--db", world.worker.db,
                       env={"SENTRY_WEBHOOKS_OBSERVE": OBSERVE})
    assert re.search(r"new observations +0\nwould change +0 ", done.stdout), \
        done.stdout


@tap.test("with an Idempotency-Key it is no second one, either")
def late_hook_with_idempotency_key():
    world = alone()
    world.run()
    before = world.outbox()
    for at, resource, body in world.api.story.hooks():
        if resource == "issue" and at > world.api.story.base + 60 * MINUTE:
            raw = compact(body)
            world.worker.post(raw, signed(
                raw, sentry_hook_timestamp=str(at // 1000 + 1),
                idempotency_key=os.urandom(16).hex()))
    equal(world.outbox(), before)


@tap.test("a change that follows within minutes is another, and is kept")
def change_soon_after_is_kept():
    world = alone()
    world.run()
    issue = world.api.story.issues[1]
    at, _, body = list(issue.hooks())[-1]
    for minutes in 3, 6:
        post(world.worker, at + minutes * MINUTE, "issue", body)
    equal(world.rows("SELECT count(*) FROM outbox WHERE source_type = "
                     "'issue.resolved'"), [(3,)])


@tap.test("one that was lost is not taken for the next one, which came")
def lost_one_is_not_the_next():
    world = World(SentryApi(Story(base(), [
        ("handed", {}, "created@5 assigned:ann:ann@179.5"
         " assigned:ann:bob@180.5"),
        ("back and forth", {}, "created@5 resolved:ann@178.5"
         " regression@179.5 resolved:bob@180.2")])))
    world.run()
    got = [(json.loads(body)["action"], int(sent) * 1000)
           for body, sent in world.rows(
               "SELECT CAST(body AS TEXT), hook_timestamp FROM webhook "
               "WHERE origin = 'backfill' ORDER BY 2, 1")]
    first = world.api.story.base // 1000
    equal([(action, round((sent // 1000 - first) / 60, 1))
           for action, sent in got],
          [("resolved", 178.5), ("assigned", 179.5), ("unresolved", 179.5)])
    body, = world.rows("SELECT CAST(body AS TEXT) FROM webhook WHERE origin ="
                       " 'backfill' AND action = 'assigned'")
    equal(json.loads(body[0])["data"]["assignee"]["id"], 71)


@tap.test("hooks that Sentry sent again ten minutes later came")
def hooks_sent_again_came():
    api = SentryApi(Story(base(), ALONE))
    world = World(api, stopped=(0, 1))
    shell_ok(world.worker.db, "UPDATE webhook SET hook_timestamp = "
               "hook_timestamp + 600")
    world.run()
    equal(world.filed(), 0)


@tap.test("a clock that is an hour off changes nothing")
def clock_an_hour_off():
    for skew in -3600000, 3600000:
        api = SentryApi(Story(base(), ISSUES))
        never, world = World(api, stopped=(0, 0)), World(api)
        shell_ok(world.worker.db,
                   f"UPDATE webhook SET received_at = received_at + {skew}")
        world.run()
        same(world.outbox(), never.outbox())


# ---- Sentry's log of failures --------------------------------------------

@tap.test("--since auto says what has failed and fetches from there, once")
def since_auto():
    world = alone()
    auto = "--since", "auto", "--app", sentryapi.APP
    world.api.fail(world.api.story.base + 100 * MINUTE, "error",
                   {"action": "created"})
    done = world.run(since=auto)
    assert "could not deliver 2 hooks about issues,\nand 2 of other" \
        in done.stdout, done.stdout
    equal(world.filed(), 2)
    done = world.run(since=auto)
    assert "nothing has failed that was not fetched" in done.stdout
    equal(len(world.rows("SELECT 1 FROM backfill")), 1)


@tap.test("--since auto with a failure of just now finds nothing to fetch yet")
def failure_of_just_now():
    world = alone()
    world.api.failed.clear()
    world.api.fail(int(time.time() * 1000) + 3000, "issue",
                   issue("created"))
    done = world.run(since=("--since", "auto", "--app", sentryapi.APP))
    assert "nothing has failed that was not fetched" in done.stdout, \
        done.stdout


@tap.test("--since auto counts as fetched what a run like it has fetched")
def since_auto_of_like_runs():
    world = alone()
    auto = "--since", "auto", "--app", sentryapi.APP
    world.run("--observe", "issue.assigned")
    world.run("--horizon", "89", since=auto)
    equal(world.filed(), 2)
    shell_ok(world.worker.db, "DELETE FROM backfill; DELETE FROM outbox; "
             "DELETE FROM webhook WHERE origin = 'backfill'")
    world.run("--until", "60s")     # another window of the same
    equal(world.filed(), 2)
    done = world.run(since=auto)
    assert "nothing has failed that was not fetched" in done.stdout


@tap.test("an app's log that may not be read says which permission is missing")
def log_may_not_be_read():
    world = alone()
    world.api.always.append(("sentry-apps", Answer(403, {"detail":
                             "You do not have permission"})))
    done = world.run(since=("--since", "auto", "--app", sentryapi.APP),
                     status=1)
    assert "org:read" in done.stderr, done.stderr


# ---- an API that fails ---------------------------------------------------

def elsewhere():
    other = SentryApi()
    return other, Answer(302, b"", {"Location": other.url + "/api/0/"})


def link(cursor):
    return {"Link": f'<u>; rel="next"; results="true"; cursor="{cursor}"'}


def turn(period):
    """Pages that come again after so many."""
    numbers = itertools.count()

    def answer():
        n = next(numbers) % period
        return Answer(200, [{"id": str(7 + n)}], link(f"0:{n}:0"))
    return answer


ISSUE_PATH = r"/issues/\?"
BROKEN = [
    ("a token that is not taken", 1, "event:read",
     (ISSUE_PATH, Answer(401, {"detail": "Invalid token"}))),
    ("a permission that is missing", 1, "event:read",
     (ISSUE_PATH, Answer(403, {"detail": "You do not have permission to "
                                         "perform this action."}))),
    ("an organization that is not there", 1, "no organization",
     (ISSUE_PATH, Answer(404, {"detail": "not found"}))),
    ("a query that is not understood", 1, "400",
     (ISSUE_PATH, Answer(400, {"detail": "no\n\x1b[31m\u202e"}))),
    ("what is no JSON", 1, "no JSON", (ISSUE_PATH, Answer(200, b"<html>"))),
    ("half of a JSON", 1, "no JSON", (ISSUE_PATH, Answer(200, b'[{"id":'))),
    ("nothing at all", 1, "no JSON", (ISSUE_PATH, Answer(200, b""))),
    ("what closes and opens", 1, "no JSON",
     (ISSUE_PATH, Answer(200, b'[]},{"answer":[]'))),
    ("an object for a list", 1, "no list", (ISSUE_PATH, Answer(200, {}))),
    ("a text for a list", 1, "no list", (ISSUE_PATH, Answer(200, b'"x"'))),
    ("null for a list", 1, "no list", (ISSUE_PATH, Answer(200, b"null"))),
    ("a cursor that stays", 1, "lead back",
     (ISSUE_PATH, lambda: Answer(200, [{"id": str(unique())}],
                                 link("0:100:0")))),
    ("a page that stays", 1, "lead back",
     (ISSUE_PATH, lambda: Answer(200, [{"id": "7"}],
                                 link(f"0:{unique()}:0")))),
    ("a cursor of two turns", 1, "lead back", (ISSUE_PATH, turn(2))),
    ("a cursor of seven turns", 1, "lead back", (ISSUE_PATH, turn(7))),
    ("empty pages for ever", 1, "lead back",
     (ISSUE_PATH, lambda: Answer(200, [], link(f"0:{unique()}:0")))),
    ("33 MB", 1, "more than 32 MB",
     (ISSUE_PATH, Answer(200, b"[" + b" " * 33 * 2**20 + b"]"))),
    ("10 million values", 1, "more than 500000 values",
     (ISSUE_PATH, Answer(200, b"[" + b"{}," * 10**7 + b"{}]"))),
    ("an error for ever", 75, "status 500", (ISSUE_PATH, Answer(500))),
    ("a connection that is always cut", 75, "goes on",
     (ISSUE_PATH, Answer(200, b"[", cut=True))),
    ("activities that fail for ever", 75, "of no issue",
     ("activities", Answer(503))),
    ("activities that nobody knows", 1, "of no issue",
     ("activities", Answer(404))),
    ("activities that nobody may see", 1, "of no issue",
     ("activities", Answer(403))),
]


@tap.table("{} ends it with a line, and the next run does all", BROKEN)
def broken_api(_, status, words, always):
    world = alone()
    world.api.always.append(always)
    done = world.run(status=status)
    assert words in done.stderr, done.stderr
    equal(done.stderr.count("\n"), 1, done.stderr)
    assert re.fullmatch(r"[ -~\n]*", done.stderr), done.stderr
    world.api.always.clear()
    world.run()
    equal(world.filed(), 2)


@tap.test("a redirect is not followed, and the token goes nowhere else")
def redirect_is_not_followed():
    world = alone()
    other, answer = elsewhere()
    for path in ISSUE_PATH, "activities":
        world.api.odd.append((path, answer))
        done = world.run(status=1)
        assert "redirect" in done.stderr, done.stderr
    world.api.odd.append(("latest", answer))
    world.run(status=1)
    equal(other.requests, [])
    # The URLs of the pages lead elsewhere, too.
    equal(world.api.paths("elsewhere"), [])


@tap.test("a certificate that nobody vouches for is refused")
def bad_certificate():
    folder = Scratch.new("tls")
    key, cert = (os.path.join(folder, x) for x in ("key.pem", "cert.pem"))
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
         "-keyout", key, "-out", cert, "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1"], capture_output=True)
    if made.returncode:
        raise Skip("no openssl")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    world = alone(tls=tls)
    done = world.run(status=1)
    assert "certificate" in done.stderr, done.stderr
    equal(world.api.requests, [])
    world.run("--ca", cert)
    equal(world.filed(), 2)


@tap.test("errors that pass are passed: 429, 500, 503, a cut connection")
def errors_that_pass():
    world = alone()
    for path in ISSUE_PATH, "activities", "latest":
        for answer in (Answer(429, b"", {"Retry-After": "1"}), Answer(500),
                       Answer(503, b"x"), Answer(200, b"[", cut=True)):
            world.api.odd.append((path, answer))
    done = world.run()
    equal(world.filed(), 2)
    assert "rate limit" in done.stdout, done.stdout


@tap.test("a limit that is used up is waited for before the next request")
def rate_limit_is_waited_for():
    world = alone()
    reset = int(time.time()) + 2
    world.api.odd.append(("activities", Answer(200, {"activity": []}, {
        "X-Sentry-Rate-Limit-Remaining": "0",
        "X-Sentry-Rate-Limit-Reset": str(reset)})))
    world.run()
    assert time.time() >= reset


@tap.test("an issue that vanishes is left out, and said")
def issue_vanishes():
    world = World(SentryApi(Story(base(), ISSUES)))
    gone = [i for i in world.api.story.issues if i.title == "born and "
            "resolved"][0]
    real = world.api.list

    def list_then_lose(query, now):
        answer = real(query, now)
        gone.gone = True
        return answer
    world.api.list = list_then_lose
    done = world.run()
    assert "1 issues were gone" in done.stdout, done.stdout
    equal(world.rows("SELECT count(*) FROM outbox WHERE issue_id = ?",
                     gone.id), [(0,)])
    assert world.filed() > 20


@tap.table("an issue whose activities give {} is left out, and said", [
    ("400", Answer(400, {"detail": "no"})),
    ("403", Answer(403, {"detail": "no"})), ("no JSON", Answer(200, b"x")),
    ("418", Answer(418)), ("500 each time", Answer(500)),
    ("too much", Answer(200, b"[" + b"0," * 600000 + b"0]"))])
def one_issue_cannot_be_read(_, answer):
    world = World(SentryApi(Story(base(), [
        (str(m), {}, f"created@{m}") for m in (70, 100, 130)])))
    poison = world.api.story.issues[1].id
    world.api.always.append((poison + "/activities", answer))
    done = world.run(status=1)
    assert "1 issues were left out" in done.stdout, done.stdout
    assert "2 hooks filed" in done.stdout, done.stdout
    equal((world.filed(), done.stderr), (2, ""))
    equal(world.rows("SELECT done_at IS NULL FROM backfill"), [(0,)])
    world.api.always.clear()
    done = world.run()
    assert "1 hooks filed" in done.stdout, done.stdout


@tap.table("where the newest event gives {} the hooks are filed", [
    ("400", Answer(400)), ("502", Answer(502)), ("no JSON", Answer(200))])
def newest_event_cannot_be_read(_, answer):
    world = alone()
    world.api.always.append(("latest", answer))
    done = world.run(status=1)
    assert "may lack a release" in done.stdout, done.stdout
    equal(world.filed(), 2)


@tap.test("a hook that the worker would not take is not filed; many large ones "
          "are no single transaction")
def large_hooks():
    def wide(mb):
        return {"metadata": {"type": "E", "value": "A" * mb * 2**20}}
    world = World(SentryApi(Story(base(), [
        ("too large", wide(9), "created@70"), ("small", {}, "created@75"),
        ("large", wide(3), "created@80 " + " ".join(
            f"resolved:ann@{90 + 5 * i} regression@{92 + 5 * i}"
            for i in range(10)))])))
    done = world.run(status=1)
    assert "1 hooks are longer than 8388608 bytes" in done.stdout, done.stdout
    assert "22 hooks filed" in done.stdout, done.stdout
    equal((world.filed(), world.rows("SELECT rows FROM backfill")),
          (22, [(22,)]))
    log = os.path.getsize(world.worker.db + "-wal")
    assert log < 24 * 2**20, log


@tap.test("a Sentry that knows no feedback is asked for the rest")
def no_feedback():
    world = alone()
    world.api.always.append(("feedback", Answer(400, {
        "detail": "Invalid category value of 'feedback'"})))
    world.run()
    equal(world.filed(), 2)


@tap.test("what is of no known form is left out; no path is led astray")
def strange_answers():
    world = alone()
    strange = [{"id": x, "firstSeen": sentryapi.iso(world.api.story.base +
                                                    70 * MINUTE)}
               for x in ("../../../users/me", "7/../8", {}, [], None, "",
                         "7?x", "1" * 21, -1, 1.5, True, "7\u0000", "７")]
    strange += [7, None, [], "x", {}, {"id": "1" * 20},
                {"id": "12", "title": None, "project": 7, "metadata": [],
                 "status": {}, "count": [], "firstSeen": 7, "lastSeen": {}}]
    world.api.odd += [(ISSUE_PATH, Answer(200, strange)),
                      ("/12/activities", Answer(200, {"activity": [
                          {"type": "set_resolved", "id": 7, "data": None,
                           "user": [], "dateCreated": sentryapi.iso(
                               world.api.story.base + 70 * MINUTE)},
                          {"type": "assigned", "id": "8", "data": "x",
                           "user": "x", "dateCreated": sentryapi.iso(
                               world.api.story.base + 71 * MINUTE)}]}))]
    done = world.run()
    assert "no known form" in done.stdout, done.stdout
    for path in world.api.paths():
        assert re.fullmatch(r"/api/0/organizations/example/issues/"
                            r"(\?.*|\d+/(activities|events/latest)/)", path)
    equal(world.rows("SELECT source_type FROM outbox WHERE issue_id = '12' "
                     "ORDER BY 1"), [("issue.assigned",), ("issue.resolved",)])


@tap.test("where Sentry shows a hundred activities alone, that is said")
def hundred_activities_alone():
    api = SentryApi(Story(base(), [("busy", {}, "created@5 " + " ".join(
        f"note:ann@{70 + i / 4}" for i in range(150)))]))
    done = World(api).run()
    assert "the last 100 activities alone" in done.stdout, done.stdout


@tap.test("an issue that comes back is filed, though it was resolved before "
          "what Sentry shows")
def return_after_hidden_resolution():
    world = World(SentryApi(Story(base(), [("busy", {}, "created@5 "
        "resolved:ann@10 " + " ".join(f"note:ann@{20 + i / 4}" for i in
                                      range(100)) + " unresolved:ann@120")])))
    world.run()
    equal(world.rows("SELECT action FROM webhook WHERE origin = 'backfill'"),
          [("unresolved",)])


@tap.test("a Sentry that fails for one issue after the other is down: later "
          "it goes on")
def sentry_is_down():
    world = World(SentryApi(Story(base(), [
        (str(m), {}, f"created@{m}") for m in range(70, 130, 10)])))
    newest = world.api.story.issues[-1].id
    world.api.always.append(
        (rf"/(?!{newest})\d+/activities", Answer(503)))
    done = world.run(status=75)
    assert "status 503" in done.stderr, done.stderr
    equal(len(world.api.paths("activities")) % 3, 1, "three were tried")
    world.api.always.clear()
    world.run()
    equal(world.filed(), 6)


@tap.test("an answer that never comes is given up in time")
def answer_never_comes():
    world = alone()
    world.api.always.append((ISSUE_PATH, Answer(
        200, wait=lambda: time.sleep(LIMIT))))
    done = world.run("--timeout", "1", status=75)
    assert "imeout" in done.stderr, done.stderr


# ---- secrets, signals, others --------------------------------------------

@tap.test("a wait ends on SIGTERM; the token is in no argument, nor variable")
def wait_ends_on_sigterm():
    world = alone()
    world.api.always.append(("activities", Answer(429, b"{}",
                                                  {"Retry-After": "3600"})))
    out = os.path.join(world.worker.folder, "out")
    with open(out, "wb") as f:
        process = start_process(world.argv("--since", "5h", "--yes"), stdout=f,
                          stderr=f, env=clean_environment())
    until(lambda: "waiting 300 s" in open(out).read())
    with open(f"/proc/{process.pid}/limits") as f:
        assert re.search(r"Max core file size +(0|1) +(0|1) ", f.read())
    for name in "cmdline", "environ":
        with open(f"/proc/{process.pid}/{name}", "rb") as f:
            assert sentryapi.TOKEN.encode() not in f.read(), name
    process.send_signal(signal.SIGTERM)
    equal(finish_process(process), 75)
    with open(out) as f:
        text = f.read()
    assert sentryapi.TOKEN not in text and "goes on" in text, text
    world.api.always.clear()
    done = world.run("--observe", "issue.created issue.resolved "
                     "issue.assigned error.created event_alert.triggered "
                     "metric_alert.*")
    assert "going on where it was cut" in done.stdout, done.stdout
    equal(world.filed(), 2)


@tap.test("a cut run goes on in its window, then the new one where it reaches "
          "further")
def cut_run_goes_on():
    story = Story(base(), [(str(m), {}, f"created@{m}") for m in (70, 170)])
    world = World(SentryApi(story))
    cut = story.base + 90 * MINUTE
    selection = (f"--since 5h --horizon 90 --org {sentryapi.ORG} "
                 f"--base-url {world.api.url} --observe {OBSERVE}")
    shell_ok(world.worker.db, "INSERT INTO backfill (at, selection, since,"
               f" until) VALUES ({int(time.time() * 1000)}, '{selection}', "
               f"{story.base}, {cut})")
    world.run()
    equal(world.filed(), 2)
    equal(world.rows("SELECT rows, done_at IS NULL FROM backfill ORDER BY id"),
          [(1, 0), (1, 0)])


@tap.test("a database that is moved away meanwhile ends it with a line")
def database_moved_meanwhile():
    world = World(SentryApi(Story(base()).many(20)))
    hold = Hold(5)
    world.api.always.append(("/activities/", hold))
    path = os.path.join(world.worker.folder, "out")
    with open(path, "wb") as out:
        process = start_process(
            world.argv("--since", "5h", "--yes"), env=clean_environment(),
            stdout=subprocess.DEVNULL, stderr=out)
    assert hold.reached.wait(LIMIT)
    world.worker.stop()
    os.rename(world.worker.db, world.worker.db + "-moved")
    hold.release()
    equal(finish_process(process), 1)
    with open(path) as f:
        text = strip_valgrind(f.read())
    assert text.count("\n") == 1 and "the database" in text, text
    assert not os.path.exists(world.worker.db)
    os.rename(world.worker.db + "-moved", world.worker.db)
    world.worker.start()
    world.run()
    equal(world.filed(), 30)


@tap.test("while the worker writes, too, nothing is lost")
def beside_a_worker():
    api = SentryApi(Story(base()).many(100))
    world = World(api)
    process = start_process(world.argv("--since", "5h", "--yes", "--observe",
                                 OBSERVE), env=clean_environment(),
                      stdout=subprocess.DEVNULL)
    posted = 0
    while process.poll() is None or posted < 20:
        raw = compact(error())
        equal(world.worker.post(raw, signed(raw, "error")).status, 200)
        posted += 1
    equal(finish_process(process), 0)
    equal(world.filed(), 150)
    equal(world.rows("SELECT count(*) FROM webhook WHERE resource = 'error'"),
          [(posted,)])


if __name__ == "__main__":
    tap.run(lanes=4)
