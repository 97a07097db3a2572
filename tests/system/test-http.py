#!/usr/bin/env python3
"""Every answer of the worker, through nginx and straight on the socket, and
what each hook leaves in the database and in the log."""
import hashlib
import json
import os
import re
import sys
import time

sys.dont_write_bytecode = True
import harness as h
from harness import equal, shell_ok, signed, until

h.need_program()
tap = h.Tap()
W = h.Worker()
N = h.Nginx(W.socket)
BOTH = (("through nginx", N), ("on the socket", W))
FIRST = h.compact(h.issue())


def said(answer, status, body):
    """The whole answer: status, bytes, and the three headers."""
    if not isinstance(body, bytes):
        body = h.compact(body)
    equal((answer.status, answer.body), (status, body), answer)
    headers = answer.headers
    equal(headers.get("content-type"), "application/json", answer)
    equal(headers.get("content-length"), str(len(body)), answer)
    equal(headers.get("cache-control"), "no-store", answer)
    equal(answer.error, b"", "FastCGI's error channel")


def refused(answer, status, text):
    said(answer, status, {"error": text})


def webhooks(worker=W):
    return worker.value("SELECT count(*) FROM webhook")


# ---- GET -----------------------------------------------------------------

ALIVE = b'{"status":"ok","service":"sentry-webhooks"}'


@tap.table("GET is answered {}", BOTH)
def get_answers(where, via):
    said(via.get(), 200, ALIVE)


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
    answer = via.get(h.PATH + "/ready")
    assert answer.body.endswith(b"}\n"), "no line end after it"
    said(answer, 200, answer.body)
    told = json.loads(answer.body)
    for word in ("database", "spool", "writer", "backlog"):
        assert word in answer.body.decode(), (word, told)


@tap.test("/ready may stand in PATH_INFO, and may be cut in two")
def ready_in_path_info():
    for script, info in ((h.PATH, "/ready"), (h.PATH + "/", "ready"),
                         ("", "/x/ready")):
        answer = h.fcgi(W.socket, h.params("GET", script,
                                           {"PATH_INFO": info}))
        equal(answer.status, 200)
        assert b"writer" in answer.body, (script, info, answer)


@tap.test("/ready says when the last hook came, before and after a restart")
def ready_knows_the_last_hook():
    def last():
        return json.loads(w.get(h.PATH + "/ready").body)["last_hook"]
    w = h.Worker()
    equal(last(), None)
    body = h.compact(h.issue())
    equal(w.post(body, signed(body)).status, 200)
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
        said(W.get(path), 200, ALIVE)


def metrics(via=W):
    """The text as {series: value}; asserts that it is text 0.0.4."""
    answer = via.get(h.PATH + "/metrics")
    equal(answer.status, 200)
    assert re.fullmatch(r"text/plain; ?version=0\.0\.4(; ?charset=utf-8)?",
                        answer.headers["content-type"]), answer.headers
    equal(answer.headers.get("cache-control"), "no-store")
    text = answer.body.decode()
    assert text.endswith("\n")
    types, series = {}, {}
    for line in text[:-1].split("\n"):
        meta = re.fullmatch(r"# (HELP|TYPE) ([a-z_:][a-z0-9_:]*) (.*)", line)
        if meta and meta[1] == "TYPE":
            assert meta[2] not in types, line
            assert not any(s.startswith(meta[2]) and
                           re.match(meta[2] + r"[{ ]", s) for s in series)
            assert meta[3] in ("counter", "gauge", "histogram", "summary",
                               "untyped"), line
            types[meta[2]] = meta[3]
        if meta or line.startswith("#"):
            continue
        sample = re.fullmatch(
            r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_]\w*="'
            r'(?:[^"\\\n]|\\[\\n"])*",?)*\})? '
            r"(-?[0-9.]+(?:e[-+]?\d+)?|\+Inf|-Inf|NaN)", line)
        assert sample, f"no sample: {line!r}"
        name = sample[1] + (sample[2] or "")
        assert name not in series, f"{name} twice"
        base = re.sub(r"_(bucket|sum|count)$", "", sample[1])
        assert sample[1] in types or base in types, f"no TYPE: {line}"
        series[name] = float(sample[3])
    assert series and "counter" in types.values()
    return series, types


@tap.table("GET .../metrics is Prometheus text {}", BOTH)
def metrics_are_prometheus_text(where, via):
    metrics(via)


@tap.test("counters of the metrics only grow, and a hook makes one grow")
def counters_only_grow():
    before, types = metrics()
    W.post(FIRST, signed(FIRST))
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
    said(answer, 405, answer.body)
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
    not_allowed(h.fcgi(W.socket, {"SCRIPT_NAME": h.PATH}))


# ---- signatures ----------------------------------------------------------

