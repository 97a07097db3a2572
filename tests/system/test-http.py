#!/usr/bin/env python3
"""Every answer of the worker, through nginx and straight on the socket, and
the lines of its log."""
import json
import re

from environment import LIMIT
from expect import equal, until
from fastcgi import fcgi, params
from hooks import (MAX_BODY, PATH, PRIVATE, RECEIVED, SECRET, comment, compact,
                   error, event_alert, installation, issue, sign, signed,
                   unique)
from http_client import expect_error, expect_json, http_request
from logfmt import logfmt
from metrics import parse_metrics
from nginx import Nginx
from tap import Tap, need_program
from worker import Worker

need_program()
tap = Tap()
W = Worker()
N = Nginx(W.socket)
BOTH = (("through nginx", N), ("on the socket", W))
FIRST = compact(issue())


# ---- GET -----------------------------------------------------------------

ALIVE = b'{"status":"ok","service":"sentry-webhooks"}'


@tap.table("GET is answered {}", BOTH)
def get_answers(where, via):
    expect_json(via.get(), 200, ALIVE)


@tap.table("HEAD is answered with GET's head {}", BOTH)
def head_answers_like_get(where, via):
    answer = via.get(method="HEAD")
    equal(answer.status, 200)
    equal(answer.headers.get("content-type"), "application/json")
    equal(answer.headers.get("cache-control"), "no-store")
    if via is N:
        equal(answer.headers.get("content-length"), str(len(ALIVE)))
        equal(answer.body, b"")


@tap.table("GET .../ready says that all works {}", BOTH)
def ready_answers(where, via):
    answer = via.get(PATH + "/ready")
    assert answer.body.endswith(b"}\n"), "no line end after it"
    expect_json(answer, 200, answer.body)
    told = json.loads(answer.body)
    for word in ("database", "spool", "writer", "backlog"):
        assert word in answer.body.decode(), (word, told)


@tap.test("/ready may stand in PATH_INFO, and may be cut in two")
def ready_in_path_info():
    for script, info in ((PATH, "/ready"), (PATH + "/", "ready"),
                         ("", "/x/ready")):
        answer = fcgi(W.socket, params("GET", script, {"PATH_INFO": info}))
        equal(answer.status, 200)
        assert b"writer" in answer.body, (script, info, answer)


@tap.test("/ready says when the last hook came, before and after a restart")
def ready_knows_the_last_hook():
    def last():
        return json.loads(w.ready().body)["last_hook"]
    w = Worker()
    equal(last(), None)
    equal(w.send().status, 200)
    until(lambda: last() == w.value(
        "SELECT strftime('%Y-%m-%dT%H:%M:%S', received_at / 1000, "
        "'unixepoch') || printf('.%03dZ', received_at % 1000) FROM webhook"))
    came = last()
    w.stop()
    w.start()
    equal(last(), came)


@tap.test("a path that only looks like /ready or /metrics is plain")
def similar_path_is_plain():
    for path in ("/already", "/ready/", "/readyx", "ready", "/metric",
                 "/metrics/x", "/METRICS", ""):
        expect_json(W.get(path), 200, ALIVE)


def metrics(via=W):
    """The text as {series: value}; asserts that it is text 0.0.4."""
    answer = via.get(PATH + "/metrics")
    equal(answer.status, 200)
    assert re.fullmatch(r"text/plain; ?version=0\.0\.4(; ?charset=utf-8)?",
                        answer.headers["content-type"]), answer.headers
    equal(answer.headers.get("cache-control"), "no-store")
    series, types = parse_metrics(answer.body.decode())
    assert "counter" in types.values()
    return series, types


@tap.table("GET .../metrics is Prometheus text {}", BOTH)
def metrics_are_prometheus_text(where, via):
    metrics(via)


