#!/usr/bin/env python3
"""Clients in crowds, clients that vanish or never end, and connections that
nginx keeps while it or the worker ends. RUNTESTS_FULL=1 for the long forms.
Every hook that was answered 200 is there, once."""
import os
import resource
import selectors
import signal
import socket
import struct
import threading
import time

from database import open_db
from environment import FULL, LIMIT, SLOW
from expect import equal, until
from fastcgi import END, post_request, read_answer
from hammer import no_answer_but_200
from hooks import RECEIVED, SENTRY_WAITS, compact, issue, signed
from latency import Latency
from ledger import Ledger, kept_once
from process import cpu_seconds, finish_process
from scratch import Scratch
from sockets import connect, listening_socket
from tap import Skip, Tap, need_program
from webhook_site import Site, on_site
from wire import raw_hook
from worker import Worker

need_program()
tap = Tap()
CROWD = 4000 if FULL else 1000


# ---- crowds --------------------------------------------------------------

class Crowd:
    """So many connections, all open before the first byte is sent."""

    def __init__(self, count, open_one, bytes_of):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        want = 2 * count + 200
        if hard != resource.RLIM_INFINITY and hard < want:
            raise Skip(f"no {want} descriptors")
        if soft < want:
            resource.setrlimit(resource.RLIMIT_NOFILE, (want, hard))
        self.all = []                   # [socket, id, what is left, answer]
        for _ in range(count):
            id, data = bytes_of()
            self.all.append([open_one(), id, memoryview(data), b""])

    def run(self):
        """Sends, and reads until all are closed; ms until the last is."""
        begin = time.monotonic()
        waiting = selectors.DefaultSelector()
        for one in self.all:
            one[0].setblocking(False)
            waiting.register(one[0], selectors.EVENT_WRITE, one)
        left = len(self.all)
        while left and time.monotonic() - begin < LIMIT:
            for key, _ in waiting.select(1):
                left -= self.step(waiting, key)
        assert not left, f"{left} are not answered"
        return (time.monotonic() - begin) * 1000

    @staticmethod
    def step(waiting, key):
        s, _, data, _ = one = key.data
        try:
            if data:
                one[2] = data[s.send(data):]
                if not one[2]:
                    waiting.modify(s, selectors.EVENT_READ, one)
                return False
            part = s.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            part = b""
        one[3] += part
        if not part:
            waiting.unregister(s)
            s.close()
        return not part

    def book(self, ledger, ok):
        for _, id, _, answer in self.all:
            ledger.add(id, 200 if ok in answer and RECEIVED in answer
                       else answer[:80])


def crowd_of(site, count, http):
    def tcp():
        return socket.create_connection(("127.0.0.1", site.nginx.port), LIMIT)
    return Crowd(count, tcp if http else lambda: connect(
        site.worker.socket), lambda: raw_hook(http))


@tap.table(f"{CROWD} connections at once {{}}: each hook is kept and answered",
           [("through nginx", True), ("straight to the socket", False)])
@on_site
def crowd_of_connections(site, w, name, http):
    ledger = Ledger(f"{CROWD} connections at once {name}")
    crowd = crowd_of(site, CROWD, http)
    took = crowd.run()
    crowd.book(ledger, b" 200 OK")
    print(f"# {took:.0f} ms", flush=True)
    equal(ledger.refused, [])
    ledger.close(w, exactly=True)


@tap.test("a crowd at once while the database is locked: all 200, spooled")
@on_site
def crowd_under_lock(site, w):
    lock = w.lock()
    ledger = Ledger(f"{CROWD} connections at once, locked database")
    crowd = crowd_of(site, CROWD, False)
    crowd.run()
    crowd.book(ledger, b" 200 OK")
    equal(ledger.refused, [])
    lock.release()
    ledger.close(w, exactly=True)


# ---- no descriptors ------------------------------------------------------

