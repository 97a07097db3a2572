"""A stand-in of the part of Sentry's REST API that sentry-backfill asks, over
real HTTP, and a story for it to tell: issues, what happens to them, and the
hooks that Sentry would send of it.

The shapes are those of Sentry's public API documentation and source: the list
of issues (api/serializers/models/group_stream.py), activities
(api/serializers/models/activity.py, newest first, a hundred at most), the
newest event, the log of failed hooks (sentry_app_webhook_request.py).
"""
import http.server
import json
import re
import threading
import time
import urllib.parse

from hooks import INSTALLATION, compact, envelope, event_alert, issue, unique

MINUTE = 60000
TOKEN = "sntrys_0123456789abcdef"
ORG, APP = "example", "memory"
PEOPLE = {
    "ann": {"id": "71", "name": "Ann Example", "username": "ann@example.com",
            "email": "ann@example.com"},
    "bob": {"id": "72", "name": "Bob Example", "username": "bob@example.com",
            "email": "bob@example.com"},
}
TEAM = {"id": "9", "name": "backend"}
SHA = "8f4b1c6d2e3a5f708192a3b4c5d6e7f809112233"
COMMIT = {"id": SHA, "message": "Open the café", "repository": {
    "name": "example/shop", "url": "https://github.com/example/shop",
    "provider": {"id": "integrations:github", "name": "GitHub"}}}

# Thirty issues: a title, what is special about it, and what happens, in minutes
# from the beginning. The worker of the tests is stopped from 60 to 180.
ISSUES = [
    ("before, and never again", {}, "created@5"),
    ("born while nobody listened", {}, "created@65"),
    ("the first minute of it", {}, "created@61"),
    ("the last minute of it", {}, "created@179"),
    ("born after", {}, "created@190"),
    ("resolved in between", {}, "created@5 resolved:ann@70"),
    ("resolved before", {}, "created@5 resolved:ann@20"),
    ("resolved after", {}, "created@5 resolved:bob@200"),
    ("born and resolved", {}, "created@80 resolved:ann@100"),
    ("there and back", {},
     "created@5 resolved:ann@70 regression@90 resolved:bob@120"),
    ("there and back within three minutes", {},
     "created@80 resolved:ann@81 unresolved:ann@82 resolved:ann@83.5"),
    ("one came, one did not", {}, "created@5 resolved:ann@59 regression@62"
     " resolved:ann@64"),
    ("by age", {}, "created@5 resolved-by-age@75"),
    ("in a release", {}, "created@5 resolved-in-release:ann@76"),
    ("in the next release", {}, "created@5 resolved-in-next:ann@77"),
    ("in a commit", {}, "created@5 resolved-in-commit:ann@78"),
    ("in a pull request, one day", {}, "created@5 resolved-in-pull:ann@79"),
    ("commit, then not", {},
     "created@66 resolved-in-commit:ann@78 regression@100"),
    ("assigned to a person", {}, "created@5 assigned:ann:ann@85"),
    ("assigned to another", {}, "created@70 assigned:ann:bob@85"),
    ("assigned to a team", {}, "created@5 assigned:ann:team@86"),
    ("handed on", {}, "created@5 assigned:ann:ann@70 assigned:ann:bob@110"
     " unassigned:bob@120 resolved:bob@130"),
    ("ignored for ever", {}, "created@5 ignored:ann@90"),
    ("ignored until it counts", {},
     "created@5 ignored-until:ann@91 unresolved:ann@98"),
    ("ignored until it escalates", {},
     "created@5 ignored-escalating:ann@92 escalating@140"),
    ("talked about", {}, "created@5 note:ann@93 priority:ann@94 ongoing@95"),
    ("of no release", {"release": None}, "created@96 resolved:ann@150"),
    ("a cron job is late", {"issueCategory": "outage", "type": "generic",
                            "level": "warning"}, "created@97"),
    ("slow, and of no hook", {"issueCategory": "db_query",
                              "type": "generic"}, "created@98"),
    ("say what you like", {"issueCategory": "feedback", "type": "generic",
                           "level": "info"}, "created@99 resolved:ann@160"),
]

