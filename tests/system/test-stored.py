#!/usr/bin/env python3
"""What each hook leaves in the database and in the log: its rows, duplicates,
the mapping, releases, views."""
import hashlib
import json
import os
import time

from database import map_everything, shell_ok, sqlite_shell
from expect import equal, until
from hooks import (INSTALLATION, PRIVATE, RECEIVED, comment, compact, envelope,
                   error, event_alert, installation, issue, metric_alert,
                   signed, unique)
from http_client import expect_json
from logfmt import logfmt
from tap import Tap, need_program
from worker import Worker

need_program()
tap = Tap()
S = Worker()              # a database with a map, for rows
map_everything(S.db, "ws_rows")


def store(body, worker=S, resource="issue", expect=200, **headers):
    """Sends a hook; gives its webhook row and its outbox row, or None."""
    raw = body if isinstance(body, bytes) else compact(body)
    sent = signed(raw, resource, **headers)
    equal(worker.post(raw, sent).status, expect)
    hook = worker.rows("SELECT * FROM webhook WHERE body = ? "
                       "ORDER BY id DESC LIMIT 1", raw)[0]
    out = worker.rows("SELECT * FROM outbox WHERE webhook_id = ?", hook["id"])
    assert len(out) <= 1
    return hook, out[0] if out else None


def key(text):
    """The 16 bytes that a dedupe key becomes."""
    return hashlib.sha256(text.encode()).digest()[:16]


@tap.test("an issue.created leaves the webhook row of section 3")
def webhook_row_of_issue():
    body = issue()
    raw = compact(body)
    headers = signed(raw)
    start = time.time() * 1000
    expect_json(S.post(raw, headers), 200, RECEIVED)
    row = S.rows("SELECT * FROM webhook ORDER BY id DESC LIMIT 1")[0]
    equal(set(row.keys()) - {"id"}, {
        "received_at", "resource", "action", "installation", "request_id",
        "idempotency_key", "hook_timestamp", "secret_name", "dedupe_key",
        "outcome", "seen", "body", "origin", "reprocessed_at"})
    assert start - 1000 <= row["received_at"] <= time.time() * 1000 + 1000
    equal((row["resource"], row["action"], row["installation"]),
          ("issue", "created", INSTALLATION))
    equal((row["request_id"], row["idempotency_key"]),
          (headers["Request-ID"], None))
    assert str(row["hook_timestamp"]).startswith(
        headers["Sentry-Hook-Timestamp"])
    equal((row["outcome"], row["seen"], row["body"], row["origin"],
           row["reprocessed_at"]), ("observed", 1, raw, "hook", None))
    id = body["data"]["issue"]["id"]
    equal(row["dedupe_key"], key(f"{INSTALLATION}:issue:created:{id}"))


@tap.test("an issue.created leaves the outbox row of section 3")
def outbox_row_of_issue():
    body = issue()
    data = body["data"]["issue"]
    hook, row = store(body)
    equal(set(row.keys()), {
        "id", "webhook_id", "event_id", "created_at", "workspace_id",
        "store_id", "source_type", "source_id", "title", "occurred_at",
        "project_id", "project_slug", "issue_id", "short_id", "level",
        "release", "environment", "source_event", "state", "attempts",
        "due_at", "last_error", "delivered_at", "sink", "sink_seq"})
    want = {
        "workspace_id": "ws_rows", "store_id": "default",
        "source_type": "issue.created", "source_id": f"issue:{data['id']}",
        "title": "🔴 [New Issue] ValueError: the café is closed",
        "occurred_at": data["lastSeen"], "short_id": data["shortId"],
        "project_id": data["project"]["id"], "project_slug": "shop",
        "issue_id": data["id"], "level": "error", "release": None,
        "environment": None, "state": "pending", "attempts": 0,
        "last_error": None, "delivered_at": None, "sink": None,
        "sink_seq": None}
    equal({k: row[k] for k in want}, want)
    assert isinstance(row["due_at"], int)
    assert abs(row["created_at"] - hook["received_at"]) < 60000
    equal(row["event_id"], "sentry-" + hook["dedupe_key"].hex())