@tap.test("counters of the metrics only grow, and a hook makes one grow")
def counters_only_grow():
    before, types = metrics()
    W.send(FIRST)
    after, _ = metrics()
    counters = [s for s in before
                if types.get(re.sub(r"\{.*", "", s)) == "counter"]
    assert counters
    for name in counters:
        assert after[name] >= before[name], name
    assert any(after[s] > before.get(s, 0) for s in after
               if types.get(re.sub(r"\{.*", "", s)) == "counter")


@tap.test("histograms of the metrics are cumulative and end with +Inf")
def histograms_are_cumulative():
    series, types = metrics()
    for base in (n for n, t in types.items() if t == "histogram"):
        sums = {}
        for name, value in series.items():
            m = re.fullmatch(base + r'_bucket\{(.*,)?le="([^"]+)"\}', name)
            if m:
                sums.setdefault(m[1] or "", []).append(
                    (float(m[2].replace("+Inf", "inf")), value))
        assert sums, base
        for rows in sums.values():
            equal(rows, sorted(rows), base)
            equal([v for _, v in rows], sorted(v for _, v in rows), base)
            equal(rows[-1][0], float("inf"), base)


# ---- methods -------------------------------------------------------------

def not_allowed(answer):
    equal(answer.status, 405, answer)
    equal(answer.headers.get("allow"), "GET, HEAD, POST", answer)
    expect_json(answer, 405, answer.body)
    json.loads(answer.body)


@tap.table("{} is answered 405 with Allow", [
    (m,) for m in ("PUT", "DELETE", "PATCH", "OPTIONS")])
def other_method_is_405(method):
    for _, via in BOTH:
        not_allowed(via.get(method=method))


@tap.table("{} on the socket is answered 405 with Allow", [
    ("no method", ""), ("a lower-case post", "post"), ("POST with a "
     "space", "POST "), ("a method of 5 kB", "P" * 5000),
    ("a method of control bytes", "\x1b[2J\n"), ("TRACE", "TRACE"),
    ("POST\\0", "POST\0X")])
def other_method_on_socket_is_405(name, method):
    if "\0" in method:      # libfcgi's strings end there: POST or nothing
        equal(W.get(method=method).status in (400, 401, 405), True)
        return
    not_allowed(W.get(method=method))


@tap.test("a request without REQUEST_METHOD is answered 405")
def no_method_is_405():
    not_allowed(fcgi(W.socket, {"SCRIPT_NAME": PATH}))


# ---- signatures ----------------------------------------------------------

MISSING = "Missing sentry-hook-signature header"
LENGTH = "Signature length mismatch"
INVALID = "Invalid signature"
SIG = "Sentry-Hook-Signature"
GOOD = sign(FIRST)

BAD_SIGNATURES = [
    ("no signature", None, MISSING),
    ("an empty signature", "", MISSING),
    ("a signature of 63 digits", GOOD[:63], LENGTH),
    ("a signature of 65 digits", GOOD + "0", LENGTH),
    ("a signature of one digit", "0", LENGTH),
    ("a signature of 8 kB", "0" * 8000, LENGTH),
    ("64 bytes that are no hex digits", "g" * 64, LENGTH),
    ("a last digit that is none", GOOD[:63] + "g", LENGTH),
    ("a first digit that is none", "/" + GOOD[1:], LENGTH),
    ("a prefix sha256=", "sha256=" + GOOD, LENGTH),
    ("a white space within", GOOD[:32] + " " + GOOD[32:], LENGTH),
    ("non-ASCII bytes", b"\xc3\xa9" * 32, LENGTH),
    ("a signature of zeros", "0" * 64, INVALID),
    ("a last digit that differs", GOOD[:63] + "%x" % (int(GOOD[63], 16)
     ^ 1), INVALID),
    ("a first digit that differs", "%x" % (int(GOOD[0], 16) ^ 8) +
     GOOD[1:], INVALID),
    ("another secret", sign(FIRST, "another"), INVALID),
    ("an empty secret", sign(FIRST, ""), INVALID),
    ("the secret with a newline", sign(FIRST, SECRET + "\n"), INVALID),
    ("the secret in upper case", sign(FIRST, SECRET.upper()), INVALID),
    ("other bytes", sign(FIRST + b"\n"), INVALID),
    ("the bytes of another hook", sign(FIRST[:-1]), INVALID),
]


