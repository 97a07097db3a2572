#!/usr/bin/env python3
"""The same program as plain CGI: under a real fcgiwrap behind nginx, and by
environment and pipe."""
import os
import shutil
import subprocess
import urllib.parse

from crowd import at_once
from database import WriteLock, query
from environment import (LIMIT, MEMORY_ERROR, PROGRAM, WRAPPER,
                         clean_environment)
from expect import equal, until
from fastcgi import cgi_answer, params, post_params
from hooks import PATH, RECEIVED, SECRET, compact, issue, signed
from http_client import expect_error, expect_json
from latency import Latency
from nginx import Nginx
from process import finish_process, start_process
from scratch import Scratch, write_file
from tap import Skip, Tap, need_program
from worker import Worker

need_program()
tap = Tap()
FOLDER = Scratch.new("cgi")
DB = os.path.join(FOLDER, "outbox.db")
SECRET_FILE = write_file(os.path.join(FOLDER, "secret"), SECRET + "\n", 0o644)
COMMAND = PROGRAM
if WRAPPER:
    COMMAND = write_file(os.path.join(FOLDER, "wrapped"), "#!/bin/sh\nexec " +
                         " ".join(WRAPPER) + " " + PROGRAM + ' "$@"\n',
                         0o755)
# It waits very long for its database, as Worker does: the other lane and
# other programs may hold it up.
OWN = {"SENTRY_CLIENT_SECRET_FILE": SECRET_FILE, "SENTRY_WEBHOOKS_DB": DB,
       "SENTRY_WEBHOOKS_COMMIT_WAIT": "60000"}
BODY = compact(issue())
CROWD = 8 if WRAPPER else 30      # valgrind needs a second for each


class Pipe:
    """One process a request: environment in, answer out."""

    def __init__(self, own=None, words=(), options=()):
        self.own = OWN if own is None else own
        self.words = words      # of the query
        self.options = options  # and, before those, a wrapper's

    def run(self, values, body=b""):
        if self.words:
            values = {**values, "QUERY_STRING": "+".join(
                urllib.parse.quote(word) for word in self.words)}
        done = subprocess.run(
            [COMMAND, *self.options, *self.words], input=body,
            capture_output=True, timeout=LIMIT,
            env=clean_environment({**self.own, **values}))
        error = done.stderr.decode("utf-8", "replace")
        assert not MEMORY_ERROR.search(error), error
        equal(done.returncode, 0, error)
        return cgi_answer(done.stdout)

    def get(self, path=PATH, method="GET"):
        return self.run(params(method, path))

    def post(self, body, headers=(), length=None):
        return self.run(post_params(body, headers, length), body)


def fcgiwrap():
    for path in ("/usr/sbin/fcgiwrap", shutil.which("fcgiwrap") or ""):
        if os.access(path, os.X_OK):
            return path
    return None


def behind_nginx():
    """nginx -> fcgiwrap -> the program; None where there is no fcgiwrap."""
    if not fcgiwrap():
        return None
    path = os.path.join(FOLDER, "fcgiwrap.socket")
    start_process([fcgiwrap(), "-c", "4", "-s", "unix:" + path],
                  env=clean_environment(),
                  stderr=open(os.path.join(FOLDER, "fcgiwrap.log"), "ab"))
    until(lambda: os.path.exists(path), why="fcgiwrap does not start")

    def server(port, socket):
        own = "".join(f"fastcgi_param {k} {v};\n" for k, v in OWN.items())
        return (f"server {{ listen 127.0.0.1:{port};\n"
                "client_max_body_size 16m;\n"
                "location /api/sentry/webhooks {\n"
                "include /etc/nginx/fastcgi_params;\n"
                f"fastcgi_param SCRIPT_FILENAME {COMMAND};\n{own}"
                f"fastcgi_pass unix:{socket};\n}} }}\n")
    return Nginx(path, server)


NGINX = behind_nginx()
PIPE = Pipe()
BOTH = [("by pipe", PIPE), ("under fcgiwrap", NGINX)]


def kept(bodies, db=DB):
    """How many of these hooks are in the database."""
    holes = ",".join("?" * len(bodies))
    return query(db, "SELECT count(*) FROM webhook WHERE body IN "
                 f"({holes})", *bodies)[0][0]