@tap.test("an issue's source event is written as JavaScript writes it")
def source_event_of_issue():
    body = issue()
    i = body["data"]["issue"]
    _, row = store(body)
    event = json.loads(row["source_event"])
    equal(row["source_event"], json.dumps(
        event, ensure_ascii=False, separators=(",", ":")), "compact JSON")
    equal(list(event), ["source", "sourceType", "sourceId", "title", "body",
                        "occurredAt", "references", "metadata"])
    equal(event["source"], "sentry")
    equal(event["body"], "**ValueError**: the café is closed\n\n"
          "**Location**: `shop.cart`\n\n"
          "**Occurrences**: 3 events affecting 2 users\n"
          f"**First seen**: {i['firstSeen']}\n"
          f"**Last seen**: {i['lastSeen']}\n\n**Platform**: python")
    equal(event["occurredAt"], i["lastSeen"])
    equal(event["references"][0], {
        "type": "sentry_issue", "id": i["shortId"], "url": i["permalink"]})
    plan = {
        "issueId": i["id"], "shortId": i["shortId"],
        "permalink": i["permalink"], "projectSlug": "shop",
        "projectId": i["project"]["id"], "platform": "python",
        "level": "error", "status": "unresolved", "eventCount": 3,
        "userCount": 2, "firstSeen": i["firstSeen"],
        "lastSeen": i["lastSeen"], "release": None, "environment": None,
        "errorType": "ValueError", "errorValue": "the café is closed",
        "culprit": "shop.cart", "hasStackTrace": False}
    equal(list(event["metadata"].items())[:len(plan)], list(plan.items()))
    equal(event["metadata"]["triggeredBy"], {
        "type": "application", "id": "sentry", "name": "Sentry"})


@tap.test("an event_alert leaves its columns, and an int64 id stays exact")
def outbox_row_of_event_alert():
    body = event_alert()
    e = body["data"]["event"]
    hook, row = store(body, resource="event_alert")
    equal((row["source_type"], row["source_id"]),
          ("event_alert.triggered", "event_alert:" + e["event_id"]))
    equal((row["project_id"], row["project_slug"], row["issue_id"]),
          ("4509877862268928", "shop", e["issue_id"]))
    equal((row["release"], row["environment"], row["level"]),
          ("shop@1.4.2", "production", "error"))
    equal(row["title"], "🔴 [Alert] Page the shop: "
          "ValueError: the café is closed")
    event = json.loads(row["source_event"])
    equal(event["actor"], {"id": "user:7", "name": "person@example.com",
                           "email": "person@example.com"})
    equal(event["references"][0], {"type": "release", "id": "shop@1.4.2"})
    equal(len(hook["dedupe_key"]), 16)


@tap.test("two databases give the same hook the same event id")
def event_id_is_deterministic():
    w = Worker()
    body = error()
    equal(store(body, resource="error")[1]["event_id"],
          store(body, w, "error")[1]["event_id"])


OTHERS = [
    ("issue.unresolved", "issue", issue("unresolved")),
    ("issue.ignored", "issue", issue("ignored")),
    ("issue.archived", "issue", issue("archived")),
    ("issue without an action", "issue", issue(None)),
    ("comment.created", "comment", comment()),
    ("installation.created", "installation", installation()),
    ("seer.coding_started", "seer", envelope(
        "coding_started", {"run_id": 12, "group_id": 34})),
    ("preprod_artifact", "preprod_artifact", envelope(
        "size_analysis_completed", {"buildId": "9"})),
    ("an unknown resource", "size_analysis", envelope("x", {"y": 1})),
]


@tap.table("{} is stored as ignored and leaves no outbox row", OTHERS)
def ignored_hook(name, resource, body):
    hook, row = store(body, resource=resource)
    equal((hook["outcome"], hook["resource"], row),
          ("ignored", resource, None))


@tap.test("a hook without an installation is led by an empty one")
def hook_without_installation():
    body = issue(installation=None)
    hook, _ = store(body)
    assert not hook["installation"]
    equal(hook["dedupe_key"],
          key(f":issue:created:{body['data']['issue']['id']}"))


# ---- duplicates ----------------------------------------------------------

def distinct(*deliveries, worker=S):
    """Sends (body, resource, headers) each; how many webhook rows came,
    how many outbox rows, and the sum of seen."""
    before = worker.rows("SELECT (SELECT count(*) FROM webhook), (SELECT "
                         "count(*) FROM outbox), (SELECT sum(seen) FROM "
                         "webhook)")[0]
    for body, resource, more in deliveries:
        raw = compact(body)
        expect_json(worker.post(raw, signed(raw, resource, **more)), 200,
                    RECEIVED)
    after = worker.rows("SELECT (SELECT count(*) FROM webhook), (SELECT "
                        "count(*) FROM outbox), (SELECT sum(seen) FROM "
                        "webhook)")[0]
    return tuple(a - b for a, b in zip(after, before))