@tap.table("{} is answered 401 and leaves no row", BAD_SIGNATURES)
def bad_signature_is_401(name, signature, text):
    before = W.hook_count()
    headers = signed(FIRST)
    headers.pop(SIG)
    if signature is not None:
        headers[SIG] = signature
    for _, via in BOTH:
        expect_error(via.post(FIRST, headers), 401, text)
    equal(W.hook_count(), before)


@tap.test("a signature with a blank after it is answered 401 on the socket")
def signature_with_blank_is_401():
    for blank in (" ", "\n", "\t", "\r"):
        headers = signed(FIRST)
        headers[SIG] += blank
        expect_error(W.post(FIRST, headers), 401, LENGTH)


@tap.test("every flipped byte of a body is answered 401")
def flipped_byte_is_401():
    before = W.hook_count()
    headers = signed(FIRST)
    for at in range(0, len(FIRST), 97):
        body = bytearray(FIRST)
        body[at] ^= 1
        expect_error(W.post(bytes(body), headers), 401, INVALID)
    equal(W.hook_count(), before)


GOOD_SIGNATURES = [
    ("a good signature", lambda s: {SIG: s}),
    ("upper-case digits", lambda s: {SIG: s.upper()}),
    ("digits of both cases", lambda s: {SIG: s[:32].upper() + s[32:]}),
    ("Sentry-App-Signature alone", lambda s: {"Sentry-App-Signature": s}),
    ("both headers, the second wrong", lambda s: {
        SIG: s, "Sentry-App-Signature": "0" * 64}),
]


@tap.table("{} is answered 200 and leaves a row", GOOD_SIGNATURES)
def good_signature_is_200(name, make):
    for _, via in BOTH:
        before = W.hook_count()
        body = compact(issue())
        headers = signed(body)
        headers.pop(SIG)
        headers.update(make(sign(body)))
        expect_json(via.post(body, headers), 200, RECEIVED)
        equal(W.hook_count(), before + 1)


@tap.test("a wrong Hook-Signature is not saved by a good App-Signature")
def hook_signature_has_precedence():
    headers = signed(FIRST)
    headers["Sentry-App-Signature"] = headers[SIG]
    headers[SIG] = "0" * 64
    for _, via in BOTH:
        expect_error(via.post(FIRST, headers), 401, INVALID)


@tap.test("each of several secrets is good, and is named in the row")
def several_secrets():
    w = Worker(secret="# a comment\n\nold  oldsecret\nnew\tnewsecret\n"
               "  bare0secret  \n# hidden hidesecret")
    names = []
    for secret in ("oldsecret", "newsecret", "bare0secret"):
        expect_json(w.send(secret=secret), 200, RECEIVED)
        names.append(w.value("SELECT secret_name FROM webhook "
                             "ORDER BY id DESC LIMIT 1"))
    equal(names[:2], ["old", "new"])
    assert "bare0secret" not in str(names[2])
    for secret in ("hidesecret", "old", "new", "# hidden", "hidden",
                   "old  oldsecret", "bare0secret  ", ""):
        expect_error(w.send(FIRST, secret=secret), 401, INVALID)


@tap.test("SENTRY_CLIENT_SECRET holds several, by blanks and commas")
def secrets_from_environment():
    w = Worker(secret=None, env={
        "SENTRY_CLIENT_SECRET": " first---,second-- third---\n\tfourth--,, "})
    for secret in ("first---", "second--", "third---", "fourth--"):
        expect_json(w.send(secret=secret), 200, RECEIVED)
    for secret in ("first---,second--", "", ",", "fourth--,", "fifth---"):
        expect_error(w.send(FIRST, secret=secret), 401, INVALID)