MISSING = "Missing sentry-hook-signature header"
LENGTH = "Signature length mismatch"
INVALID = "Invalid signature"
SIG = "Sentry-Hook-Signature"
GOOD = h.sign(FIRST)

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
    ("another secret", h.sign(FIRST, "another"), INVALID),
    ("an empty secret", h.sign(FIRST, ""), INVALID),
    ("the secret with a newline", h.sign(FIRST, h.SECRET + "\n"), INVALID),
    ("the secret in upper case", h.sign(FIRST, h.SECRET.upper()), INVALID),
    ("other bytes", h.sign(FIRST + b"\n"), INVALID),
    ("the bytes of another hook", h.sign(FIRST[:-1]), INVALID),
]


@tap.table("{} is answered 401 and leaves no row", BAD_SIGNATURES)
def bad_signature_is_401(name, signature, text):
    before = webhooks()
    headers = signed(FIRST)
    headers.pop(SIG)
    if signature is not None:
        headers[SIG] = signature
    for _, via in BOTH:
        refused(via.post(FIRST, headers), 401, text)
    equal(webhooks(), before)


@tap.test("a signature with a blank after it is answered 401 on the socket")
def signature_with_blank_is_401():
    for blank in (" ", "\n", "\t", "\r"):
        headers = signed(FIRST)
        headers[SIG] += blank
        refused(W.post(FIRST, headers), 401, LENGTH)


@tap.test("every flipped byte of a body is answered 401")
def flipped_byte_is_401():
    before = webhooks()
    headers = signed(FIRST)
    for at in range(0, len(FIRST), 97):
        body = bytearray(FIRST)
        body[at] ^= 1
        refused(W.post(bytes(body), headers), 401, INVALID)
    equal(webhooks(), before)


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
        before = webhooks()
        body = h.compact(h.issue())
        headers = signed(body)
        headers.pop(SIG)
        headers.update(make(h.sign(body)))
        said(via.post(body, headers), 200, h.RECEIVED)
        equal(webhooks(), before + 1)


@tap.test("a wrong Hook-Signature is not saved by a good App-Signature")
def hook_signature_has_precedence():
    headers = signed(FIRST)
    headers["Sentry-App-Signature"] = headers[SIG]
    headers[SIG] = "0" * 64
    for _, via in BOTH:
        refused(via.post(FIRST, headers), 401, INVALID)


@tap.test("each of several secrets is good, and is named in the row")
def several_secrets():
    w = h.Worker(secret="# a comment\n\nold  oldsecret\nnew\tnewsecret\n"
                 "  bare0secret  \n# hidden hidesecret")
    names = []
    for secret in ("oldsecret", "newsecret", "bare0secret"):
        body = h.compact(h.issue())
        said(w.post(body, signed(body, secret=secret)), 200, h.RECEIVED)
        names.append(w.value("SELECT secret_name FROM webhook "
                             "ORDER BY id DESC LIMIT 1"))
    equal(names[:2], ["old", "new"])
    assert "bare0secret" not in str(names[2])
    for secret in ("hidesecret", "old", "new", "# hidden", "hidden",
                   "old  oldsecret", "bare0secret  ", ""):
        refused(w.post(FIRST, signed(FIRST, secret=secret)), 401, INVALID)


@tap.test("SENTRY_CLIENT_SECRET holds several, by blanks and commas")
def secrets_from_environment():
    w = h.Worker(secret=None, env={
        "SENTRY_CLIENT_SECRET": " first---,second-- third---\n\tfourth--,, "})
    for secret in ("first---", "second--", "third---", "fourth--"):
        body = h.compact(h.issue())
        said(w.post(body, signed(body, secret=secret)), 200, h.RECEIVED)
    for secret in ("first---,second--", "", ",", "fourth--,", "fifth---"):
        refused(w.post(FIRST, signed(FIRST, secret=secret)), 401, INVALID)


@tap.test("64 secrets are good, and it is said when there are more")
def at_most_64_secrets():
    names = [f"secret{n:03}" for n in range(65)]
    for n, line in ((64, 0), (65, 1)):
        w = h.Worker(secret=None, env={
            "SENTRY_CLIENT_SECRET": ",".join(names[:n])})
        body = h.compact(h.issue())
        said(w.post(body, signed(body, secret=names[63])), 200, h.RECEIVED)
        equal(sum("event=secret-list" in s for s in w.log_lines()), line)


@tap.test("with no secret POST is answered 500, GET 200, and it is said once")
def no_secret_is_500():
    w = h.Worker(secret=None)
    said(w.get(), 200, ALIVE)
    for headers in (signed(FIRST), {}, signed(FIRST, secret="")):
        refused(w.post(FIRST, headers), 500, "Webhook secret not configured")
    refused(w.post(FIRST, signed(FIRST), "abc"), 500,
            "Webhook secret not configured")
    equal(webhooks(w), 0)


@tap.table("a secret of {} counts as none", [
    ("nothing but comments", "# abc\n\n   \n"), ("nothing", ""),
    ("one byte", "x\n"), ("seven bytes, named", "name 1234567\n")])