# TYPE: the activity's name, the hook's action, resolution_type. An unresolved of
# what was not resolved sends no hook.
KINDS = {
    "resolved": ("set_resolved", "resolved", "now"),
    "resolved-by-age": ("set_resolved_by_age", "resolved", "autoresolve"),
    "resolved-in-release": ("set_resolved_in_release", "resolved",
                            "in_release"),
    "resolved-in-next": ("set_resolved_in_release", "resolved",
                         "in_next_release"),
    "resolved-in-commit": ("set_resolved_in_commit", "resolved",
                           "with_commit"),
    "resolved-in-pull": ("set_resolved_in_pull_request", None, None),
    "unresolved": ("set_unresolved", "unresolved", None),
    "regression": ("set_regression", "unresolved", None),
    "escalating": ("set_escalating", "unresolved", None),
    "ongoing": ("auto_set_ongoing", None, None),
    "ignored": ("set_ignored", "ignored", None),
    "ignored-until": ("set_ignored", "ignored", None),
    "ignored-escalating": ("set_ignored", "ignored", None),
    "assigned": ("assigned", "assigned", None),
    "unassigned": ("unassigned", None, None),
    "note": ("note", None, None),
    "priority": ("set_priority", None, None),
}
DATA = {
    "resolved-by-age": {"age": 720},
    "resolved-in-release": {"version": "shop@1.5.0"},
    "resolved-in-next": {"version": ""},
    "resolved-in-commit": {"commit": COMMIT},
    "resolved-in-pull": {"pullRequest": {"id": "12"}},
    "ignored-until": {"ignoreCount": 100, "ignoreDuration": None,
                      "ignoreUntil": None, "ignoreUserCount": None,
                      "ignoreUserWindow": None, "ignoreWindow": None},
    "ignored-escalating": {"ignoreUntilEscalating": True},
    "note": {"text": "look at this"},
    "priority": {"priority": "high", "reason": "manual"},
}
SUBSTATUS = {"unresolved": "ongoing", "regression": "regressed",
             "escalating": "escalating", "ongoing": "ongoing",
             "ignored": "archived_forever",
             "ignored-until": "archived_until_condition_met",
             "ignored-escalating": "archived_until_escalating"}
STATUS = {"set_resolved": "resolved", "set_resolved_by_age": "resolved",
          "set_resolved_in_release": "resolved",
          "set_resolved_in_commit": "resolved", "set_unresolved": "unresolved",
          "set_regression": "unresolved", "set_escalating": "unresolved",
          "auto_set_ongoing": "unresolved", "set_ignored": "ignored"}
DETAILS = {"resolved-by-age": {"autoResolved": True},
           "resolved-in-release": {"inRelease": "shop@1.5.0"},
           "resolved-in-next": {"inNextRelease": True},
           "resolved-in-commit": {"inCommit": COMMIT}}


def iso(ms):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)) \
        + f".{ms % 1000:03d}000Z"


class Move:
    """Something that happens to an issue."""

    def __init__(self, words, base):
        name, minute = words.split("@")
        self.kind, _, who = name.partition(":")
        who, _, self.whom = who.partition(":")
        self.at = base + int(float(minute) * MINUTE)
        self.user = PEOPLE.get(who)
        self.id = str(unique())
        self.type, self.action, self.resolution = KINDS.get(
            self.kind, (None, None, None))
        self.status = STATUS.get(self.type)

    def activity(self):
        data = DATA.get(self.kind, {})
        if self.whom == "team":
            data = {"assignee": TEAM["id"], "assigneeEmail": None,
                    "assigneeType": "team"}
        elif self.whom:
            person = PEOPLE[self.whom]
            data = {"assignee": person["id"], "assigneeType": "user",
                    "assigneeEmail": person["email"]}
        return {"id": self.id, "user": self.user, "type": self.type,
                "data": data, "dateCreated": iso(self.at)}