@tap.test("64 secrets are good, and it is said when there are more")
def at_most_64_secrets():
    names = [f"secret{n:03}" for n in range(65)]
    for n, line in ((64, 0), (65, 1)):
        w = Worker(secret=None, env={
            "SENTRY_CLIENT_SECRET": ",".join(names[:n])})
        expect_json(w.send(secret=names[63]), 200, RECEIVED)
        equal(sum("event=secret-list" in s for s in w.log_lines()), line)


@tap.test("with no secret POST is answered 500, GET 200, and it is said once")
def no_secret_is_500():
    w = Worker(secret=None)
    expect_json(w.get(), 200, ALIVE)
    for headers in (signed(FIRST), {}, signed(FIRST, secret="")):
        expect_error(w.post(FIRST, headers), 500,
                     "Webhook secret not configured")
    expect_error(w.post(FIRST, signed(FIRST), "abc"), 500,
                 "Webhook secret not configured")
    equal(w.hook_count(), 0)


@tap.table("a secret of {} counts as none", [
    ("nothing but comments", "# abc\n\n   \n"), ("nothing", ""),
    ("one byte", "x\n"), ("seven bytes, named", "name 1234567\n")])
def empty_secret_is_none(name, text):
    w = Worker(secret=text)
    expect_json(w.get(), 200, ALIVE)
    for secret in ("", "abc", "# abc", "x", "1234567"):
        expect_error(w.send(FIRST, secret=secret), 500,
                     "Webhook secret not configured")


# ---- lengths -------------------------------------------------------------

BAD = "Bad request"
LARGE = "Payload too large"


@tap.table("a Content-Length {} is answered 400 on the socket", [
    ("that is absent", False), ("that is empty", ""), ("abc", "abc"),
    ("-1", "-1"), ("+5", "+5"), ("with a blank before", " 5"),
    ("with a blank after", "5 "), ("of hex digits", "0x10"),
    ("with an exponent", "1e3"), ("with a fraction", "5.0"),
    ("of two numbers", "5,5"), ("-0", "-0"), ("with a newline", "5\n"),
    ("of non-ASCII digits", "\u0665"), ("of -2^63", "-9223372036854775808"),
    ("of 5 kB of letters", "a" * 5000)])
def bad_length_is_400(name, length):
    before = W.hook_count()
    expect_error(W.post(FIRST, signed(FIRST), length), 400, BAD)
    equal(W.hook_count(), before)


@tap.table("a Content-Length of {} is answered 413 on the socket", [
    ("one over the limit", "8388609"), ("2^31", "2147483648"),
    ("2^32", "4294967296"), ("2^32 and a bit", str(2**32 + 100)),
    ("2^63 - 1", str(2**63 - 1)), ("2^63", str(2**63)),
    ("2^64 - 1", str(2**64 - 1)), ("2^64", str(2**64)),
    ("2^64 and the true length", str(2**64 + len(FIRST))),
    ("20 digits", "9" * 20), ("5000 digits", "9" * 5000)])
def large_length_is_413(name, length):
    before = W.hook_count()
    expect_error(W.post(FIRST, signed(FIRST), length), 413, LARGE)
    equal(W.hook_count(), before)


@tap.table("a Content-Length of {} never reaches the writer through nginx", [
    ("abc", "abc"), ("-1", "-1"), ("+5", "+5"), ("nothing", ""),
    ("20 digits", "9" * 20), ("two numbers", "5, 5")])
def odd_length_through_nginx(name, length):
    before = W.hook_count()
    answer = N.post(FIRST, signed(FIRST), length)
    assert answer.status in (400, 413), answer
    equal(W.hook_count(), before)


@tap.test("a POST without any length is answered 400 or 411 through nginx")
def missing_length_through_nginx():
    before = W.hook_count()
    answer = N.post(b"", signed(FIRST), False)
    assert answer.status in (400, 411), answer
    equal(W.hook_count(), before)


@tap.test("a chunked body is taken as any other through nginx")
def chunked_body_through_nginx():
    body = compact(issue())
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (
        body[:10], body[10:700], body[700:])) + b"0\r\n\r\n"
    headers = list(signed(body).items()) + [("Transfer-Encoding", "chunked")]
    answer = http_request(N.port, "POST", PATH, headers, chunks)
    expect_json(answer, 200, RECEIVED)