def need(via):
    if via is None:
        raise Skip("no fcgiwrap")


@tap.table("GET is answered 200 {}", BOTH)
def get_is_200(where, via):
    need(via)
    expect_json(via.get(), 200, b'{"status":"ok","service":"sentry-webhooks"}')


@tap.table("GET .../ready and /metrics answer {}", BOTH)
def ready_and_metrics_answer(where, via):
    need(via)
    answer = via.get(PATH + "/ready")
    equal(answer.status, 200, answer)
    assert b"writer" in answer.body
    equal(via.get(PATH + "/metrics").status, 200)


@tap.table("a hook is answered 200 and stored {}", BOTH)
def hook_is_stored(where, via):
    need(via)
    body = compact(issue())
    expect_json(via.post(body, signed(body)), 200, RECEIVED)
    expect_json(via.post(body, signed(body)), 200, RECEIVED)
    row = query(DB, "SELECT w.seen, w.outcome, o.state FROM webhook w JOIN "
                "outbox o ON o.webhook_id = w.id WHERE body = ?", body)
    equal([tuple(r) for r in row], [(2, "observed", "unmapped")])


@tap.table("a body of 300 kB is stored to the byte {}", BOTH)
def large_body_is_stored_exactly(where, via):
    need(via)
    body = compact(issue(padding="x" * 300000))
    expect_json(via.post(body, signed(body)), 200, RECEIVED)
    equal(kept([body]), 1)


@tap.table("PUT is answered 405 with Allow {}", BOTH)
def put_is_405_with_allow(where, via):
    need(via)
    answer = via.get(method="PUT")
    equal((answer.status, answer.headers.get("allow")),
          (405, "GET, HEAD, POST"))


ZERO = {"Sentry-Hook-Signature": "0" * 64}
REFUSED = [
    ("no signature", BODY, {}, 401, "Missing sentry-hook-signature header"),
    ("a short signature", BODY, {"Sentry-Hook-Signature": "0"}, 401,
     "Signature length mismatch"),
    ("a wrong signature", BODY, ZERO, 401, "Invalid signature"),
    ("no JSON", b"[]", signed(b"[]"), 400, "Invalid JSON"),
    ("an empty body", b"", signed(b""), 400, "Invalid JSON"),
]


@tap.table("{} is refused as in FastCGI", REFUSED)
def refused_as_in_fastcgi(name, body, headers, status, text):
    for _, via in BOTH:
        if via:
            expect_error(via.post(body, headers), status, text)


@tap.table("a length {} is refused by pipe", [
    ("abc", "abc", 400), ("-1", "-1", 400), ("of nothing", "", 400),
    ("that is absent", False, 400), ("+5", "+5", 400), (" 5", " 5", 400),
    ("of 20 digits", "9" * 20, 413), ("over the limit", "8388609", 413),
    ("beyond the body", "99999", 400)])
def bad_length_is_refused_by_pipe(name, length, status):
    expect_error(PIPE.post(BODY, signed(BODY), length), status,
                 "Bad request" if status == 400 else "Payload too large")


@tap.test("bytes beyond the length are no part of the body")
def bytes_beyond_length_are_ignored():
    body = compact(issue())
    expect_json(PIPE.post(body + b"xxx", signed(body), str(len(body))), 200,
                RECEIVED)
    equal(kept([body]), 1)


@tap.test("an environment that names a socket for others changes nothing")
def socket_in_environment_is_ignored():
    for place in (FOLDER + "/others", "127.0.0.1:1"):
        body = compact(issue())
        expect_json(Pipe({**OWN, "SENTRY_WEBHOOKS_SOCKET": place}).post(
            body, signed(body)), 200, RECEIVED)
    assert not os.path.exists(FOLDER + "/others")


OTHERS = write_file(os.path.join(FOLDER, "known"), "known-to-strangers\n")


# What stands behind `?' becomes arguments where it has no `=' (RFC 3875, 4.4).
@tap.table("words of a query that are {} change nothing", [
    ("an erasure", ["--erase-project", "backend", "--yes"]),
    ("a secret file", ["--secret-file", OTHERS]),
    ("a secret file, by =", ["--secret-file=" + OTHERS]),
    ("--version", ["--version"]), ("no options", ["shop"])])