def again(body, resource, times=2, **headers):
    return [(body, resource, headers)] * times


@tap.test("the same delivery twice is one row, seen 2")
def delivery_twice_is_one_row():
    body = issue("resolved")
    equal(distinct(*again(body, "issue", request_id="a" * 32)), (1, 1, 2))
    hook = S.rows("SELECT seen, outcome FROM webhook ORDER BY id DESC "
                  "LIMIT 1")[0]
    equal(tuple(hook), (2, "observed"))


@tap.test("resolve, regress, resolve are three observations")
def resolve_regress_resolve():
    id = unique()
    resolved, back = issue("resolved", id), issue("unresolved", id)
    equal(distinct((resolved, "issue", {}), (back, "issue", {}),
                   (resolved, "issue", {})), (3, 2, 3))


@tap.test("assigned twice with the same body is two observations")
def assigned_twice():
    equal(distinct(*again(issue("assigned"), "issue")), (2, 2, 2))


@tap.test("Idempotency-Key wins over Request-ID and over the body")
def idempotency_key_wins():
    id = unique()
    key = os.urandom(16).hex()
    equal(distinct(
        (issue("resolved", id), "issue", {"idempotency_key": key}),
        (issue("resolved", id, count="9"), "issue",
         {"idempotency_key": key}),
        (issue("resolved", id), "issue",
         {"idempotency_key": key.upper()})), (1, 1, 3))
    body = error()
    equal(distinct((body, "error", {"idempotency_key": "1" * 32}),
                   (body, "error", {"idempotency_key": "2" * 32})),
          (2, 2, 2))


@tap.test("one Idempotency-Key under two installations is two rows")
def idempotency_key_per_installation():
    other = "00000000-a9e2-4c85-8a3c-4f44175783c9"
    equal(distinct(
        (issue("resolved"), "issue", {"idempotency_key": "3" * 32}),
        (issue("resolved", installation=other), "issue",
         {"idempotency_key": "3" * 32})), (2, 2, 2))


@tap.table("an Idempotency-Key {} is none", [
    ("of 31 digits", "a" * 31), ("of 33 digits", "a" * 33),
    ("that is no hex", "g" * 32), ("that is empty", ""),
    ("with a blank within", "a" * 16 + " " + "b" * 15)])
def bad_idempotency_key(name, key):
    body = error()
    equal(distinct((body, "error", {"idempotency_key": key}),
                   (body, "error", {})), (1, 1, 2))