@tap.test("fewer bytes than the length says are answered 400")
def short_body_is_400():
    before = W.hook_count()
    for n in (0, 1, len(FIRST) - 1):
        answer = W.post(FIRST[:n], signed(FIRST), str(len(FIRST)))
        expect_error(answer, 400, BAD)
    equal(W.hook_count(), before)


@tap.test("the order is secret, signature's form, length, signature, JSON")
def order_of_checks():
    expect_error(W.post(FIRST, {}, "9" * 20), 401, MISSING)
    expect_error(W.post(FIRST, {SIG: "0"}, "abc"), 401, LENGTH)
    expect_error(W.post(b"{", {SIG: "0" * 64}, "9999999999"), 413, LARGE)
    expect_error(W.post(b"{", {SIG: "0" * 64}, "x"), 400, BAD)
    expect_error(W.post(b"{", {SIG: "0" * 64}, "2"), 400, BAD)
    expect_error(W.post(b"{", {SIG: "0" * 64}), 401, INVALID)


def padded(size):
    body = issue(padding="")
    bare = len(compact(body))
    body["data"]["issue"]["padding"] = "x" * (size - bare)
    body = compact(body)
    equal(len(body), size)
    return body


@tap.test("a body of exactly the limit is stored, through nginx as well")
def body_of_limit_is_stored():
    for _, via in BOTH:
        body = padded(MAX_BODY)
        expect_json(via.post(body, signed(body), timeout=LIMIT), 200, RECEIVED)
        equal(W.value("SELECT length(body) FROM webhook ORDER BY id DESC "
                      "LIMIT 1"), MAX_BODY)


@tap.test("a body over the limit is answered 413, through nginx as well")
def body_over_limit_is_413():
    before = W.hook_count()
    body = padded(MAX_BODY + 1)
    for _, via in BOTH:
        answer = via.post(body, signed(body), timeout=LIMIT)
        equal(answer.status, 413, answer)
    expect_error(W.send(body), 413, LARGE)
    equal(W.hook_count(), before)


@tap.test("--max-body moves the limit, to the byte")
def max_body_moves_limit():
    w = Worker("--max-body", "2000")
    for size, status in ((1999, 200), (2000, 200), (2001, 413)):
        body = padded(size)
        equal(w.send(body).status, status, size)
    equal(w.hook_count(), 2)


# ---- bodies that are no hooks --------------------------------------------

UNREADABLE = [
    ("an empty body", b""),
    ("a blank", b" "),
    ("half an object", b'{"action":"created"'),
    ("an object and more", b'{"action":"created"} x'),
    ("two objects", b'{}{}'),
    ("an array", b"[]"),
    ("an array of an object", b'[{"action":"created"}]'),
    ("a number", b"1"),
    ("a string", b'"created"'),
    ("null", b"null"),
    ("true", b"true"),
    ("a trailing comma", b'{"action":"created",}'),
    ("single quotes", b"{'action':'created'}"),
    ("a name without quotes", b'{action:"created"}'),
    ("a comment", b'{"action":/* x */"created"}'),
    ("a leading zero", b'{"action":"created","data":01}'),
    ("NaN", b'{"action":"created","data":NaN}'),
    ("Infinity", b'{"action":"created","data":-Infinity}'),
    ("a newline in a string", b'{"action":"crea\nted"}'),
    ("a NUL after the object", b'{"action":"created"}\0'),
    ("a NUL before the object", b'\0{"action":"created"}'),
    ("a NUL in a string", b'{"action":"crea\0ted"}'),
    ("a byte order mark", b'\xef\xbb\xbf{"action":"created"}'),
    ("UTF-16", '{"action":"created"}'.encode("utf-16")),
    ("Latin-1", '{"action":"caf\u00e9"}'.encode("latin-1")),
    ("a cut UTF-8 sequence", b'{"action":"\xf0\x9f\x98"}'),
    ("an overlong UTF-8 sequence", b'{"action":"\xc0\xaf"}'),
    ("a surrogate in UTF-8", b'{"action":"\xed\xa0\x80"}'),
    ("UTF-8 above U+10FFFF", b'{"action":"\xf4\x90\x80\x80"}'),
    ("a bad escape", b'{"action":"\\x41"}'),
    ("a short \\u escape", b'{"action":"\\u12"}'),
    ("100000 open brackets", b'{"a":' + b"[" * 100000),
    ("100000 nested arrays", b'{"a":' + b"[" * 100000 + b"]" * 100000 +
     b"}"),
    ("a form", b"payload=%7B%7D"),
    ("XML", b'<?xml version="1.0"?><hook/>'),
]