def query_is_no_options(_name, words):
    body, via = compact(issue()), Pipe(words=words)
    expect_json(via.post(body, signed(body)), 200, RECEIVED)
    equal(via.get().status, 200)
    expect_error(via.post(body, signed(body, secret="known-to-strangers")),
                 401, "Invalid signature")
    equal(kept([body]), 1)


@tap.table("a wrapper's options stay {}", [
    ("beside words of a query", ["--erase-project", "backend", "--yes"], None),
    ("without them", [], "team"), ("without them, with a dash", [], "a-b")])
def wrapper_keeps_options(_name, words, query):
    own = {"SENTRY_CLIENT_SECRET_FILE": OTHERS,
           "SENTRY_WEBHOOKS_COMMIT_WAIT": "60000"}
    via = Pipe(own, words, ["--secret-file", SECRET_FILE, "--db", DB])
    body = compact(issue())
    values = post_params(body, signed(body))
    if query is not None:
        values["QUERY_STRING"] = query
    expect_json(via.run(values, body), 200, RECEIVED)
    equal(kept([body]), 1)


@tap.test("with no secret POST is answered 500 and GET 200")
def post_without_secret_is_500():
    none = Pipe({"SENTRY_WEBHOOKS_DB": DB})
    equal(none.get().status, 200)
    expect_error(none.post(BODY, signed(BODY)), 500,
                 "Webhook secret not configured")


@tap.test("with neither database nor spool POST is answered 500")
def post_without_database_and_spool_is_500():
    none = Pipe({**OWN, "SENTRY_WEBHOOKS_DB": FOLDER + "/no/such/o.db"})
    expect_error(none.post(BODY, signed(BODY)), 500, "Internal server error")


@tap.test("a body that comes late, on a descriptor that does not wait, is read")
def late_body_is_read():
    body = compact(issue(padding="x" * 300000))
    read, write = os.pipe()
    os.set_blocking(read, False)
    process = start_process(
        [COMMAND], stdin=read, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=clean_environment({**OWN, **post_params(body, signed(body))}))
    os.close(read)
    with os.fdopen(write, "wb") as f:
        f.write(body)
    expect_json(cgi_answer(process.stdout.read()), 200, RECEIVED)
    equal(finish_process(process), 0)


@tap.test("a reader of the answer that is gone does not lose the hook")
def reader_gone_loses_no_hook():
    body = compact(issue())
    read, write = os.pipe()
    os.close(read)
    subprocess.run([COMMAND], input=body, stdout=write,
                   stderr=subprocess.DEVNULL, timeout=LIMIT,
                   env=clean_environment(
                       {**OWN, **post_params(body, signed(body))}))
    os.close(write)
    equal(kept([body]), 1)


@tap.test(f"{CROWD} hooks at once are each stored once under fcgiwrap")
def crowd_under_fcgiwrap_is_stored_once():
    need(NGINX)
    bodies = [compact(issue()) for _ in range(CROWD)]
    at_once(lambda body: expect_json(NGINX.post(body, signed(body)), 200,
                                     RECEIVED), bodies)
    all_come_in(bodies, DB)


def all_come_in(bodies, db):
    """They are in the database: at once, or after a worker took the spool."""
    if kept(bodies, db) < len(bodies):
        w = Worker(db=db)
        until(lambda: kept(bodies, db) == len(bodies))
        w.stop()
    equal(kept(bodies, db), len(bodies))


@tap.test("a locked database sends the hook to the spool, answered 200")
def locked_database_spools_hook():
    path = os.path.join(Scratch.new("locked"), "outbox.db")
    Worker(db=path).stop()
    via = Pipe({"SENTRY_CLIENT_SECRET_FILE": SECRET_FILE,
                "SENTRY_WEBHOOKS_DB": path})
    body = compact(issue())
    lock = WriteLock(path)
    with Latency() as latency:
        expect_json(via.post(body, signed(body)), 200, RECEIVED)
    lock.release()
    latency.within(1)
    equal(kept([body], path), 0)
    all_come_in([body], path)


tap.run(lanes=2)