def empty_secret_is_none(name, text):
    w = h.Worker(secret=text)
    said(w.get(), 200, ALIVE)
    for secret in ("", "abc", "# abc", "x", "1234567"):
        refused(w.post(FIRST, signed(FIRST, secret=secret)), 500,
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
    before = webhooks()
    refused(W.post(FIRST, signed(FIRST), length), 400, BAD)
    equal(webhooks(), before)


@tap.table("a Content-Length of {} is answered 413 on the socket", [
    ("one over the limit", "8388609"), ("2^31", "2147483648"),
    ("2^32", "4294967296"), ("2^32 and a bit", str(2**32 + 100)),
    ("2^63 - 1", str(2**63 - 1)), ("2^63", str(2**63)),
    ("2^64 - 1", str(2**64 - 1)), ("2^64", str(2**64)),
    ("2^64 and the true length", str(2**64 + len(FIRST))),
    ("20 digits", "9" * 20), ("5000 digits", "9" * 5000)])
def large_length_is_413(name, length):
    before = webhooks()
    refused(W.post(FIRST, signed(FIRST), length), 413, LARGE)
    equal(webhooks(), before)


@tap.table("a Content-Length of {} never reaches the writer through nginx", [
    ("abc", "abc"), ("-1", "-1"), ("+5", "+5"), ("nothing", ""),
    ("20 digits", "9" * 20), ("two numbers", "5, 5")])
def odd_length_through_nginx(name, length):
    before = webhooks()
    answer = N.post(FIRST, signed(FIRST), length)
    assert answer.status in (400, 413), answer
    equal(webhooks(), before)


@tap.test("a POST without any length is answered 400 or 411 through nginx")
def missing_length_through_nginx():
    before = webhooks()
    answer = N.post(b"", signed(FIRST), False)
    assert answer.status in (400, 411), answer
    equal(webhooks(), before)


@tap.test("a chunked body is judged as any other through nginx")
def chunked_body_through_nginx():
    body = h.compact(h.issue())
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (
        body[:10], body[10:700], body[700:])) + b"0\r\n\r\n"
    headers = list(signed(body).items()) + [("Transfer-Encoding", "chunked")]
    said(h.http(N.port, "POST", h.PATH, headers, chunks), 200, h.RECEIVED)


@tap.test("fewer bytes than the length says are answered 400")
def short_body_is_400():
    before = webhooks()
    for n in (0, 1, len(FIRST) - 1):
        refused(W.post(FIRST[:n], signed(FIRST), str(len(FIRST))), 400, BAD)
    equal(webhooks(), before)


@tap.test("the order is secret, signature's form, length, signature, JSON")
def order_of_checks():
    refused(W.post(FIRST, {}, "9" * 20), 401, MISSING)
    refused(W.post(FIRST, {SIG: "0"}, "abc"), 401, LENGTH)
    refused(W.post(b"{", {SIG: "0" * 64}, "9999999999"), 413, LARGE)
    refused(W.post(b"{", {SIG: "0" * 64}, "x"), 400, BAD)
    refused(W.post(b"{", {SIG: "0" * 64}, "2"), 400, BAD)
    refused(W.post(b"{", {SIG: "0" * 64}), 401, INVALID)


def padded(size):
    body = h.issue(padding="")
    bare = len(h.compact(body))
    body["data"]["issue"]["padding"] = "x" * (size - bare)
    body = h.compact(body)
    equal(len(body), size)
    return body


@tap.test("a body of exactly the limit is stored, through nginx as well")
def body_of_limit_is_stored():
    for _, via in BOTH:
        body = padded(h.MAX_BODY)
        said(via.post(body, signed(body), timeout=h.LIMIT), 200,
             h.RECEIVED)
        equal(W.value("SELECT length(body) FROM webhook ORDER BY id DESC "
                      "LIMIT 1"), h.MAX_BODY)


@tap.test("a body over the limit is answered 413, through nginx as well")
def body_over_limit_is_413():
    before = webhooks()
    body = padded(h.MAX_BODY + 1)
    for _, via in BOTH:
        answer = via.post(body, signed(body), timeout=h.LIMIT)
        equal(answer.status, 413, answer)
    refused(W.post(body, signed(body)), 413, LARGE)
    equal(webhooks(), before)


@tap.test("--max-body moves the limit, to the byte")
def max_body_moves_limit():
    w = h.Worker("--max-body", "2000")
    for size, status in ((1999, 200), (2000, 200), (2001, 413)):
        body = padded(size)
        equal(w.post(body, signed(body)).status, status, size)
    equal(webhooks(w), 2)


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
        refused(via.post(body, headers), 400, "Invalid JSON")
        row = W.rows("SELECT * FROM webhook ORDER BY id DESC LIMIT 1")[0]
        equal((row["outcome"], row["body"], row["request_id"]),
              ("unreadable", body, headers["Request-ID"]))
    equal(W.value("SELECT count(*) FROM outbox"), outbox)


@tap.test("the same unreadable delivery twice is one row, seen 2")
def unreadable_twice_is_one_row():
    headers = signed(b"[1]")
    for _ in range(2):
        refused(W.post(b"[1]", headers), 400, "Invalid JSON")
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
        before = webhooks()
        said(via.post(body, signed(body)), 200, h.RECEIVED)
        assert webhooks() in (before, before + 1)
        equal(W.value("SELECT count(*) FROM webhook WHERE body = ?", body)
              > 0, True)