NATURAL = [
    ("an error twice, by its event id", 1, lambda i: [
        (error(id="%032x" % i), "error", {}),
        (error(id="%032x" % i, level="fatal"), "error", {})]),
    ("two errors of one issue", 2, lambda i: [
        (error(issue_id=i), "error", {}),
        (error(issue_id=i), "error", {})]),
    ("one event in two projects", 2, lambda i: [
        (error(id="%032x" % i, project=1), "error", {}),
        (error(id="%032x" % i, project=2), "error", {})]),
    ("one event by two rules", 2, lambda i: [
        (event_alert("a", id="%032x" % i, issue_id=i), "event_alert", {}),
        (event_alert("b", id="%032x" % i, issue_id=i), "event_alert", {})]),
    ("one event by one rule twice", 1, lambda i: [
        (event_alert("a", id="%032x" % i, issue_id=i), "event_alert", {}),
        (event_alert("a", id="%032x" % i, issue_id=i), "event_alert", {})]),
    ("one event by one rule, of two issues", 2, lambda i: [
        (event_alert("a", id="%032x" % i), "event_alert", {}),
        (event_alert("a", id="%032x" % i), "event_alert", {})]),
    ("one event as error and as alert", 2, lambda i: [
        (error(id="%032x" % i), "error", {}),
        (event_alert(id="%032x" % i), "event_alert", {})]),
    ("issue.created twice with another count", 1, lambda i: [
        (issue("created", i), "issue", {}),
        (issue("created", i, count="8"), "issue", {})]),
    ("a comment created and deleted", 2, lambda i: [
        (comment("created", i), "comment", {}),
        (comment("deleted", i), "comment", {})]),
    ("a comment updated at two times", 2, lambda i: [
        (comment("updated", i), "comment", {}),
        (comment("updated", i, timestamp="2026-01-11T00:00:00Z"),
         "comment", {})]),
    ("a comment updated once, sent twice", 1, lambda i: [
        (comment("updated", i, issue_id=i), "comment", {}),
        (comment("updated", i, issue_id=i), "comment", {})]),
    ("a comment edited twice, both of its creation's time", 2, lambda i: [
        (comment("updated", i, issue_id=i, comment=c), "comment", {})
        for c in ("cause: cache", "cause: stale cache")]),
    ("a metric alert critical and resolved", 2, lambda i: [
        (metric_alert("critical", i), "metric_alert", {}),
        (metric_alert("resolved", i), "metric_alert", {})]),
    ("a metric alert critical twice", 1, lambda i: [
        (metric_alert("critical", i), "metric_alert", {}),
        (metric_alert("critical", i), "metric_alert", {})]),
    ("a metric alert critical, warning, critical again", 3, lambda i: [
        (metric_alert(action, i, status=status), "metric_alert", {})
        for action, status in (("critical", 20), ("warning", 10),
                               ("critical", 21))]),
    ("a run of Seer in two iterations", 2, lambda i: [
        (envelope("iteration_completed", {
            "run_id": i, "iteration_index": n}), "seer", {})
        for n in (1, 2)]),
    ("a build with two sizes", 2, lambda i: [
        (envelope("size_analysis_completed", {
            "buildId": str(i), "downloadSize": n}), "preprod_artifact", {})
        for n in (1, 2)]),
    ("one alert about two activities", 2, lambda i: [
        (envelope("triggered", {"alert": {"id": i}, "activity": {
            "type": t}}), "activity_alert", {})
        for t in ("status_resolved", "status_regression")]),
    ("a metric alert critical with a newer date", 2, lambda i: [
        (metric_alert("critical", i), "metric_alert", {}),
        (metric_alert("critical", i, date_started=
                      "2026-02-01T00:00:00Z"), "metric_alert", {})]),
    ("an installation created and deleted", 2, lambda i: [
        (installation("created", f"u-{i}"), "installation", {}),
        (installation("deleted", f"u-{i}"), "installation", {})]),
    ("an installation created twice", 1, lambda i: [
        (installation("created", f"u-{i}"), "installation", {}),
        (installation("created", f"u-{i}"), "installation", {})]),
    ("an unknown hook with one Request-ID", 1, lambda i: again(
        envelope("x", {"y": i}), "later", request_id="%032x" % i)),
    ("an unknown hook with two Request-IDs", 2, lambda i: again(
        envelope("x", {"y": i}), "later")),
    ("an unknown hook without Request-ID, at two times", 2, lambda i: [
        (envelope("x", {"y": i}), "later", {
            "request_id": None, "sentry_hook_timestamp": t})
        for t in ("1768078560", "1768078561")]),
    ("an unknown hook without Request-ID, twice", 1, lambda i: again(
        envelope("x", {"y": i}), "later", request_id=None,
        sentry_hook_timestamp="1768078560")),
]


@tap.table("dedupe: {}", NATURAL)
def dedupe(name, want, make):
    deliveries = make(unique())
    got = distinct(*deliveries)
    equal((got[0], got[2]), (want, len(deliveries)), name)


@tap.table("a captured {} under another resource header does not double", [
    ("issue.created", "issue", issue()),
    ("error.created", "error", error()),
    ("event_alert.triggered", "event_alert", event_alert()),
    ("metric_alert.critical", "metric_alert", metric_alert()),
    ("comment.created", "comment", comment()),
    ("installation.created", "installation", installation())])
def replay_under_other_resource(name, resource, body):
    others = [r for r in ("issue", "error", "event_alert", "comment",
                          "metric_alert", "installation", "seer",
                          "activity_alert") if r != resource]
    got = distinct(*((body, r, {}) for r in [resource] + others))
    equal((got[0], got[2]), (1, 1 + len(others)), got)


# ---- which resource, which are observed ----------------------------------

@tap.table("a body of {} under another header is taken for what it is", [
    ("an issue", "error", "issue", "created", issue()),
    ("an error", "issue", "error", "created", error()),
    ("an event_alert", "issue", "event_alert", "triggered",
     event_alert()),
    ("a metric_alert", "comment", "metric_alert", "critical",
     metric_alert()),
    ("an issue without header", None, "issue", "created", issue()),
    ("an issue under an empty header", "", "issue", "created", issue()),
])
def body_under_other_resource(name, header, resource, action, body):
    raw = compact(body)
    headers = signed(raw, "x")
    headers.pop("Sentry-Hook-Resource")
    if header is not None:
        headers["Sentry-Hook-Resource"] = header
    before = len(S.log_lines())
    expect_json(S.post(raw, headers), 200, RECEIVED)
    row = S.rows("SELECT w.resource, w.outcome, o.source_type FROM webhook w"
                 " JOIN outbox o ON o.webhook_id = w.id WHERE w.body = ?",
                 raw)[0]
    equal(tuple(row), (resource, "observed", f"{resource}.{action}"))
    until(lambda: len(S.log_lines()) > before, why="nothing was logged")