class Issue:
    def __init__(self, title, more, moves, base, release="shop@1.4.2"):
        moves = [Move(words, base) for words in moves.split()]
        self.id = str(unique())
        self.title, self.more = title, dict(more)
        self.release = self.more.pop("release", release)
        self.created, self.moves = moves[0].at, moves[1:]
        status = "unresolved"
        for move in self.moves:
            if move.type == "set_unresolved" and status != "resolved":
                move.action = None
            status = move.status or status
        self.gone = False

    def state(self, at):
        """The issue as Sentry would have serialized it then."""
        out = issue(id=self.id, title="ValueError: " + self.title,
                      metadata={"type": "ValueError", "value": self.title},
                      firstSeen=iso(self.created), lastSeen=iso(self.created))
        out = out["data"]["issue"]
        out.update(self.more)
        for move in self.moves:
            if move.at > at:
                break
            if move.status:
                out["status"] = move.status
                out["statusDetails"] = DETAILS.get(move.kind, {})
                out["substatus"] = SUBSTATUS.get(move.kind)
            elif move.kind == "unassigned":
                out["assignedTo"] = None
            elif move.kind == "assigned":
                out["assignedTo"] = self.assignee(move)
        return out

    @staticmethod
    def assignee(move):
        if move.whom == "team":
            return {"type": "team", **TEAM}
        person = PEOPLE[move.whom]
        return {"type": "user", **{k: person[k]
                                   for k in ("id", "name", "email")}}

    def hooks(self, installation=INSTALLATION):
        """When Sentry sends what: (ms, resource, body)."""
        if self.release and self.more.get("issueCategory") != "db_query":
            yield self.created - 500, "event_alert", event_alert(
                issue_id=self.id, release=self.release,
                installation=installation)
        if self.more.get("issueCategory") != "db_query":
            yield self.created, "issue", envelope(
                "created", {"issue": self.state(self.created)}, installation)
        for move in self.moves:
            action, resolution = move.action, move.resolution
            if action is None:
                continue
            data = {"issue": self.state(move.at)}
            if resolution:
                data["resolution_type"] = resolution
            if action == "assigned":
                data["assignee"] = {**self.assignee(move)}
                data["assignee"]["id"] = int(data["assignee"]["id"])
            body = envelope(action, data, installation)
            if move.user:
                body["actor"] = {"type": "user", "id": int(move.user["id"]),
                                 "name": move.user["name"]}
            yield move.at, "issue", body

    def listed(self, now):
        out = self.state(now)
        total = {k: out[k] for k in ("count", "userCount", "firstSeen",
                                     "lastSeen")}
        out["count"] = "1"          # of the list's window alone
        return {**out, "stats": {"24h": [[1, 2]]}, "filtered": None,
                "lifetime": {**total, "stats": {}}, "inbox": None}

    def activities(self, now):
        out = [move.activity() for move in reversed(self.moves)
               if move.at <= now]
        out.append({"id": "0", "user": None, "type": "first_seen",
                    "data": {"priority": "high"},
                    "dateCreated": iso(self.created)})
        return out[:100]

    def newest_event(self):
        return {"eventID": "a" * 32, "groupID": self.id, "release":
                self.release and {"version": self.release, "id": 7},
                "tags": [{"key": "environment", "value": "production"}],
                "dateCreated": iso(self.created)}


class Story:
    def __init__(self, base, issues=()):
        self.base = base
        self.issues = [Issue(*row, base) for row in issues]

    def many(self, count, first=62, last=170):
        """More issues, created one after another between these minutes; of each
        four one is resolved and one assigned later on."""
        step = (last - first) / count
        for i in range(count):
            at = first + i * step
            more = ["", f" resolved:ann@{at + 4:.4f}", "",
                    f" assigned:ann:bob@{at + 5:.4f}"][i % 4]
            self.issues.append(Issue(f"one of many, {i}", {},
                                     f"created@{at:.4f}{more}", self.base))
        return self

    def hooks(self):
        return sorted((hook for issue in self.issues
                       for hook in issue.hooks()), key=lambda x: x[0])


class Answer:
    """What the stand-in says, where it says something else than it should."""

    def __init__(self, status=200, body=b"", headers=None, cut=False,
                 wait=None):
        self.status, self.cut, self.wait = status, cut, wait
        self.body = body if isinstance(body, bytes) else compact(body)
        self.headers = headers or {}


class Hold:
    """Lets so many requests through, and holds the next until release()."""

    def __init__(self, count):
        self.left = count
        self.reached, self.over = threading.Event(), threading.Event()

    def __call__(self):
        self.left -= 1
        if self.left >= 0 or self.over.is_set():
            return None
        self.reached.set()
        return Answer(wait=self.over.wait)

    def release(self):
        self.over.set()