def limit_descriptors(w, most):
    resource.prlimit(w.process.pid, resource.RLIMIT_NOFILE,
                     (most, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


@tap.test("no descriptor is left: connections wait, and the worker rests")
@on_site
def no_descriptor_left(site, w):
    ledger = Ledger("no descriptor left")
    equal(ledger.post(w), 200)
    used = len(os.listdir(f"/proc/{w.process.pid}/fd"))
    limit_descriptors(w, used)
    before = cpu_seconds(w.process)
    crowd = crowd_of(site, 50, False)
    for one in crowd.all:
        one[0].sendall(one[2])
        one[2] = b""
    time.sleep(1)                       # the fault's length, not luck
    spent = cpu_seconds(w.process) - before
    assert spent < 0.3 * SLOW, f"it spins: {spent} s of one"
    limit_descriptors(w, 4096)
    while crowd.all:
        one = crowd.all.pop()
        with one[0] as s:
            answer = read_answer(s)
        equal(ledger.add(one[1], answer.status), 200)
    ledger.close(w, exactly=True)
    equal(w.ready().status, 200)


@tap.test("descriptors are scarce and the database locked: all 200, spooled")
@on_site
def scarce_descriptors_under_lock(site, w):
    lock = w.lock()
    ledger = Ledger("descriptors scarce, locked database")
    limit_descriptors(w, 200)
    crowd = crowd_of(site, 400, False)
    crowd.run()
    crowd.book(ledger, b" 200 OK")
    equal(ledger.refused, [])
    lock.release()
    limit_descriptors(w, 4096)
    ledger.close(w, exactly=True)


# ---- clients that vanish -------------------------------------------------

def vanish(site, http, n):
    _, data = raw_hook(http)
    with crowd_of(site, 1, http).all[0][0] as s:
        s.sendall(data[:len(data) - 9 - n * 7 % 700])
        if n % 2:                       # with a reset, not an end
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                         struct.pack("ii", 1, 0))


@tap.table("clients that vanish in mid-body {}: others are served, none kept",
           [("before nginx", True), ("before the worker", False)])
@on_site
def clients_vanish_in_body(site, w, name, http):
    ledger = Ledger(f"clients vanish in mid-body {name}")
    rounds = 400 if FULL else 60
    slowest = 0
    with Latency(site.folder) as latency:
        for n in range(rounds):
            vanish(site, http, n)
            ledger.sent += 1
            if n % 10 == 0:
                begin = time.monotonic()
                equal(ledger.post(w), 200)
                slowest = max(slowest, time.monotonic() - begin)
    latency.allows(slowest, SENTRY_WAITS)
    equal(ledger.post(w), 200)
    ledger.close(w, exactly=True)


@tap.test("clients that vanish before their answer: each hook is kept once")
@on_site
def clients_vanish_before_answer(site, w):
    sent = []
    for _ in range(300 if FULL else 60):
        id, data = raw_hook()
        with connect(w.socket) as s:
            s.sendall(data)
        sent.append(id)
    until(lambda: w.hook_count() == len(sent))
    kept_once(w, sent, True, "clients vanish before the answer", len(sent))


@tap.test("a peer that never ends its request holds up no other's answer")
@on_site
def endless_request_holds_up_nobody(site, w):
    ledger = Ledger("peer does not end its request")
    for _ in range(5):
        lock = w.lock()
        slow = []
        for _ in range(3):              # in one commit with the next hook
            id, data = raw_hook()
            s = connect(w.socket)
            s.sendall(data[:-8])        # without the end of STDIN
            slow.append((id, s))
        id, data = raw_hook()
        quick = connect(w.socket)
        quick.sendall(data)
        until(lambda: w.metric("writer_queued_hooks") == 4 or w.spooled())
        lock.release()
        with Latency(site.folder) as latency:
            answer = read_answer(quick)
        quick.close()
        equal(ledger.add(id, answer.status), 200)
        latency.within(SENTRY_WAITS)
        for id, s in slow:
            with s:
                equal(ledger.add(id, 200 if RECEIVED in s.recv(4096)
                                 else None), 200)
    ledger.close(w, exactly=True)


# ---- nginx restarted, connections kept ------------------------------------

def keeping_server(port, path):
    """nginx keeps its connections to the worker, and tries again on a new
    one when one of these has ended."""
    return (f"upstream worker {{ server unix:{path} "
            "max_fails=0; keepalive 32; }\n"
            f"server {{ listen 127.0.0.1:{port};\n"
            "client_max_body_size 8m; client_body_buffer_size 8m;\n"
            "location /api/sentry/webhooks {\n"
            "include /etc/nginx/fastcgi_params;\n"
            "fastcgi_keep_conn on;\n"
            "fastcgi_next_upstream error timeout non_idempotent;\n"
            f"fastcgi_connect_timeout {LIMIT}s;\n"
            f"fastcgi_read_timeout {LIMIT}s;\n"
            "fastcgi_pass worker;\n} }\n")


@tap.test("the worker restarted on kept connections: no answer but 200")
def restart_on_kept_connections():
    site = Site(server=keeping_server)
    w = site.worker
    rounds = 20 if FULL else 4
    load = site.hammer()
    for _ in range(rounds):
        before = w.metric("hooks_total", 'result="stored"')
        until(lambda: w.metric("hooks_total", 'result="stored"') >=
              before + 200, "no hook comes in")
        equal(w.stop(), 0, "exit status")
        w.start()
    figures = load.result()
    no_answer_but_200(figures)
    # Tried again by nginx: the same row, seen once more.
    again = w.value("SELECT sum(seen) - count(*) FROM webhook")
    print(f"# {again} hooks came twice", flush=True)
    books_of_kept(w, load, figures, f"worker restarted, {rounds} times, kept "
                  "connections")
    site.close()


@tap.test("SIGTERM on kept connections: a request is answered or not taken")
def sigterm_on_kept_connections():
    folder = Scratch.new("kept")
    listen = listening_socket(os.path.join(folder, "s"))
    raw = compact(issue())
    request = post_request(raw, signed(raw), 1)
    untold = []

    def ask(s):
        """Sends one request after the other, until one is not taken."""
        while True:
            try:
                s.sendall(request)
            except OSError:
                return
            got = b""
            while len(got) < 16 or got[-15] != END:
                try:
                    part = s.recv(65536)
                except OSError:
                    part = b""
                if not part:
                    untold.append(got)
                    return
                got += part

    for _ in range(20 if FULL else 5):
        w = Worker(folder=folder, listen=listen)
        kept = [connect(w.socket) for _ in range(24)]
        threads = [threading.Thread(target=ask, args=(s,)) for s in kept]
        for t in threads:
            t.start()
        time.sleep(0.2)
        equal(w.stop(), 0, "exit status")
        for t in threads:
            t.join()
        for s in kept:
            s.close()
    equal(len(untold), 0, "requests that were taken and got no answer")
    listen.close()


def books_of_kept(w, load, figures, name):
    """kept_once(), though nginx may have sent a hook twice."""
    db = open_db(w.db, write=True)
    db.execute("UPDATE webhook SET seen = 1")
    db.close()
    kept_once(w, load.ids(), figures["ok"] == figures["sent"], name,
              figures["sent"])


@tap.test("killed -9 on kept connections: every 200 is kept once")
def kill_on_kept_connections():
    site = Site(server=keeping_server)
    w = site.worker
    rounds = 10 if FULL else 3
    load = site.hammer()
    for _ in range(rounds):
        w.stores(200)
        w.restart()
    figures = load.result()
    books_of_kept(w, load, figures, f"kill -9, {rounds} times, kept "
                  "connections")
    site.close()


@tap.table("nginx {} under load: every 200 is kept once", [
    ("reloaded", lambda n: n.process.send_signal(signal.SIGHUP)),
    ("stopped and started", lambda n: (n.stop(), n.start())),
    ("told to quit and started", lambda n: (
        n.process.send_signal(signal.SIGQUIT), finish_process(n.process),
        n.start())),
])
@on_site
def nginx_ends_under_load(site, w, name, restart):
    rounds = 10 if FULL else 3
    load = site.hammer()
    for _ in range(rounds):
        w.stores(200)
        restart(site.nginx)
    figures = load.result()
    kept_once(w, load.ids(), False, f"nginx {name}, {rounds} times "
              "under load", figures["sent"])


tap.run(lanes=4)
