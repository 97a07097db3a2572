#!/usr/bin/env python3
"""Hooks that Sentry really sends, where folders of them lie beside the
repository: each is answered and stored, each signature is checked.

In the first folder a file is named RESOURCE.ACTION.SOURCE.json; some tell of
one thing twice. In the second a name's first word is the resource, the action
stands in the body, and no file repeats another."""
import base64
import glob
import json
import os

from database import map_everything
from environment import SRC
from expect import equal
from hooks import RECEIVED, compact, signed
from nginx import Nginx
from tap import Skip, Tap, need_program, skip_all
from worker import Worker

FIRST, SECOND = (os.path.join(SRC, "..", "shared", "fixtures", name)
                 for name in ("sentry", "sentry-2"))
if not os.path.isdir(FIRST) and not os.path.isdir(SECOND):
    skip_all("no folder of fixtures")
need_program()
tap = Tap()
W = Worker("--observe", "*")
N = Nginx(W.socket)
map_everything(W.db)


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def named(folder):
    """(name, path) of what lies in it; nothing where there is no folder."""
    return [(os.path.basename(path)[:-len(".json")], path)
            for path in sorted(glob.glob(folder + "/*.json"))]


HOOKS = [(name, *name.split(".")[:2], load(path))
         for name, path in named(FIRST)
         if "." in name and not name.startswith("legacy-plugin")]
LATER = [(name, name.split(".")[0], payload["action"], payload)
         for name, payload in ((n, load(p)) for n, p in named(SECOND))]
VECTORS = [(v["name"], v) for name, path in named(FIRST)
           if name == "signature-vectors" for v in load(path)]


def need(hooks):
    if not hooks:
        raise Skip("that folder is not there")


def newest(body):
    return W.rows("SELECT w.*, o.title, o.source_type, o.source_event, "
                  "o.state, o.release FROM webhook w LEFT JOIN outbox o ON "
                  "o.webhook_id = w.id WHERE w.body = ?", body)


def send(payload, resource, via=N, **more):
    body = compact(payload)
    answer = via.post(body, signed(body, resource, **more))
    equal((answer.status, answer.body), (200, RECEIVED))
    return body


def is_observed(row, resource, action, payload):
    equal((row["resource"], row["action"], row["outcome"]),
          (resource, action, "observed"))
    equal((row["source_type"], row["state"]),
          (f"{resource}.{action}", "pending"))
    event = json.loads(row["source_event"])
    for word in ("undefined", "NaN", "[object Object]", "None"):
        assert word not in event["title"] or word in json.dumps(payload), \
            event["title"]
    assert event["occurredAt"].endswith("Z")
    equal(row["title"], event["title"])
    assert all(v is not None for r in event["references"]
               for v in r.values()) or resource == "issue"


@tap.table("{} is answered 200 and stored", HOOKS)
def fixture_is_stored(name, resource, action, payload):
    rows = newest(send(payload, resource))
    if not rows:        # another file with the same natural key came first
        seen = W.value("SELECT max(seen) FROM webhook WHERE resource = ? "
                       "AND action = ?", resource, action)
        assert seen > 1, "neither a row nor a duplicate"
        return
    is_observed(rows[0], resource, action, payload)


@tap.table("{} of the second folder is answered 200 and stored", LATER)
def second_fixture_is_stored(name, resource, action, payload):
    rows = newest(send(payload, resource))
    equal([row["seen"] for row in rows], [1])
    is_observed(rows[0], resource, action, payload)


@tap.test("no two files of the second folder become one row")
def second_fixtures_are_distinct_rows():
    need(LATER)
    worker = Worker("--observe", "*")
    nginx = Nginx(worker.socket)
    for again in (1, 2):        # and each only with itself
        for name, resource, _, payload in LATER:
            send(payload, resource, nginx, request_id=name)
        equal(worker.value("SELECT count(*) FROM webhook"), len(LATER))
        equal(worker.value("SELECT sum(seen) FROM webhook"),
              again * len(LATER))


@tap.test("every kind of fixture was there")
def every_kind_was_there():
    need(HOOKS)
    assert len(HOOKS) > 50 and len(VECTORS) > 5
    equal({r for _, r, _, _ in HOOKS} >= {
        "issue", "error", "event_alert", "metric_alert", "comment",
        "installation", "seer"}, True)


@tap.table("the unsigned legacy plugin is answered 401: {}", [
    ("without a signature", {}), ("with an empty one", {
        "Sentry-Hook-Signature": ""})])
def unsigned_legacy_is_401(name, headers):
    need(HOOKS)
    for path in glob.glob(FIRST + "/legacy-plugin*"):
        with open(path, "rb") as f:
            body = f.read()
        equal(N.post(body, headers).status, 401)


JUDGES = {}


def receivers_for(secret):
    """A site whose only secret is the vector's."""
    if secret not in JUDGES:
        w = Worker(secret=secret)
        JUDGES[secret] = (w, Nginx(w.socket))
    return JUDGES[secret]


def is_object(body):
    try:
        return isinstance(json.loads(body.decode("utf-8")), dict)
    except ValueError:
        return False


def expected_answer(vector, body):
    if vector["signature"] == "":
        return 401, {"error": "Missing sentry-hook-signature header"}
    if len(vector["signature"]) != 64:
        return 401, {"error": "Signature length mismatch"}
    if not vector["valid"]:
        return 401, {"error": "Invalid signature"}
    if not is_object(body):
        return 400, {"error": "Invalid JSON"}
    return 200, {"received": True}


@tap.table("signature vector {} is answered as it says", VECTORS)
def signature_vector(name, vector):
    body = base64.b64decode(vector["body_b64"])
    equal(len(body), vector["body_bytes"])
    worker, nginx = receivers_for(vector["secret"])
    before = worker.value("SELECT coalesce(sum(seen), 0) FROM webhook")
    headers = signed(body, vector["resource"])
    headers["Sentry-Hook-Signature"] = vector["signature"]
    status, text = expected_answer(vector, body)
    for via in (nginx, worker):
        answer = via.post(body, headers)
        equal((answer.status, answer.body), (status, compact(text)), via)
    after = worker.value("SELECT coalesce(sum(seen), 0) FROM webhook")
    equal(after - before, 0 if status == 401 else 2)


@tap.test("an issue hook gets the release of an earlier alert of its issue")
def issue_gets_earlier_release():
    need(HOOKS)
    done = 0
    issues = [p for _, r, _, p in HOOKS if r == "issue"]
    for name, resource, _, payload in HOOKS:
        if resource not in ("event_alert", "error"):
            continue
        event = json.loads(json.dumps(
            payload["data"].get("event") or payload["data"]["error"]))
        if not isinstance(event.get("release"), str):
            continue
        if not event.get("issue_id"):
            continue
        for template in issues:
            issue = json.loads(json.dumps(template))
            issue["data"]["issue"]["id"] = str(event["issue_id"])
            if issue["data"].get("event"):
                continue
            body = compact(issue)
            equal(N.post(body, signed(body, "issue", idempotency_key=os
                                      .urandom(16).hex())).status, 200)
            row = newest(body)[-1]
            told = json.loads(row["source_event"])["metadata"]
            equal((row["release"], told["releaseFrom"]),
                  (event["release"], "issue"), name)
            done += 1
    assert done, "no fixture holds a release and an issue id"


tap.run()