class SentryApi:
    """odd: a list of (pattern of the path, Answer) that are used once each,
    before anything else. always: the same, for ever; a function, too, that
    gives an Answer, or None for the right one."""

    def __init__(self, story=None, page=100, tls=None):
        self.story = story or Story(0)
        self.page = page
        self.odd, self.always = [], []
        self.failed = []            # the log of failed hooks
        self.requests = []          # (path, headers)
        self.lock = threading.Lock()
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = 65536

            def do_GET(self):
                api.serve(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                      Handler)
        self.server.daemon_threads = True
        # Who asks is killed now and then.
        self.server.handle_error = lambda *_: None
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket,
                                                 server_side=True)
        self.port = self.server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    # What was asked.

    def paths(self, pattern="."):
        with self.lock:
            return [path for path, _ in self.requests
                    if re.search(pattern, path)]

    # Sentry's log of failures: the last hundred of each kind.

    def fail(self, at, resource, body):
        self.failed.append({
            "webhookUrl": "https://hooks.example.com/api/sentry/webhooks",
            "sentryAppSlug": APP, "responseCode": 502,
            "eventType": f"{resource}.{body['action']}",
            "date": iso(at).replace("T", " ").replace("Z", "+00:00"),
            "organization": {"name": "Example", "slug": ORG}})

    def failures(self):
        kept = {}
        for entry in reversed(self.failed):
            kept.setdefault(entry["eventType"], []).append(entry)
        return [e for entries in kept.values() for e in entries[:100]]

    # Serving.

    def serve(self, request):
        with self.lock:
            self.requests.append((request.path, dict(request.headers)))
            answer = self.choose(request)
        if answer.wait:
            answer.wait()
        try:
            self.send(request, answer)
        except (BrokenPipeError, ConnectionResetError):
            pass

    @staticmethod
    def send(request, answer):
        request.send_response(answer.status)
        for name, value in {"Content-Type": "application/json",
                            **answer.headers}.items():
            request.send_header(name, value)
        request.send_header("Content-Length",
                            str(len(answer.body) + 1000 * answer.cut))
        request.end_headers()
        request.wfile.write(answer.body)
        if answer.cut:
            request.wfile.flush()
            request.close_connection = True

    def choose(self, request):
        for odd in self.odd:
            if re.search(odd[0], request.path):
                self.odd.remove(odd)
                return odd[1]
        for pattern, answer in self.always:
            if re.search(pattern, request.path):
                answer = answer() if callable(answer) else answer
                if answer:
                    return answer
        if request.headers.get("Authorization") != "Bearer " + TOKEN:
            return Answer(401, {"detail": "Invalid token"})
        url = urllib.parse.urlsplit(request.path)
        return self.answer(url.path, dict(urllib.parse.parse_qsl(
            url.query, keep_blank_values=True)))

    def answer(self, path, query):
        now = int(time.time() * 1000)
        org = f"/api/0/organizations/{ORG}/issues/"
        if path == org:
            return self.list(query, now)
        if path == f"/api/0/sentry-apps/{APP}/webhook-requests/":
            return Answer(body=self.failures())
        found = re.fullmatch(org + r"(\d+)/(activities|events/latest)/", path)
        issue = found and next((i for i in self.story.issues
                                if i.id == found[1] and not i.gone), None)
        if not issue:
            return Answer(404, {"detail": "The requested resource does not "
                                "exist"})
        if found[2] == "activities":
            return Answer(body={"activity": issue.activities(now)})
        return Answer(body=issue.newest_event())

    def list(self, query, now):
        """Newest first, by cursors of value and offset."""
        if query.get("sort") != "new" or query.get("project") != "-1" or \
                not re.fullmatch(r"\d+d", query.get("statsPeriod", "")):
            return Answer(400, {"detail": "not so"})
        feedback = query["query"] == "issue.category:feedback"
        if not feedback and query["query"]:
            return Answer(400, {"detail": "Error parsing search query"})
        issues = sorted((i for i in self.story.issues if i.created <= now and
                         (i.more.get("issueCategory") == "feedback")
                         == feedback), key=lambda i: (-i.created, i.id))
        at = int(query["cursor"].split(":")[1]) if "cursor" in query else 0
        page = issues[at:at + self.page]
        more = at + self.page < len(issues)
        link = ", ".join(
            f"<{self.url}/elsewhere/?cursor=0:{to}:{prev}>; rel=\"{rel}\"; "
            f"results=\"{str(has).lower()}\"; cursor=\"0:{to}:{prev}\""
            for rel, to, prev, has in (
                ("previous", max(at - self.page, 0), 1, at > 0),
                ("next", at + self.page, 0, more)))
        return Answer(body=[i.listed(now) for i in page],
                      headers={"Link": link, "X-Hits": str(len(issues)),
                               "X-Max-Hits": "1000"})


def main():
    """By hand: python3 tests/support/sentryapi.py prints its URL and serves the
    thirty issues, three hours old, until it is ended."""
    api = SentryApi(Story(int(time.time() * 1000) - 240 * MINUTE, ISSUES))
    print(json.dumps({"url": api.url, "token": TOKEN, "org": ORG}),
          flush=True)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