@tap.table("{} is answered 400 and kept as unreadable", UNREADABLE)
def bad_json_is_400(name, body):
    outbox = W.value("SELECT count(*) FROM outbox")
    for _, via in BOTH:
        headers = signed(body)
        expect_error(via.post(body, headers), 400, "Invalid JSON")
        row = W.rows("SELECT * FROM webhook ORDER BY id DESC LIMIT 1")[0]
        equal((row["outcome"], row["body"], row["request_id"]),
              ("unreadable", body, headers["Request-ID"]))
    equal(W.value("SELECT count(*) FROM outbox"), outbox)


@tap.test("the same unreadable delivery twice is one row, seen 2")
def unreadable_twice_is_one_row():
    headers = signed(b"[1]")
    for _ in range(2):
        expect_error(W.post(b"[1]", headers), 400, "Invalid JSON")
    rows = W.rows("SELECT seen FROM webhook WHERE request_id = ?",
                  headers["Request-ID"])
    equal([r[0] for r in rows], [2])


STRANGE = [
    ("an empty object", b"{}"),
    ("blanks around the object", b' \r\n\t{"action":"created"}\n'),
    ("data that is null", b'{"action":"created","data":null}'),
    ("data that is an array", b'{"action":"created","data":[]}'),
    ("an issue that is null", b'{"action":"created","data":{"issue":null}}'),
    ("an issue that is a string", b'{"action":"created","data":'
     b'{"issue":"x"}}'),
    ("an issue of nothing", b'{"action":"created","data":{"issue":{}}}'),
    ("an issue whose members are all objects", b'{"action":"created",'
     b'"data":{"issue":{"id":{},"title":{},"project":[],"metadata":{"type":'
     b'[]},"assignedTo":{},"lastSeen":{},"count":{},"userCount":[]}}}'),
    ("an action that is a number", b'{"action":7,"data":{"issue":{}}}'),
    ("an action of 100 kB", b'{"action":"' + b"a" * 100000 + b'"}'),
    ("an installation that is a string", b'{"installation":"x"}'),
    ("members given twice", b'{"action":"x","action":"created","data":{},'
     b'"data":{"issue":{"id":"1"}}}'),
    ("lone surrogates", b'{"action":"created","data":{"issue":{"id":"2",'
     b'"title":"\\ud800x\\udc00"}}}'),
    ("an escaped NUL", b'{"action":"created","data":{"issue":{"id":"3",'
     b'"title":"a\\u0000b"}}}'),
    ("a number beyond 64 bits", b'{"action":"created","data":{"issue":'
     b'{"id":123456789012345678901234567890}}}'),
    ("depth 90", b'{"action":"created","data":' + b"[" * 88 + b"]" * 88 +
     b"}"),
]


@tap.table("{} is answered 200 and kept", STRANGE)
def odd_json_is_200(name, body):
    for _, via in BOTH:
        before = W.hook_count()
        expect_json(via.post(body, signed(body)), 200, RECEIVED)
        assert W.hook_count() in (before, before + 1)
        equal(W.value("SELECT count(*) FROM webhook WHERE body = ?", body)
              > 0, True)


# ---- the log -------------------------------------------------------------

L = Worker()