# ---- what is stored ------------------------------------------------------

S = h.Worker()              # a database with a map, for rows
h.map_everything(S.db, "ws_rows")


def store(body, worker=S, resource="issue", expect=200, **headers):
    """Sends a hook; gives its webhook row and its outbox row, or None."""
    raw = body if isinstance(body, bytes) else h.compact(body)
    sent = signed(raw, resource, **headers)
    equal(worker.post(raw, sent).status, expect)
    hook = worker.rows("SELECT * FROM webhook WHERE body = ? "
                       "ORDER BY id DESC LIMIT 1", raw)[0]
    out = worker.rows("SELECT * FROM outbox WHERE webhook_id = ?",
                      hook["id"])
    assert len(out) <= 1
    return hook, out[0] if out else None


def key(text):
    """The 16 bytes that a dedupe key becomes."""
    return hashlib.sha256(text.encode()).digest()[:16]


@tap.test("an issue.created leaves the webhook row of section 3")
def webhook_row_of_issue():
    body = h.issue()
    raw = h.compact(body)
    headers = signed(raw)
    start = time.time() * 1000
    said(S.post(raw, headers), 200, h.RECEIVED)
    row = S.rows("SELECT * FROM webhook ORDER BY id DESC LIMIT 1")[0]
    equal(set(row.keys()) - {"id"}, {
        "received_at", "resource", "action", "installation", "request_id",
        "idempotency_key", "hook_timestamp", "secret_name", "dedupe_key",
        "outcome", "seen", "body"})
    assert start - 1000 <= row["received_at"] <= time.time() * 1000 + 1000
    equal((row["resource"], row["action"], row["installation"]),
          ("issue", "created", h.INSTALLATION))
    equal((row["request_id"], row["idempotency_key"]),
          (headers["Request-ID"], None))
    assert str(row["hook_timestamp"]).startswith(
        headers["Sentry-Hook-Timestamp"])
    equal((row["outcome"], row["seen"], row["body"]), ("observed", 1, raw))
    id = body["data"]["issue"]["id"]
    equal(row["dedupe_key"], key(f"{h.INSTALLATION}:issue:created:{id}"))


@tap.test("an issue.created leaves the outbox row of section 3")
def outbox_row_of_issue():
    body = h.issue()
    issue = body["data"]["issue"]
    hook, row = store(body)
    equal(set(row.keys()), {
        "id", "webhook_id", "event_id", "created_at", "workspace_id",
        "store_id", "source_type", "source_id", "title", "occurred_at",
        "project_id", "project_slug", "issue_id", "short_id", "level",
        "release", "environment", "source_event", "state", "attempts",
        "due_at", "last_error", "delivered_at", "sink", "sink_seq"})
    want = {
        "workspace_id": "ws_rows", "store_id": "default",
        "source_type": "issue.created", "source_id": f"issue:{issue['id']}",
        "title": "🔴 [New Issue] ValueError: the café is closed",
        "occurred_at": issue["lastSeen"], "short_id": issue["shortId"],
        "project_id": issue["project"]["id"], "project_slug": "shop",
        "issue_id": issue["id"], "level": "error", "release": None,
        "environment": None, "state": "pending", "attempts": 0,
        "last_error": None, "delivered_at": None, "sink": None,
        "sink_seq": None}
    equal({k: row[k] for k in want}, want)
    assert isinstance(row["due_at"], int)
    assert abs(row["created_at"] - hook["received_at"]) < 60000
    equal(row["event_id"], "sentry-" + hook["dedupe_key"].hex())


@tap.test("an issue's source event is written as JavaScript writes it")
def source_event_of_issue():
    body = h.issue()
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
    body = h.event_alert()
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
    w = h.Worker()
    body = h.error()
    equal(store(body, resource="error")[1]["event_id"],
          store(body, w, "error")[1]["event_id"])


OTHERS = [
    ("issue.unresolved", "issue", h.issue("unresolved")),
    ("issue.ignored", "issue", h.issue("ignored")),
    ("issue.archived", "issue", h.issue("archived")),
    ("issue without an action", "issue", h.issue(None)),
    ("comment.created", "comment", h.comment()),
    ("installation.created", "installation", h.installation()),
    ("seer.coding_started", "seer", h.envelope(
        "coding_started", {"run_id": 12, "group_id": 34})),
    ("preprod_artifact", "preprod_artifact", h.envelope(
        "size_analysis_completed", {"buildId": "9"})),
    ("an unknown resource", "size_analysis", h.envelope("x", {"y": 1})),
]


@tap.table("{} is stored as ignored and leaves no outbox row", OTHERS)
def ignored_hook(name, resource, body):
    hook, row = store(body, resource=resource)
    equal((hook["outcome"], hook["resource"], row),
          ("ignored", resource, None))