@tap.table("a resource header {} is no resource", [
    ("of 5 kB", "r" * 5000), ("with control bytes", "issue\n\x1b[31m"),
    ("with quotes", "is'sue\";--"), ("of UTF-8", "issue\u00e9")])
def bad_resource_header(name, header):
    raw = compact(issue())
    expect_json(S.send(raw, header), 200, RECEIVED)
    row = S.rows("SELECT * FROM webhook WHERE body = ?", raw)[0]
    equal((row["resource"], row["outcome"]), ("issue", "observed"))


SENT = {
    "issue.created": ("issue", issue),
    "issue.ignored": ("issue", lambda: issue("ignored")),
    "error.created": ("error", error),
    "event_alert.triggered": ("event_alert", event_alert),
    "metric_alert.warning": ("metric_alert",
                             lambda: metric_alert("warning")),
    "comment.created": ("comment", comment),
    "installation.created": ("installation", installation),
    "later.x": ("later", lambda: envelope("x", {"y": 1})),
}
DEFAULT = {"issue.created", "error.created", "event_alert.triggered",
           "metric_alert.warning"}


@tap.table("--observe {} observes those alone", [
    ("by default", None, DEFAULT),
    ("*", "*", set(SENT)),
    ("issue.*", "issue.*", {"issue.created", "issue.ignored"}),
    ("issue.ignored,comment.*", "issue.ignored,comment.*",
     {"issue.ignored", "comment.created"}),
    ("a list by blanks", " later.x \n error.created,,\tissue.resolved ",
     {"later.x", "error.created"}),
    ("a name that only begins alike", "issue.creat error.createdx comm.*",
     set()),
])
def observe_option(name, value, want):
    for how in ("option", "environment"):
        if value is None and how == "environment":
            continue
        w = Worker(*(["--observe", value] if value and how == "option"
                     else []),
                   env={"SENTRY_WEBHOOKS_OBSERVE": value}
                   if value and how == "environment" else None)
        for resource, make in SENT.values():
            expect_json(w.send(make(), resource), 200, RECEIVED)
        # A slow machine may have spooled one.
        until(lambda: w.hook_count() == len(SENT), "a hook is missing")
        got = {f"{r[0]}.{r[1]}" for r in w.rows(
            "SELECT resource, action FROM webhook WHERE "
            "outcome = 'observed'")}
        equal(got, want, how)
        equal({r[0] for r in w.rows("SELECT source_type FROM outbox")},
              want, how)
        w.stop()


# ---- the map -------------------------------------------------------------

M = Worker()


def remap(*rows):
    """Replaces the map by rows (installation, project_id, slug, workspace),
    with the sqlite3 shell."""
    def literal(v):
        return "NULL" if v is None else "'" + str(v).replace("'", "''") + "'"
    sql = "DELETE FROM workspace_map;" + "".join(
        "INSERT INTO workspace_map (installation, project_id, project_slug,"
        f" workspace_id) VALUES ({','.join(map(literal, row))});"
        for row in rows)
    shell_ok(M.db, sql)


def workspace(body=None, resource="issue"):
    """Where the next hook goes; None: unmapped."""
    _, row = store(body or issue(), M, resource)
    equal(row["state"], "pending" if row["workspace_id"] else "unmapped")
    return row["workspace_id"]


I, P, O = INSTALLATION, "4509877862268928", "11111111-2222"
ALL = ((None, None, None, "all"), (I, None, None, "installation"),
       (None, None, "sh*", "pattern"), (None, None, "shop", "slug"),
       (None, P, None, "id"))


@tap.test("an edit with the shell takes effect with the next hook")
def map_edit_takes_effect():
    remap()
    equal(workspace(), None)
    remap((None, None, None, "one"))
    equal(workspace(), "one")
    shell_ok(M.db, "UPDATE workspace_map SET workspace_id = 'two'")
    equal(workspace(), "two")
    shell_ok(M.db, "DELETE FROM workspace_map")
    equal(workspace(), None)