def logged(count, send):
    """The lines that send() adds, which must be count, each logfmt."""
    before = len(L.log_lines())
    send()
    until(lambda: len(L.log_lines()) >= before + count, L.log()[-3000:])
    lines = L.log_lines()[before:]
    equal(len(lines), count, lines)
    for line in lines:
        logfmt(line)
    return lines


@tap.test("each hook is one logfmt line, whatever became of it")
def log_line_of_hook():
    def send():
        for body, headers, length in (
                (FIRST, signed(FIRST), None), (FIRST, signed(FIRST), None),
                (b"[]", signed(b"[]"), None), (FIRST, {}, None),
                (FIRST, {SIG: "0"}, None), (FIRST, {SIG: "0" * 64}, None),
                (FIRST, signed(FIRST), "abc"),
                (FIRST, signed(FIRST), "9" * 20),
                (FIRST[:9], signed(FIRST), "999")):
            L.post(body, headers, length)
    logged(9, send)


@tap.test("every line of the log is logfmt, from the first")
def log_is_logfmt():
    for worker in (L, W):
        for line in worker.log_lines():
            logfmt(line)


@tap.test("no secret, body, e-mail or signature stands in the log")
def log_holds_no_secret():
    bodies = [("issue", issue("assigned", assignedTo={
        "type": "user", "id": "9", "name": "Zoe Person",
        "email": "person@example.com"})),
        ("error", error()), ("event_alert", event_alert()),
        ("installation", installation()), ("comment", comment())]
    for resource, body in bodies:
        raw = compact(body)
        L.send(raw, resource)
        L.post(raw + b" ", signed(raw, resource))
        L.post(raw[:-1], signed(raw[:-1], resource))
    for worker in (L, W):
        log = worker.log()
        for word in (*PRIVATE, "Zoe Person", GOOD[:16], GOOD[:16].upper()):
            assert word not in log, word


HOSTILE = [
    ("a newline", "a\nlevel=error forged=1"),
    ("a carriage return", "a\rforged=1"),
    ("quotes", 'a" forged=1 b="'),
    ("a backslash at the end", 'a\\'),
    ("backslashes and quotes", '\\" forged=1 \\\\"'),
    ("an escape sequence", "\x1b[31m\x1b]0;title\x07"),
    ("all control bytes", "".join(map(chr, range(1, 32))) + "\x7f"),
    ("C1 control characters", "\u0080\u0085\u009b31m"),
    ("line separators", "a\u2028forged=1\u2029"),
    ("bytes that are no UTF-8", b"\xff\xfe\x80 forged=1"),
    ("an equals sign", "a=b c=d"),
    ("10 kB", "A" * 10000),
    ("10 kB of newlines", "\n" * 10000),
    ("format characters", "%s%n%p%100000d"),
    ("a NUL", "a\0forged=1"),
]


@tap.table("a header with {} is one harmless line", HOSTILE)
def odd_header_in_log(name, value):
    def send():
        for header in ("Request-ID", "Sentry-Hook-Resource", SIG,
                       "Sentry-Hook-Timestamp", "Idempotency-Key",
                       "User-Agent"):
            raw = compact(issue())
            headers = signed(raw)
            headers[header] = value
            answer = L.post(raw, headers)
            equal(answer.status, 401 if header == SIG else 200, header)
    for line in logged(6, send):
        harmless(line)


def harmless(line):
    pairs = logfmt(line)
    assert "forged" not in pairs, line
    assert len(line) < 4096, len(line)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029]", line), line


@tap.table("a body with {} in its names is one harmless line", HOSTILE[:9])
def odd_body_in_log(name, value):
    def send():
        for body in (issue(value), issue(installation=value),
                     issue(slug=value, project=value),
                     issue(id=value + str(unique()))):
            equal(L.send(body).status, 200)
    for line in logged(4, send):
        harmless(line)


@tap.test("the metrics are still Prometheus text after all that")
def metrics_after_odd_hooks():
    for worker in (L, W):
        metrics(worker)


tap.run()