@tap.test("a hook without an installation is led by an empty one")
def hook_without_installation():
    body = h.issue(installation=None)
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
        raw = h.compact(body)
        said(worker.post(raw, signed(raw, resource, **more)), 200,
             h.RECEIVED)
    after = worker.rows("SELECT (SELECT count(*) FROM webhook), (SELECT "
                        "count(*) FROM outbox), (SELECT sum(seen) FROM "
                        "webhook)")[0]
    return tuple(a - b for a, b in zip(after, before))


def again(body, resource, times=2, **headers):
    return [(body, resource, headers)] * times


@tap.test("the same delivery twice is one row, seen 2")
def delivery_twice_is_one_row():
    body = h.issue("resolved")
    equal(distinct(*again(body, "issue", request_id="a" * 32)), (1, 1, 2))
    hook = S.rows("SELECT seen, outcome FROM webhook ORDER BY id DESC "
                  "LIMIT 1")[0]
    equal(tuple(hook), (2, "observed"))


@tap.test("resolve, regress, resolve are three observations")
def resolve_regress_resolve():
    id = h.unique()
    resolved, back = h.issue("resolved", id), h.issue("unresolved", id)
    equal(distinct((resolved, "issue", {}), (back, "issue", {}),
                   (resolved, "issue", {})), (3, 2, 3))


@tap.test("assigned twice with the same body is two observations")
def assigned_twice():
    equal(distinct(*again(h.issue("assigned"), "issue")), (2, 2, 2))


@tap.test("Idempotency-Key wins over Request-ID and over the body")
def idempotency_key_wins():
    id = h.unique()
    key = os.urandom(16).hex()
    equal(distinct(
        (h.issue("resolved", id), "issue", {"idempotency_key": key}),
        (h.issue("resolved", id, count="9"), "issue",
         {"idempotency_key": key}),
        (h.issue("resolved", id), "issue",
         {"idempotency_key": key.upper()})), (1, 1, 3))
    body = h.error()
    equal(distinct((body, "error", {"idempotency_key": "1" * 32}),
                   (body, "error", {"idempotency_key": "2" * 32})),
          (2, 2, 2))


@tap.test("one Idempotency-Key under two installations is two rows")
def idempotency_key_per_installation():
    other = "00000000-a9e2-4c85-8a3c-4f44175783c9"
    equal(distinct(
        (h.issue("resolved"), "issue", {"idempotency_key": "3" * 32}),
        (h.issue("resolved", installation=other), "issue",
         {"idempotency_key": "3" * 32})), (2, 2, 2))


@tap.table("an Idempotency-Key {} is none", [
    ("of 31 digits", "a" * 31), ("of 33 digits", "a" * 33),
    ("that is no hex", "g" * 32), ("that is empty", ""),
    ("with a blank within", "a" * 16 + " " + "b" * 15)])
def bad_idempotency_key(name, key):
    body = h.error()
    equal(distinct((body, "error", {"idempotency_key": key}),
                   (body, "error", {})), (1, 1, 2))