@tap.test("project id, slug, pattern, installation, then the empty row win")
def map_precedence():
    for n in range(len(ALL), 0, -1):
        remap(*ALL[:n])
        equal(workspace(), ALL[n - 1][3])
        remap(*reversed(ALL[:n]))
        equal(workspace(), ALL[n - 1][3], "in the other order")


@tap.table("map: {}", [
    ("a row with the installation wins among equals",
     [(None, P, None, "bare"), (I, P, None, "with")], "with"),
    ("the lowest id wins among equals",
     [(None, None, "sh*", "first"), (None, None, "s*", "second")], "first"),
    ("a project id beats a slug with the installation",
     [(I, None, "shop", "slug"), (None, P, None, "id")], "id"),
    ("an exact slug beats a pattern with the installation",
     [(I, None, "sh*", "pattern"), (None, None, "shop", "slug")], "slug"),
    ("a slug in upper case matches",
     [(None, None, "SHOP", "upper")], "upper"),
    ("a pattern in upper case matches",
     [(None, None, "S*P", "upper")], "upper"),
    ("a question mark is one character",
     [(None, None, "sh?p", "one")], "one"),
    ("a set is one of its characters",
     [(None, None, "sh[aeiou]p", "set")], "set"),
    ("a set in upper case matches",
     [(None, None, "SH[M-Q]P", "set")], "set"),
    ("a negated set is none of its characters",
     [(None, None, "sh[^aeiou]p", "set")], None),
    ("a longer slug does not match",
     [(None, None, "shops", "no"), (None, None, "sh", "no")], None),
    ("another project id does not match",
     [(None, P + "0", None, "no"), (None, "45098", None, "no")], None),
    ("another installation does not match",
     [(O, None, None, "no")], None),
    ("the right id with another slug does not match",
     [(None, P, "other", "no")], None),
    ("the right slug with another id does not match",
     [(None, "1", "shop", "no")], None),
    ("the right id with another installation does not match",
     [(O, P, None, "no")], None),
    ("all three together match",
     [(I, P, "SHOP", "three")], "three"),
])
def map_case(name, rows, want):
    remap(*rows)
    equal(workspace(), want)


@tap.test("events map by their integer project id and by their slug")
def event_project_by_id_and_slug():
    shell_ok(M.db, "DELETE FROM workspace_map; INSERT INTO workspace_map "
             f"(project_id, workspace_id) VALUES ({P}, 'number')")
    equal(workspace(error(), "error"), "number")
    remap((None, None, "shop", "slug"))
    equal(workspace(error(), "error"), "slug")
    equal(workspace(metric_alert(), "metric_alert"), "slug")


@tap.test("a store of one's own goes into the outbox row")
def store_of_workspace():
    shell_ok(M.db, "DELETE FROM workspace_map; INSERT INTO workspace_map "
             "(workspace_id, store_id, note) VALUES ('w', 'cold', 'n')")
    _, row = store(issue(), M)
    equal((row["workspace_id"], row["store_id"]), ("w", "cold"))


NEVER = [
    ("an empty workspace_id", "workspace_id", ""),
    ("a blank workspace_id", "workspace_id", " "),
    ("a workspace_id of a tab", "workspace_id", "\t"),
    ("an empty installation", "installation", ""),
    ("an installation with a blank", "installation", " " + I),
    ("an empty project_id", "project_id", ""),
    ("a project_id of letters", "project_id", "shop"),
    ("a project_id with a letter", "project_id", "12a"),
    ("a negative project_id", "project_id", "-1"),
    ("a project_id with a fraction", "project_id", "1.5"),
    ("a project_id with a blank", "project_id", " 12"),
    ("a project_id that begins with 0", "project_id", "0111"),
    ("an empty project_slug", "project_slug", ""),
    ("a project_slug with a blank before", "project_slug", " shop"),
    ("a project_slug with a blank after", "project_slug", "shop "),
    ("a project_slug with a newline", "project_slug", "shop\n"),
    ("a project_slug with an unclosed [", "project_slug", "sh[op"),
    ("a project_slug that ends in [", "project_slug", "shop["),
    ("a project_slug with []", "project_slug", "sh[]op"),
    ("a project_slug with [^]", "project_slug", "sh[^]op"),
    ("a project_slug with an unclosed [^", "project_slug", "sh[^"),
    ("a project_slug with a second [ unclosed", "project_slug",
     "s[h]o[p"),
    ("a project_slug with a ] that closes nothing", "project_slug", "***]"),
    ("a project_slug with a ^ outside of brackets", "project_slug", "*-^"),
    ("an empty store_id", "store_id", ""),
]


