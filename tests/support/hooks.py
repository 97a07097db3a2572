"""Sentry's hooks: bodies as Sentry writes them, their headers, signed."""
import hashlib
import hmac
import json
import os
import time

PATH = "/api/sentry/webhooks"       # where hooks are sent to
SECRET = "3f1c0a5be2d94b7f8a6c1d2e3f405162738495a6b7c8d9eaf0b1c2d3e4f50627"
INSTALLATION = "7a485448-a9e2-4c85-8a3c-4f44175783c9"
SENTRY_WAITS = 1                    # s; then it takes a hook for lost
RECEIVED = b'{"received":true}'     # the body of a 200
MAX_BODY = 8388608                  # bytes; --max-body's default
BIG = "x" * 50000                   # for a member of a hook: it fills disks
# Of the hooks below, what no log may hold.
PRIVATE = (SECRET, SECRET[:16], "person@example.com", "café", "caf\\u",
           "closed", "look at", "f3c71b491e3949b6b033ae45312a4fcb")


def compact(value):
    """JSON as Sentry writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode()


def sign(body, secret=SECRET):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def signed(body, resource="issue", secret=SECRET, **more):
    """The headers of a hook; more: request_id="..." and the like."""
    headers = {
        "Content-Type": "application/json",
        "Request-ID": os.urandom(16).hex(),
        "Sentry-Hook-Resource": resource,
        "Sentry-Hook-Timestamp": str(int(time.time())),
        "Sentry-Hook-Signature": sign(body, secret),
    }
    for name, value in more.items():
        name = name.replace("_", "-")
        name = {"request-id": "Request-ID"}.get(name, name.title())
        headers.pop(name, None)
        if value is not None:
            headers[name] = value
    return headers


_number = 5000000000        # above 32 bits: a float would not hold its ids


def start_ids(lane):
    """Gives each lane of tests ids of its own: some share a database."""
    global _number
    _number += lane * 10**9


def unique():
    global _number
    _number += 1
    return _number


def envelope(action, data, installation=INSTALLATION):
    body = {"action": action, "data": data, "actor": {
        "type": "application", "id": "sentry", "name": "Sentry"}}
    if installation is not None:
        body["installation"] = {"uuid": installation}
    return body


def issue(action="created", id=None, project="4509877862268928",
          slug="shop", installation=INSTALLATION, **more):
    id = str(id or unique())
    data = {
        "id": id, "shareId": None, "shortId": f"SHOP-{id}",
        "title": "ValueError: the café is closed", "culprit": "shop.cart",
        "permalink": f"https://example.sentry.io/issues/{id}/",
        "logger": None, "level": "error", "status": "unresolved",
        "statusDetails": {}, "substatus": "new", "isPublic": False,
        "platform": "python", "project": {
            "id": project, "name": slug, "slug": slug,
            "platform": "python"},
        "type": "error", "metadata": {
            "type": "ValueError", "value": "the café is closed"},
        "numComments": 0, "assignedTo": None, "issueType": "error",
        "issueCategory": "error", "priority": "high", "count": "3",
        "userCount": 2, "firstSeen": "2026-01-10T20:56:00.679000Z",
        "lastSeen": "2026-01-10T20:57:00.738000Z",
    }
    data.update(more)
    return envelope(action, {"issue": data}, installation)


def event(id=None, issue_id=None, project=4509877862268928, slug="shop",
          release="shop@1.4.2", environment="production", **more):
    id = id or os.urandom(16).hex()
    issue_id = str(issue_id or unique())
    data = {
        "event_id": id, "project": project, "release": release,
        "platform": "python", "datetime": "2026-01-10T20:56:00.679000Z",
        "tags": [["level", "error"], ["environment", environment]],
        "environment": environment, "level": "error",
        "culprit": "shop.cart in total",
        "title": "ValueError: the café is closed",
        "metadata": {"type": "ValueError", "value": "the café is closed"},
        "user": {"id": "7", "email": "person@example.com"},
        "exception": {"values": [{
            "type": "ValueError", "value": "the café is closed",
            "stacktrace": {"frames": [{
                "function": "total", "filename": "shop/cart.py",
                "lineno": 42, "in_app": True}]}}]},
        "url": "https://sentry.io/api/0/projects/example/"
               f"{slug}/events/{id}/",
        "web_url": "https://sentry.io/organizations/example/issues/"
                   f"{issue_id}/events/{id}/",
        "issue_url": f"https://sentry.io/api/0/issues/{issue_id}/",
        "issue_id": issue_id,
    }
    data.update(more)
    return data


def error(installation=INSTALLATION, **more):
    return envelope("created", {"error": event(**more)}, installation)


def event_alert(rule="Page the shop", installation=INSTALLATION, **more):
    return envelope("triggered", {"event": event(**more),
                                  "triggered_rule": rule}, installation)


def metric_alert(action="critical", id=None, slug="shop", **more):
    id = str(id or unique())
    data = {
        "id": id, "identifier": id, "organization_id": "1",
        "projects": [slug], "title": "Checkout is slow", "status": 20,
        "date_started": "2026-01-10T20:56:00Z", "date_closed": None,
        "alert_rule": {"id": "7", "name": "Checkout", "aggregate":
                       "count()", "query": "", "time_window": 60,
                       "triggers": []},
    }
    data.update(more)
    return envelope(action, {
        "metric_alert": data, "description_text": "100 in ten minutes",
        "description_title": f"{action.title()}: Checkout is slow",
        "web_url": "https://sentry.io/organizations/example/alerts/7/"})


def comment(action="created", id=None, **more):
    data = {"comment": "look at this", "project_slug": "shop",
            "comment_id": id or unique(), "issue_id": unique(),
            "timestamp": "2026-01-10T20:56:00.679000Z"}
    data.update(more)
    return envelope(action, data)


def installation(action="created", uuid=None, **more):
    uuid = uuid or "a8e5d37a-696c-4c54-adb5-%012x" % unique()
    data = {"uuid": uuid, "status": "pending", "app": {
        "uuid": "2ebf071f-28df-4989-aca9-c37c763b278f", "slug": "memory"},
        "organization": {"slug": "example"},
        "code": "f3c71b491e3949b6b033ae45312a4fcb"}
    data.update(more)
    return envelope(action, {"installation": data}, uuid)