NATURAL = [
    ("an error twice, by its event id", 1, lambda i: [
        (h.error(id="%032x" % i), "error", {}),
        (h.error(id="%032x" % i, level="fatal"), "error", {})]),
    ("two errors of one issue", 2, lambda i: [
        (h.error(issue_id=i), "error", {}),
        (h.error(issue_id=i), "error", {})]),
    ("one event in two projects", 2, lambda i: [
        (h.error(id="%032x" % i, project=1), "error", {}),
        (h.error(id="%032x" % i, project=2), "error", {})]),
    ("one event by two rules", 2, lambda i: [
        (h.event_alert("a", id="%032x" % i, issue_id=i), "event_alert", {}),
        (h.event_alert("b", id="%032x" % i, issue_id=i), "event_alert", {})]),
    ("one event by one rule twice", 1, lambda i: [
        (h.event_alert("a", id="%032x" % i, issue_id=i), "event_alert", {}),
        (h.event_alert("a", id="%032x" % i, issue_id=i), "event_alert", {})]),
    ("one event by one rule, of two issues", 2, lambda i: [
        (h.event_alert("a", id="%032x" % i), "event_alert", {}),
        (h.event_alert("a", id="%032x" % i), "event_alert", {})]),
    ("one event as error and as alert", 2, lambda i: [
        (h.error(id="%032x" % i), "error", {}),
        (h.event_alert(id="%032x" % i), "event_alert", {})]),
    ("issue.created twice with another count", 1, lambda i: [
        (h.issue("created", i), "issue", {}),
        (h.issue("created", i, count="8"), "issue", {})]),
    ("a comment created and deleted", 2, lambda i: [
        (h.comment("created", i), "comment", {}),
        (h.comment("deleted", i), "comment", {})]),
    ("a comment updated at two times", 2, lambda i: [
        (h.comment("updated", i), "comment", {}),
        (h.comment("updated", i, timestamp="2026-01-11T00:00:00Z"),
         "comment", {})]),
    ("a comment updated once, sent twice", 1, lambda i: [
        (h.comment("updated", i, issue_id=i), "comment", {}),
        (h.comment("updated", i, issue_id=i), "comment", {})]),
    ("a comment edited twice, both of its creation's time", 2, lambda i: [
        (h.comment("updated", i, issue_id=i, comment=c), "comment", {})
        for c in ("cause: cache", "cause: stale cache")]),
    ("a metric alert critical and resolved", 2, lambda i: [
        (h.metric_alert("critical", i), "metric_alert", {}),
        (h.metric_alert("resolved", i), "metric_alert", {})]),
    ("a metric alert critical twice", 1, lambda i: [
        (h.metric_alert("critical", i), "metric_alert", {}),
        (h.metric_alert("critical", i), "metric_alert", {})]),
    ("a metric alert critical, warning, critical again", 3, lambda i: [
        (h.metric_alert(action, i, status=status), "metric_alert", {})
        for action, status in (("critical", 20), ("warning", 10),
                               ("critical", 21))]),
    ("a run of Seer in two iterations", 2, lambda i: [
        (h.envelope("iteration_completed", {
            "run_id": i, "iteration_index": n}), "seer", {})
        for n in (1, 2)]),
    ("a build with two sizes", 2, lambda i: [
        (h.envelope("size_analysis_completed", {
            "buildId": str(i), "downloadSize": n}), "preprod_artifact", {})
        for n in (1, 2)]),
    ("one alert about two activities", 2, lambda i: [
        (h.envelope("triggered", {"alert": {"id": i}, "activity": {
            "type": t}}), "activity_alert", {})
        for t in ("status_resolved", "status_regression")]),
    ("a metric alert critical with a newer date", 2, lambda i: [
        (h.metric_alert("critical", i), "metric_alert", {}),
        (h.metric_alert("critical", i, date_started=
                        "2026-02-01T00:00:00Z"), "metric_alert", {})]),
    ("an installation created and deleted", 2, lambda i: [
        (h.installation("created", f"u-{i}"), "installation", {}),
        (h.installation("deleted", f"u-{i}"), "installation", {})]),
    ("an installation created twice", 1, lambda i: [
        (h.installation("created", f"u-{i}"), "installation", {}),
        (h.installation("created", f"u-{i}"), "installation", {})]),
    ("an unknown hook with one Request-ID", 1, lambda i: again(
        h.envelope("x", {"y": i}), "later", request_id="%032x" % i)),
    ("an unknown hook with two Request-IDs", 2, lambda i: again(
        h.envelope("x", {"y": i}), "later")),
    ("an unknown hook without Request-ID, at two times", 2, lambda i: [
        (h.envelope("x", {"y": i}), "later", {
            "request_id": None, "sentry_hook_timestamp": t})
        for t in ("1768078560", "1768078561")]),
    ("an unknown hook without Request-ID, twice", 1, lambda i: again(
        h.envelope("x", {"y": i}), "later", request_id=None,
        sentry_hook_timestamp="1768078560")),
]


@tap.table("dedupe: {}", NATURAL)
def dedupe(name, want, make):
    deliveries = make(h.unique())
    got = distinct(*deliveries)
    equal((got[0], got[2]), (want, len(deliveries)), name)


@tap.table("a captured {} under another resource header does not double", [
    ("issue.created", "issue", h.issue()),
    ("error.created", "error", h.error()),
    ("event_alert.triggered", "event_alert", h.event_alert()),
    ("metric_alert.critical", "metric_alert", h.metric_alert()),
    ("comment.created", "comment", h.comment()),
    ("installation.created", "installation", h.installation())])
def replay_under_other_resource(name, resource, body):
    others = [r for r in ("issue", "error", "event_alert", "comment",
                          "metric_alert", "installation", "seer",
                          "activity_alert") if r != resource]
    got = distinct(*((body, r, {}) for r in [resource] + others))
    equal((got[0], got[2]), (1, 1 + len(others)), got)


# ---- which resource, which are observed ----------------------------------

@tap.table("a body of {} under another header is taken for what it is", [
    ("an issue", "error", "issue", "created", h.issue()),
    ("an error", "issue", "error", "created", h.error()),
    ("an event_alert", "issue", "event_alert", "triggered",
     h.event_alert()),
    ("a metric_alert", "comment", "metric_alert", "critical",
     h.metric_alert()),
    ("an issue without header", None, "issue", "created", h.issue()),
    ("an issue under an empty header", "", "issue", "created", h.issue()),
])
def body_under_other_resource(name, header, resource, action, body):
    raw = h.compact(body)
    headers = signed(raw, "x")
    headers.pop("Sentry-Hook-Resource")
    if header is not None:
        headers["Sentry-Hook-Resource"] = header
    before = len(S.log_lines())
    said(S.post(raw, headers), 200, h.RECEIVED)
    row = S.rows("SELECT w.resource, w.outcome, o.source_type FROM webhook w"
                 " JOIN outbox o ON o.webhook_id = w.id WHERE w.body = ?",
                 raw)[0]
    equal(tuple(row), (resource, "observed", f"{resource}.{action}"))
    until(lambda: len(S.log_lines()) > before, why="nothing was logged")