@tap.table("{} is refused by the table with a message", NEVER)
def map_refuses_row(name, column, value):
    remap()
    value = value.replace("'", "''")
    columns, values = f"{column}", f"'{value}'"
    if column != "workspace_id":
        columns, values = columns + ", workspace_id", values + ", 'ws'"
    done = sqlite_shell(M.db, f"INSERT INTO workspace_map ({columns}) "
                        f"VALUES ({values})")
    assert done.returncode != 0 and done.stderr.strip(), done
    equal(M.value("SELECT count(*) FROM workspace_map"), 0)
    shell_ok(M.db, "INSERT INTO workspace_map (workspace_id) VALUES ('w')")
    done = sqlite_shell(M.db, f"UPDATE workspace_map SET {column} = '{value}'")
    assert done.returncode != 0 and done.stderr.strip(), done
    equal(M.value("SELECT workspace_id FROM workspace_map"), "w")


@tap.test("a NULL workspace_id is refused by the table")
def map_refuses_null_workspace():
    remap()
    for value in ("NULL", "x'00'"):
        done = sqlite_shell(M.db, "INSERT INTO workspace_map (workspace_id) "
                            f"VALUES ({value})")
        assert done.returncode != 0, value


def state(id, worker=None):
    return tuple((worker or M).rows(
        "SELECT state, workspace_id FROM outbox WHERE issue_id = ?", id)[0])


@tap.test("an unmapped hook becomes pending soon after its row is added")
def unmapped_becomes_pending():
    remap()
    mine, other = issue(slug="mine", project="71"), \
        issue(slug="other", project="72")
    for body in (mine, other):
        equal(workspace(body), None)
    mine, other = (b["data"]["issue"]["id"] for b in (mine, other))
    shell_ok(M.db, "INSERT INTO workspace_map (project_slug, workspace_id) "
             "VALUES ('mine', 'ws_mine')")
    until(lambda: state(mine) == ("pending", "ws_mine"))
    equal(state(other), ("unmapped", None))
    row = M.rows("SELECT attempts, due_at FROM outbox WHERE issue_id = ?",
                 mine)[0]
    equal(row["attempts"], 0)
    assert row["due_at"] <= time.time() * 1000 + 1000


def named(row, slug, project):
    """Whether a row of unmapped_project is about this project."""
    values = list(map(str, row.values()))
    return slug in values or project in values


@tap.table("the statement in unmapped_project maps {}", [
    ("a plain project", "plain-shop", "81"),
    ("a project with a quote", "o'brien", "82"),
    ("a project that is an attack",
     "x');DELETE/**/FROM/**/outbox;--", "83"),
    ("a project without a slug", None, "84"),
])
def unmapped_project_statement(name, slug, project):
    remap()
    body = issue(project=project, slug=slug)
    if slug is None:
        del body["data"]["issue"]["project"]["slug"]
    equal(workspace(body), None)
    id = body["data"]["issue"]["id"]
    total = M.value("SELECT count(*) FROM outbox")
    found = [dict(r) for r in M.rows("SELECT * FROM unmapped_project")]
    assert found
    mine = [r for r in found if named(r, slug, project)]
    equal(len(mine), 1, found)
    sql = [v for v in mine[0].values()
           if str(v).lstrip().upper().startswith("INSERT")]
    equal(len(sql), 1, mine)
    shell_ok(M.db, sql[0])
    until(lambda: state(id)[0] == "pending")
    assert state(id)[1]
    equal(M.value("SELECT count(*) FROM outbox"), total)
    assert not [r for r in M.rows("SELECT * FROM unmapped_project")
                if named(dict(r), slug, project)]


# ---- releases learned ----------------------------------------------------

@tap.table("{} teaches the release to a later issue hook", [
    ("an event_alert", "event_alert", event_alert),
    ("an error", "error", error)])
def release_is_learned(name, resource, make):
    id = str(unique())
    store(make(issue_id=id, release="shop@7"), resource=resource)
    learned = S.rows("SELECT * FROM issue_release WHERE issue_id = ?", id)
    equal([(r["release"], r["environment"]) for r in learned],
          [("shop@7", "production")])
    assert learned[0]["first_seen_at"] <= learned[0]["last_seen_at"]
    _, row = store(issue("resolved", id))
    event = json.loads(row["source_event"])
    equal(row["release"], "shop@7")
    equal((event["metadata"]["release"], event["metadata"]["releaseFrom"]),
          ("shop@7", "issue"))
    equal(event["references"][0], {"type": "release", "id": "shop@7"})


