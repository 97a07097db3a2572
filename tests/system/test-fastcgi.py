#!/usr/bin/env python3
"""Hostile FastCGI straight on the socket: whatever comes, nothing unsigned
is stored, and the worker goes on answering."""
import os
import random
import re
import select
import signal
import socket
import struct
import sys
import threading
import time

sys.dont_write_bytecode = True
import harness as h
from harness import BEGIN, PARAMS, STDIN, begin, equal, record
from harness import signed, stream, until

h.need_program()
tap = h.Tap()
THREADS = 16
W = h.Worker()
BODY = h.compact(h.issue())
VALUES = h.params("POST", h.PATH, {
    "CONTENT_LENGTH": str(len(BODY)), **dict(h.cgi_names(signed(BODY)))})
WHOLE = h.fcgi_request(VALUES, BODY)


def alive():
    answer = W.get()
    equal((answer.status, answer.body),
          (200, b'{"status":"ok","service":"sentry-webhooks"}'))


def serves(w):
    """False once it has ended; one that is about to answers nothing."""
    while w.process.poll() is None:
        try:
            return w.get().status == 200
        except OSError:
            time.sleep(0.02)
    return False


def hooks():
    return W.value("SELECT count(*) FROM webhook")


def throw(data, wait=False):
    """Sends bytes and hangs up; with wait, first lets the worker do so."""
    with h.connect(W.socket) as s:
        try:
            s.sendall(data)
            if wait:
                s.shutdown(socket.SHUT_WR)
                return h.read_all(s)
        except (BrokenPipeError, ConnectionResetError):
            pass
    return b""


def descriptors():
    return len(os.listdir(f"/proc/{W.process.pid}/fd"))


# ---- cut and split -------------------------------------------------------

def positions(end, dense=300, step=23):
    return list(range(0, min(dense, end))) + list(range(dense, end, step))


@tap.test("a request cut at any byte stores nothing, the worker lives on")
def truncated_request_stores_nothing():
    last = len(WHOLE) - 9       # the byte before the body's last
    for at in positions(last):
        throw(WHOLE[:at])
    for at in range(last - 40, last):
        throw(WHOLE[:at])
    alive()
    equal(hooks(), 0)


@tap.test("a request cut at any byte is let go, or refused")
def truncated_request_is_closed_or_refused():
    last = len(WHOLE) - 9
    for at in positions(last, 60, 61):
        raw = throw(WHOLE[:at], wait=True)
        if raw and h.fcgi_records(raw):
            status = h.fcgi_answer(raw).status
            assert status in (400, 401, 405), (at, status)
    equal(hooks(), 0)