@tap.table("a resource header {} is no resource", [
    ("of 5 kB", "r" * 5000), ("with control bytes", "issue\n\x1b[31m"),
    ("with quotes", "is'sue\";--"), ("of UTF-8", "issue\u00e9")])
def bad_resource_header(name, header):
    raw = h.compact(h.issue())
    said(S.post(raw, signed(raw, header)), 200, h.RECEIVED)
    row = S.rows("SELECT * FROM webhook WHERE body = ?", raw)[0]
    equal((row["resource"], row["outcome"]), ("issue", "observed"))


SENT = {
    "issue.created": ("issue", h.issue),
    "issue.ignored": ("issue", lambda: h.issue("ignored")),
    "error.created": ("error", h.error),
    "event_alert.triggered": ("event_alert", h.event_alert),
    "metric_alert.warning": ("metric_alert",
                             lambda: h.metric_alert("warning")),
    "comment.created": ("comment", h.comment),
    "installation.created": ("installation", h.installation),
    "later.x": ("later", lambda: h.envelope("x", {"y": 1})),
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
        w = h.Worker(*(["--observe", value] if value and how == "option"
                       else []),
                     env={"SENTRY_WEBHOOKS_OBSERVE": value}
                     if value and how == "environment" else None)
        for resource, make in SENT.values():
            raw = h.compact(make())
            said(w.post(raw, signed(raw, resource)), 200, h.RECEIVED)
        # A slow machine may have spooled one.
        until(lambda: webhooks(w) == len(SENT), "a hook is missing")
        got = {f"{r[0]}.{r[1]}" for r in w.rows(
            "SELECT resource, action FROM webhook WHERE "
            "outcome = 'observed'")}
        equal(got, want, how)
        equal({r[0] for r in w.rows("SELECT source_type FROM outbox")},
              want, how)
        w.stop()


# ---- the map -------------------------------------------------------------

M = h.Worker()


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
    _, row = store(body or h.issue(), M, resource)
    equal(row["state"], "pending" if row["workspace_id"] else "unmapped")
    return row["workspace_id"]


I, P, O = h.INSTALLATION, "4509877862268928", "11111111-2222"
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
    equal(workspace(h.error(), "error"), "number")
    remap((None, None, "shop", "slug"))
    equal(workspace(h.error(), "error"), "slug")
    equal(workspace(h.metric_alert(), "metric_alert"), "slug")


@tap.test("a store of one's own goes into the outbox row")
def store_of_workspace():
    shell_ok(M.db, "DELETE FROM workspace_map; INSERT INTO workspace_map "
             "(workspace_id, store_id, note) VALUES ('w', 'cold', 'n')")
    _, row = store(h.issue(), M)
    equal((row["workspace_id"], row["store_id"]), ("w", "cold"))


NEVER = [
    ("an empty workspace_id", "workspace_id", ""),
    ("a blank workspace_id", "workspace_id", " "),
    ("an empty installation", "installation", ""),
    ("an installation with a blank", "installation", " " + I),
    ("an empty project_id", "project_id", ""),
    ("a project_id of letters", "project_id", "shop"),
    ("a project_id with a letter", "project_id", "12a"),
    ("a negative project_id", "project_id", "-1"),
    ("a project_id with a fraction", "project_id", "1.5"),
    ("a project_id with a blank", "project_id", " 12"),
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
    done = h.shell(M.db, f"INSERT INTO workspace_map ({columns}) "
                   f"VALUES ({values})")
    assert done.returncode != 0 and done.stderr.strip(), done
    equal(M.value("SELECT count(*) FROM workspace_map"), 0)
    shell_ok(M.db, "INSERT INTO workspace_map (workspace_id) VALUES ('w')")
    done = h.shell(M.db, f"UPDATE workspace_map SET {column} = '{value}'")
    assert done.returncode != 0 and done.stderr.strip(), done
    equal(M.value("SELECT workspace_id FROM workspace_map"), "w")


@tap.test("a NULL workspace_id is refused by the table")
def map_refuses_null_workspace():
    remap()
    for value in ("NULL", "x'00'"):
        done = h.shell(M.db, "INSERT INTO workspace_map (workspace_id) "
                       f"VALUES ({value})")
        assert done.returncode != 0, value


def state(id, worker=None):
    return tuple((worker or M).rows(
        "SELECT state, workspace_id FROM outbox WHERE issue_id = ?", id)[0])


@tap.test("an unmapped hook becomes pending soon after its row is added")
def unmapped_becomes_pending():
    remap()
    mine, other = h.issue(slug="mine", project="71"), \
        h.issue(slug="other", project="72")
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
    body = h.issue(project=project, slug=slug)
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
    ("an event_alert", "event_alert", h.event_alert),
    ("an error", "error", h.error)])