@tap.test("the release learned last is the one given")
def last_release_wins():
    id = str(unique())
    for release in ("shop@1", "shop@2"):
        store(error(issue_id=id, release=release), resource="error")
    store(error(issue_id=id, release=None), resource="error")
    _, row = store(issue("assigned", id))
    equal(row["release"], "shop@2")


@tap.test("an issue learns nothing from another issue or from no release")
def release_of_other_issue():
    id = str(unique())
    store(error(issue_id=id, release=None), resource="error")
    store(error(release="shop@9"), resource="error")
    _, row = store(issue("resolved", id))
    event = json.loads(row["source_event"])
    equal((row["release"], event["metadata"]["release"]), (None, None))
    assert "releaseFrom" not in event["metadata"]


@tap.test("a commit in the release learned is a reference")
def commit_as_release():
    id, sha = str(unique()), "0123456789abcdef0123456789abcdef01234567"
    store(error(issue_id=id, release="shop@" + sha), resource="error")
    _, row = store(issue("resolved", id))
    kinds = [(r["type"], r["id"]) for r in
             json.loads(row["source_event"])["references"]]
    equal(kinds[0], ("release", "shop@" + sha))
    assert ("commit", sha) in kinds, kinds


# ---- views ---------------------------------------------------------------

@tap.test("outbox_event gives the envelope of section 5")
def outbox_event_view():
    hook, row = store(issue())
    view = S.rows("SELECT * FROM outbox_event WHERE id = ?", row["id"])[0]
    equal(view.keys(), ["id", "event"])
    event = json.loads(view["event"])
    equal(list(event), ["name", "id", "ts", "data"])
    equal((event["name"], event["id"], event["ts"]), (
        "apps-console/neural/observation.capture", row["event_id"],
        hook["received_at"]))
    equal(list(event["data"]), ["workspaceId", "storeId", "sourceEvent"])
    equal(event["data"], {
        "workspaceId": "ws_rows", "storeId": "default",
        "sourceEvent": json.loads(row["source_event"])})


@tap.test("queue counts the states, release_issue joins, recent answers")
def other_views():
    states = {r[0]: r[1] for r in S.rows(
        "SELECT state, count(*) FROM outbox GROUP BY state")}
    seen = {}
    for r in S.rows("SELECT * FROM queue"):
        seen[r["state"]] = r["count"]
    equal({k: v for k, v in seen.items() if v}, states)
    id = str(unique())
    store(error(issue_id=id, release="view@1"), resource="error")
    store(issue("resolved", id))
    found = [tuple(map(str, r)) for r in S.rows(
        "SELECT * FROM release_issue") if "view@1" in tuple(r)]
    equal(len(found), 1, found)
    for word in ("production", id, f"SHOP-{id}", "error"):
        assert word in found[0], (word, found)
    # The hooks about events, which come later, do not know the short id.
    store(error(issue_id=id, release="view@2"), resource="error")
    found = [r["short_id"] for r in S.rows("SELECT * FROM release_issue")
             if r["issue_id"] == id]
    equal(found, [f"SHOP-{id}"] * 2)
    assert S.rows("SELECT * FROM recent LIMIT 5")


@tap.test("tables are STRICT, the file is WAL, application_id is set")
def tables_are_strict():
    tables = {r["name"]: r["strict"] for r in S.rows("PRAGMA table_list")
              if r["type"] == "table" and not r["name"].startswith("sqlite")}
    assert {"workspace_map", "webhook", "outbox",
            "issue_release"} <= set(tables), tables
    equal({n for n, s in tables.items() if not s}, set())
    equal(S.value("PRAGMA journal_mode"), "wal")
    assert S.value("PRAGMA application_id") != 0
    assert S.value("PRAGMA user_version") > 0


@tap.table("the outbox refuses {}", [
    ("a state of its own", "UPDATE outbox SET state = 'lost'"),
    ("a source event that is no JSON", "UPDATE outbox SET source_event='{'"),
    ("an event id twice", "INSERT INTO outbox SELECT * FROM outbox")])
def outbox_refuses(name, sql):
    store(issue())
    assert sqlite_shell(S.db, sql).returncode != 0


# ---- what all of them left in the log --------------------------------------

@tap.test("the log is logfmt without a text of a hook, the metrics can be "
          "read")
def log_and_metrics_after_all():
    for worker in (S, M):
        for line in worker.log_lines():
            logfmt(line)
        for word in PRIVATE:
            assert word not in worker.log(), word
        worker.metrics()


tap.run()