@tap.test("a body cut by the sender is answered 400")
def truncated_body_is_400():
    head = begin() + stream(PARAMS, h.pairs(VALUES))
    for n in (0, 1, len(BODY) // 2, len(BODY) - 1):
        raw = h.fcgi_raw(W.socket, head + stream(STDIN, BODY[:n]))
        equal(h.fcgi_answer(raw).status, 400)
    equal(hooks(), 0)


@tap.test("a request split at any byte is answered 200")
def request_split_anywhere_is_200():
    for at in positions(len(WHOLE), 40, 97)[1:]:
        with h.connect(W.socket) as s:
            s.sendall(WHOLE[:at])
            s.sendall(WHOLE[at:])
            equal(h.fcgi_answer(h.read_all(s)).status, 200, at)
    equal(hooks(), 1)


@tap.test("a request sent byte by byte over TCP is answered 200")
def byte_by_byte_over_tcp_is_200():
    with socket.create_server(("127.0.0.1", 0)) as listen:
        w = h.Worker(listen=listen)
        with h.connect(w.socket) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(len(WHOLE)):
                s.send(WHOLE[at:at + 1])
            equal(h.fcgi_answer(h.read_all(s)).status, 200)
        equal(w.stop(), 0)


# Nobody takes a head off the socket before all of it is there, and a Unix
# socket holds some 300 pieces, however small.
@tap.test("who sends a head byte by byte over a Unix socket is cut off, and "
          "holds up nobody")
def slow_head_is_cut_off():
    with h.connect(W.socket) as s, h.Pace() as pace:
        s.setblocking(False)
        try:
            for at in range(len(WHOLE)):
                s.send(WHOLE[at:at + 1])
            raise AssertionError("a Unix socket takes all of it by now")
        except BlockingIOError:
            pass
        start = time.monotonic()
        equal(W.post(BODY, signed(BODY)).status, 200)
        took = time.monotonic() - start
        s.settimeout(h.LIMIT)
        equal(h.read_all(s), b"")
    pace.keeps(took, 1)


@tap.table("a request in {} is answered 200", [
    ("records of one byte", lambda: begin() + stream(
        PARAMS, h.pairs(VALUES), 1) + stream(STDIN, BODY, 1)),
    ("records with padding", lambda: begin() +
     record(PARAMS, h.pairs(VALUES), padding=255) +
     record(PARAMS) + record(STDIN, BODY, padding=255) + record(STDIN)),
    ("request id 65535", lambda: h.begin(request=65535) + stream(
        PARAMS, h.pairs(VALUES), request=65535) + stream(
        STDIN, BODY, request=65535)),
])
def odd_records_are_200(name, make):
    raw = h.fcgi_raw(W.socket, make())
    records = [(k, 1, c) for k, r, c in h.fcgi_records(raw)]
    out = b"".join(c for k, r, c in records if k == h.STDOUT)
    equal(h.cgi_answer(out).status, 200)


@tap.test("a body of 64 kB records and padding is stored to the byte")
def padded_body_is_stored_exactly():
    body = h.compact(h.issue(padding="x" * 300000))
    values = dict(VALUES, CONTENT_LENGTH=str(len(body)),
                  HTTP_SENTRY_HOOK_SIGNATURE=h.sign(body))
    data = begin() + stream(PARAMS, h.pairs(values)) + b"".join(
        record(STDIN, body[i:i + 65535], padding=1)
        for i in range(0, len(body), 65535)) + record(STDIN)
    equal(h.fcgi_answer(h.fcgi_raw(W.socket, data)).status, 200)
    equal(W.value("SELECT body FROM webhook ORDER BY id DESC LIMIT 1"),
          body)


@tap.test("bytes beyond CONTENT_LENGTH are no part of the body")
def bytes_beyond_content_length_are_ignored():
    body = h.compact(h.issue())
    values = dict(VALUES, CONTENT_LENGTH=str(len(body)),
                  HTTP_SENTRY_HOOK_SIGNATURE=h.sign(body))
    for more in (b"x", b"}" * 200000):
        data = h.fcgi_request(values, body + more)
        equal(h.fcgi_answer(h.fcgi_raw(W.socket, data)).status, 200)
    equal(W.value("SELECT body FROM webhook ORDER BY id DESC LIMIT 1"),
          body)
    values["HTTP_SENTRY_HOOK_SIGNATURE"] = h.sign(body + b"x")
    data = h.fcgi_request(values, body + b"x")
    equal(h.fcgi_answer(h.fcgi_raw(W.socket, data)).status, 401)


@tap.test("two requests on a kept connection are both answered")
def kept_connection_answers_twice():
    with h.connect(W.socket) as s:
        for _ in range(2):
            s.sendall(h.fcgi_request(VALUES, BODY, flags=1))
            equal(h.fcgi_answer(one_answer(s)).status, 200)


def one_answer(s):
    """All that has come once there is an end of a request in it."""
    raw = b""
    while not any(k == h.END for k, _, _ in whole_records(raw)):
        part = s.recv(65536)
        assert part, "hung up"
        raw += part
    return raw


def whole_records(raw):
    out = []
    while len(raw) >= 8:
        _, kind, request, length, padding = struct.unpack("!BBHHBx", raw[:8])
        if len(raw) < 8 + length + padding:
            break
        out.append((kind, request, raw[8:8 + length]))
        raw = raw[8 + length + padding:]
    return out


# What is left of a body must never be read as records: whoever gets a body
# through nginx, signed or not, would send requests of his own. This one is made
# of them, so that wherever reading leaves off (by 8 KiB), the next one begins.
STEP = 256


def even(kind, content, before=0):
    """A record that ends, with what counts before it, at a multiple."""
    return record(kind, content, padding=-(before + 8 + len(content)) % STEP)


FORGED = begin(flags=1) + record(PARAMS) + record(STDIN)
FORGED = begin(flags=1) + even(PARAMS, h.pairs({
    "REQUEST_METHOD": "GET", "SCRIPT_NAME": h.PATH}), len(FORGED)) + \
    FORGED[16:]
FORGED *= 65000 // len(FORGED)


def smuggling(method, signature, length, body=b""):
    """A request on a kept connection whose body goes on with others."""
    values = h.params(method, h.PATH, {"CONTENT_LENGTH": str(length)} | (
        {"HTTP_SENTRY_HOOK_SIGNATURE": signature} if signature else {}))
    head = begin(flags=1)
    # The end of PARAMS and the header of STDIN count as well.
    head += even(PARAMS, h.pairs(values), len(head) + 8 + 8) + record(PARAMS)
    if body:
        head += even(STDIN, body)
    return head + record(STDIN, FORGED) + record(STDIN)


@tap.table("a body of FastCGI requests {} is answered once", [
    ("with no signature", "POST", None, len(FORGED), 401),
    ("with a wrong signature", "POST", "0" * 64, 9, 401),
    ("that is too large", "POST", "0" * 64, h.MAX_BODY + 1, 413),
    ("of no length", "POST", "0" * 64, "", 400),
    ("that nobody asked for", "GET", None, len(FORGED), 200),
    ("behind a hook", "POST", h.sign(BODY), len(BODY), 200)])
def body_of_fastcgi_is_answered_once(name, method, signature, length, status):
    data = smuggling(method, signature, length,
                     BODY if length == len(BODY) else b"")
    with h.connect(W.socket) as s:
        s.sendall(data)
        raw = one_answer(s)
        equal(h.fcgi_answer(raw).status, status)
        # The connection is in step, or closed.
        try:
            s.sendall(WHOLE)
        except (BrokenPipeError, ConnectionResetError):
            pass
        raw = h.read_all(s)
    if raw:
        equal(h.fcgi_answer(raw).body, h.RECEIVED)


# ---- records that are wrong ----------------------------------------------

P = h.pairs(VALUES)


def big(n):
    return struct.pack("!I", n)


WRONG = [
    ("version 0", record(BEGIN, b"\0\1" + b"\0" * 6, version=0) +
     WHOLE[16:]),
    ("version 2", record(BEGIN, b"\0\1" + b"\0" * 6, version=2) +
     WHOLE[16:]),
    ("version 255 in PARAMS", begin() + record(PARAMS, P, version=255)),
    ("version 2 in STDIN", begin() + stream(PARAMS, P) +
     record(STDIN, BODY, version=2)),
    ("type 0", record(0, b"x" * 8) + WHOLE),
    ("type 12", begin() + record(12, b"x" * 8) + WHOLE[16:]),
    ("type 255", begin() + record(255, b"x" * 8)),
    ("an END_REQUEST from the client", begin() + record(h.END, b"\0" * 8)),
    ("a STDOUT from the client", begin() + record(h.STDOUT, b"x" * 99)),
    ("an ABORT at once", begin() + record(h.ABORT)),
    ("an ABORT after PARAMS", begin() + stream(PARAMS, P) +
     record(h.ABORT)),
    ("an ABORT amid STDIN", begin() + stream(PARAMS, P) +
     record(STDIN, BODY[:99]) + record(h.ABORT)),
    ("an ABORT of nothing", record(h.ABORT)),
    ("PARAMS without BEGIN", stream(PARAMS, P) + stream(STDIN, BODY)),
    ("STDIN without PARAMS", begin() + stream(STDIN, BODY)),
    ("STDIN before PARAMS end", begin() + record(PARAMS, P) +
     stream(STDIN, BODY)),
    ("BEGIN of 0 bytes", record(BEGIN) + WHOLE[16:]),
    ("BEGIN of 7 bytes", record(BEGIN, b"\0\1\0\0\0\0\0") + WHOLE[16:]),
    ("BEGIN of 60000 bytes", record(BEGIN, b"\0\1" + b"\0" * 59998) +
     WHOLE[16:]),
    ("BEGIN for request 0", record(BEGIN, b"\0\1" + b"\0" * 6, 0) +
     WHOLE[16:]),
    ("BEGIN twice", begin() + WHOLE),
    ("BEGIN of another request within", begin() + begin(request=2) +
     record(PARAMS, P)),
    ("records of another request", begin() + stream(
        PARAMS, P, request=9) + stream(STDIN, BODY, request=9)),
    ("the role of an authorizer", h.begin(role=2) + WHOLE[16:]),
    ("the role of a filter", h.begin(role=3) + WHOLE[16:]),
    ("role 0", h.begin(role=0) + WHOLE[16:]),
    ("role 65535", h.begin(role=65535) + WHOLE[16:]),
    ("a name of 2^31 - 1 bytes", begin() + record(
        PARAMS, big(2**32 - 1) + b"\1" + P)),
    ("a value of 2^31 - 1 bytes", begin() + record(
        PARAMS, b"\1" + big(2**32 - 1) + P)),
    ("a name and a value of 2^31 - 1 bytes", begin() + stream(
        PARAMS, (big(2**32 - 1) * 2 + P) * 4)),
    # libfcgi refuses 2^31 - 1, and ends the program for one less.
    ("a name of 2^31 - 2 bytes", begin() + record(
        PARAMS, big(2**32 - 2) + b"\1" + P)),
    ("a value of 2^31 - 2 bytes", begin() + record(
        PARAMS, b"\1" + big(2**32 - 2) + P)),
    ("lengths whose sum wraps", begin() + stream(
        PARAMS, big(2**32 - 1) + big(2**31 + 2) + b"A" * 60000)),
    ("lengths of zero in four bytes", begin() + stream(
        PARAMS, big(2**31) * 2 + P) + stream(STDIN, BODY)),
    ("a value of 20 MB", begin() + stream(
        PARAMS, h.pairs({"HTTP_X": "y" * 20000000}))),
    ("two million parameters", begin() + stream(
        PARAMS, b"\1\1ab" * 2000000)),
    ("a name of 64 MB", begin() + stream(
        PARAMS, big(2**31 + 2**26) + b"\0" + b"A" * 70000)),
    ("a pair cut in its lengths", begin() + stream(PARAMS, b"\x80\0")),
    ("a pair cut in its name", begin() + stream(PARAMS, b"\x14\x01abc")),
    ("a pair cut in its value", begin() + stream(
        PARAMS, h.pairs({"A": "B" * 99})[:-5])),
    ("a STDIN shorter than it says", begin() + stream(PARAMS, P) +
     record(STDIN, BODY[:9], length=65535)),
    ("a PARAMS shorter than it says", begin() + record(
        PARAMS, P[:9], length=65535)),
    ("100 kB of zeros", b"\0" * 100000),
    ("100 kB of 0xff", b"\xff" * 100000),
    ("100 kB of ones", b"\1" * 100000),
    ("plain HTTP", b"POST / HTTP/1.1\r\nHost: x\r\n\r\n" + BODY),
    ("a TLS hello", bytes.fromhex("16030100a5010000a10303") + b"\0" * 160),
    ("nothing at all", b""),
]


@tap.table("{}: the worker lets go, and lives on", WRONG)
def protocol_violation_is_survived(name, data):
    total = hooks()
    throw(data)
    throw(data, wait=True)
    alive()
    equal(hooks(), total)       # BODY itself is stored since long


ODD = [
    ("names of no bytes", [("", "x")] * 50),
    ("names and values of no bytes", [("", "")] * 500),
    ("values of no bytes", [("HTTP_X", "")] * 50),
    ("10000 parameters", [(f"HTTP_X{i}", "y") for i in range(10000)]),
    ("a value of 60 kB", [("HTTP_X", "y" * 60000)]),
    ("a name of 60 kB", [("HTTP_" + "X" * 60000, "y")]),
    ("names with = in them", [("HTTP_X=y", "z"), ("=", "="), ("=x", "")]),
    ("NULs in names and values", [("HTTP_\0X", "a\0b"), ("\0", "\0")]),
    ("bytes that are no UTF-8", [(b"HTTP_\xff", b"\xfe\x80")]),
]


@tap.table("a hook with {} is answered 200", ODD)
def hook_with_odd_parameters_is_200(name, more):
    values = more + list(VALUES.items())
    raw = h.fcgi_raw(W.socket, begin() + stream(PARAMS, h.pairs(values)) +
                     stream(STDIN, BODY))
    equal(h.fcgi_answer(raw).status, 200)


@tap.test("a request of no parameters at all is answered 405")
def no_parameters_is_405():
    raw = h.fcgi_raw(W.socket, begin() + record(PARAMS) + record(STDIN))
    equal(h.fcgi_answer(raw).status, 405)


@tap.test("management records are answered or passed over")
def management_records():
    ask = h.pairs({"FCGI_MAX_CONNS": "", "FCGI_MAX_REQS": "",
                   "FCGI_MPXS_CONNS": ""})
    for data in (record(h.GET_VALUES, ask, 0), record(h.GET_VALUES, b"", 0),
                 record(h.GET_VALUES, big(2**32 - 1) * 2, 0),
                 record(h.GET_VALUES, h.pairs({"X" * 60000: ""}), 0),
                 record(h.GET_VALUES, h.pairs(
                     [("FCGI_MAX_CONNS", "")] * 3000), 0),
                 record(99, b"x" * 300, 0), record(0, b"", 0),
                 record(h.GET_VALUES_RESULT, ask, 0),
                 record(h.UNKNOWN_TYPE, b"\0" * 8, 0)):
        throw(data, wait=True)
        throw(data + WHOLE)
        alive()
    raw = throw(record(h.GET_VALUES, ask, 0) + WHOLE, wait=True)
    equal(h.fcgi_answer(raw).status, 200)


# Nobody can look ahead of libfcgi there. Only who may write to the socket can
# send it, which nginx never does; what was answered 200 is on the disk.
@tap.test("GET_VALUES amid a body may end the worker: every 200 is kept")
def get_values_amid_body():
    w = h.Worker()
    sent = [h.compact(h.issue()) for _ in range(20)]
    for body in sent:
        equal(w.post(body, signed(body)).status, 200)
    w.expected = True
    h.fcgi_raw(w.socket, begin() + stream(PARAMS, P) +
               record(STDIN, BODY[:99]) +
               record(h.GET_VALUES, h.pairs([("FCGI_MAX_CONNS", "")] * 4), 0) +
               stream(STDIN, BODY[99:]))
    if not serves(w):
        print(f"# it ended with {h.finish(w.process)}")
        w.start()
    stored = [row["body"] for row in w.rows(
        "SELECT body FROM webhook ORDER BY id")]
    equal(stored[:len(sent)], sent)
    equal(w.stop(), 0)
    # What the compiler's guard says of libfcgi's stack is no fault of ours.
    h.Worker.every.remove(w)


@tap.test("500 requests with flipped bytes store nothing unsigned")
def flipped_bytes_store_nothing_unsigned():
    dice = random.Random(20260111)
    for _ in range(500 if h.SLOW == 1 else 100):
        data = bytearray(WHOLE)
        for _ in range(dice.choice((1, 1, 2, 5, 30))):
            data[dice.randrange(len(data))] = dice.randrange(256)
        throw(bytes(data))
    alive()
    bad = [r["body"][:80] for r in W.rows("SELECT body FROM webhook")
           if not r["body"].startswith(b'{"action":"created"')]
    equal(bad, [])


@tap.test("300 requests of chance bytes leave the worker alive")
def random_bytes_are_survived():
    dice = random.Random(20260112)
    for _ in range(300 if h.SLOW == 1 else 60):
        data = dice.randbytes(dice.randrange(1, 400))
        if dice.random() < 0.7:
            data = bytes([1, dice.randrange(1, 12), 0, 1]) + data
        throw(begin() + data if dice.random() < 0.5 else data)
    alive()


# ---- peers that say nothing ----------------------------------------------

@tap.table("connections that {} do not hold up a hook for 5 s", [
    ("say nothing", b""), ("stop in a header", WHOLE[:5]),
    ("stop amid the parameters", WHOLE[:200]),
    ("stop amid the body", WHOLE[:len(WHOLE) - 100])])
def idle_connections_hold_up_nobody(name, data):
    silent = [h.connect(W.socket) for _ in range(THREADS + 4)]
    try:
        for s in silent:
            s.sendall(data)
        with h.Pace() as pace:
            start = time.monotonic()
            equal(W.post(BODY, signed(BODY)).status, 200)
            took = time.monotonic() - start
    finally:
        for s in silent:
            s.close()
    pace.keeps(took, 5)


@tap.test("who drips his body is cut off in some 10 s, and holds up no hook")
def dripping_body_is_cut_off():
    dripping = [h.connect(W.socket) for _ in range(THREADS // 2)]
    for s in dripping:
        s.sendall(begin() + stream(PARAMS, P) +
                  record(STDIN, BODY[:9], length=65535))
    end = time.monotonic() + h.LIMIT
    start, slowest = time.monotonic(), 0
    with h.Pace() as pace:
        while dripping:
            assert time.monotonic() < end, "it goes on and on"
            at = time.monotonic()
            equal(W.post(BODY, signed(BODY)).status, 200)
            slowest = max(slowest, time.monotonic() - at)
            dripping = [s for s in dripping if drip(s)]
            time.sleep(0.2)
        took = time.monotonic() - start
    pace.keeps(slowest, 1)
    pace.keeps(took, 15)
    assert took > 5, took       # who is merely slow is heard


def drip(s):
    """One more byte. False: it was cut off, by then with an answer."""
    try:
        s.send(b"x")
        if not select.select([s], [], [], 0)[0]:
            return True
        equal(h.fcgi_answer(h.read_all(s)).status, 400)
    except (BrokenPipeError, ConnectionResetError):
        pass
    s.close()
    return False


def stopped(w):
    """Stops all threads of a worker at whatever they do."""
    tasks = f"/proc/{w.process.pid}/task"
    w.process.send_signal(signal.SIGSTOP)
    for task in os.listdir(tasks):
        def state():
            with open(f"{tasks}/{task}/stat") as f:
                return f.read().rpartition(")")[2].split()[0]
        until(lambda: state() == "T", f"thread {task} does not stop")


# The metrics count it: so they were made later.
@tap.table("a hook of {} that comes together with a scrape does not wait for "
           "it", [("2 KiB", 300), ("200 KiB", 200000)])
def hook_beside_scrape_is_served(name, size):
    w = h.Worker("--threads", "1")
    body = h.compact(h.issue(padding="x" * size))
    values = dict(VALUES, CONTENT_LENGTH=str(len(body)),
                  HTTP_SENTRY_HOOK_SIGNATURE=h.sign(body))
    with h.connect(w.socket) as scrape, h.connect(w.socket) as hook:
        for s in (scrape, hook):
            s.sendall(h.fcgi_request(h.params("GET"), flags=1))
            one_answer(s)
        stopped(w)
        scrape.sendall(h.fcgi_request(h.params("GET", h.PATH + "/metrics")))
        sender = threading.Thread(target=hook.sendall, args=[
            h.fcgi_request(values, body)])
        sender.start()
        # A byte of it is there; the rest may want the worker to read.
        until(lambda: h.unread(hook), "nothing was sent")
        w.process.send_signal(signal.SIGCONT)
        sender.join()
        equal(h.fcgi_answer(h.read_all(hook)).status, 200)
        text = h.fcgi_answer(h.read_all(scrape)).body
    assert re.search(rb'result="stored"} 1$', text, re.M), text


@tap.test("a hook that comes together with beginnings of others does not "
          "wait for them")
def hook_beside_beginnings_is_served():
    w = h.Worker("--threads", "2")
    peers = [h.connect(w.socket) for _ in range(9)]
    for s in peers:
        s.sendall(h.fcgi_request(h.params("GET"), flags=1))
        one_answer(s)
    stopped(w)
    for s in peers[:-1]:
        s.sendall(WHOLE[:200])
    peers[-1].sendall(WHOLE)
    with h.Pace() as pace:
        start = time.monotonic()
        w.process.send_signal(signal.SIGCONT)
        equal(h.fcgi_answer(h.read_all(peers[-1])).status, 200)
        took = time.monotonic() - start
    pace.keeps(took, 1)
    for s in peers:
        s.close()


@tap.test("a sender that goes before its answer does no harm")
def sender_gone_before_answer():
    for _ in range(100):
        throw(WHOLE)
        throw(h.fcgi_request(h.params("GET", h.PATH + "/metrics")))
    alive()


@tap.test("after all this every thread still serves, no descriptor is lost")
def every_thread_still_serves():
    wrong = []

    def one():
        try:
            equal(W.post(BODY, signed(BODY)).status, 200)
        except Exception as e:      # shown by the main thread
            wrong.append(repr(e))
    crowd = [threading.Thread(target=one) for _ in range(8 * THREADS)]
    for t in crowd:
        t.start()
    for t in crowd:
        t.join()
    equal(wrong, [])
    until(lambda: descriptors() < 40, "descriptors stay open")


tap.run()