def release_is_learned(name, resource, make):
    id = str(h.unique())
    store(make(issue_id=id, release="shop@7"), resource=resource)
    learned = S.rows("SELECT * FROM issue_release WHERE issue_id = ?", id)
    equal([(r["release"], r["environment"]) for r in learned],
          [("shop@7", "production")])
    assert learned[0]["first_seen_at"] <= learned[0]["last_seen_at"]
    _, row = store(h.issue("resolved", id))
    event = json.loads(row["source_event"])
    equal(row["release"], "shop@7")
    equal((event["metadata"]["release"], event["metadata"]["releaseFrom"]),
          ("shop@7", "issue"))
    equal(event["references"][0], {"type": "release", "id": "shop@7"})


@tap.test("the release learned last is the one given")
def last_release_wins():
    id = str(h.unique())
    for release in ("shop@1", "shop@2"):
        store(h.error(issue_id=id, release=release), resource="error")
    store(h.error(issue_id=id, release=None), resource="error")
    _, row = store(h.issue("assigned", id))
    equal(row["release"], "shop@2")


@tap.test("an issue learns nothing from another issue or from no release")
def release_of_other_issue():
    id = str(h.unique())
    store(h.error(issue_id=id, release=None), resource="error")
    store(h.error(release="shop@9"), resource="error")
    _, row = store(h.issue("resolved", id))
    event = json.loads(row["source_event"])
    equal((row["release"], event["metadata"]["release"]), (None, None))
    assert "releaseFrom" not in event["metadata"]


@tap.test("a commit in the release learned is a reference")
def commit_as_release():
    id, sha = str(h.unique()), "0123456789abcdef0123456789abcdef01234567"
    store(h.error(issue_id=id, release="shop@" + sha), resource="error")
    _, row = store(h.issue("resolved", id))
    kinds = [(r["type"], r["id"]) for r in
             json.loads(row["source_event"])["references"]]
    equal(kinds[0], ("release", "shop@" + sha))
    assert ("commit", sha) in kinds, kinds


# ---- views ---------------------------------------------------------------

@tap.test("outbox_event gives the envelope of section 5")
def outbox_event_view():
    hook, row = store(h.issue())
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
    id = str(h.unique())
    store(h.error(issue_id=id, release="view@1"), resource="error")
    store(h.issue("resolved", id))
    found = [tuple(map(str, r)) for r in S.rows(
        "SELECT * FROM release_issue") if "view@1" in tuple(r)]
    equal(len(found), 1, found)
    for word in ("production", id, f"SHOP-{id}", "error"):
        assert word in found[0], (word, found)
    # The hooks about events, which come later, do not know the short id.
    store(h.error(issue_id=id, release="view@2"), resource="error")
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
    store(h.issue())
    assert h.shell(S.db, sql).returncode != 0


# ---- the log -------------------------------------------------------------

L = h.Worker()


def logged(count, send):
    """The lines that send() adds, which must be count, each logfmt."""
    before = len(L.log_lines())
    send()
    until(lambda: len(L.log_lines()) >= before + count, L.log()[-3000:])
    lines = L.log_lines()[before:]
    equal(len(lines), count, lines)
    for line in lines:
        h.logfmt(line)
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
    for worker in (L, S, M):
        for line in worker.log_lines():
            h.logfmt(line)


@tap.test("no secret, body, e-mail or signature stands in the log")
def log_holds_no_secret():
    bodies = [("issue", h.issue("assigned", assignedTo={
        "type": "user", "id": "9", "name": "Zoe Person",
        "email": "person@example.com"})),
        ("error", h.error()), ("event_alert", h.event_alert()),
        ("installation", h.installation()), ("comment", h.comment())]
    for resource, body in bodies:
        raw = h.compact(body)
        L.post(raw, signed(raw, resource))
        L.post(raw + b" ", signed(raw, resource))
        L.post(raw[:-1], signed(raw[:-1], resource))
    for worker in (L, S, M, W):
        log = worker.log()
        for word in (h.SECRET, h.SECRET[:16], "person@example.com",
                     "Zoe Person", "café", "caf\\u", "closed", "look at",
                     "f3c71b491e3949b6b033ae45312a4fcb", GOOD[:16],
                     GOOD[:16].upper()):
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
            raw = h.compact(h.issue())
            headers = signed(raw)
            headers[header] = value
            answer = L.post(raw, headers)
            equal(answer.status, 401 if header == SIG else 200, header)
    for line in logged(6, send):
        harmless(line)


def harmless(line):
    pairs = h.logfmt(line)
    assert "forged" not in pairs, line
    assert len(line) < 4096, len(line)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029]", line), line


@tap.table("a body with {} in its names is one harmless line", HOSTILE[:9])
def odd_body_in_log(name, value):
    def send():
        for body in (h.issue(value), h.issue(installation=value),
                     h.issue(slug=value, project=value),
                     h.issue(id=value + str(h.unique()))):
            raw = h.compact(body)
            equal(L.post(raw, signed(raw)).status, 200)
    for line in logged(4, send):
        harmless(line)


@tap.test("the metrics are still Prometheus text after all that")
def metrics_after_odd_hooks():
    for worker in (L, S, W):
        metrics(worker)


tap.run()
