"""A private nats-server, alone or three of them, and as much of a client as
the tests need: ask JetStream, read a stream, publish."""
import json
import os
import shutil
import signal
import socket
import subprocess

from environment import LIMIT, SLOW
from expect import until
from process import finish_process, start_process, stop_process
from scratch import Scratch, write_file
from sockets import connects, free_port
from tap import skip_all


def need_server():
    if not shutil.which("nats-server"):
        skip_all("there is no nats-server")


class Server:
    """One nats-server with JetStream on a port that stays its own over
    restarts. conf: more of its configuration. cluster: the route ports."""

    def __init__(self, conf="", name="one", cluster=None, route=None,
                 wait=True, jetstream=True):
        self.folder = Scratch.new("nats")
        self.port = free_port()
        self.name, self.conf = name, conf
        self.cluster, self.route = cluster, route
        self.store = os.path.join(self.folder, "store")
        self.jetstream = jetstream
        self.start(wait)

    def start(self, wait=True):
        text = f"listen: 127.0.0.1:{self.port}\n" \
            f"server_name: {self.name}\n" \
            f"pid_file: {self.folder}/pid\n{self.conf}\n"
        if self.jetstream:
            text += f"jetstream {{ store_dir: {self.store} }}\n"
        if self.cluster:
            routes = ", ".join(f"nats://127.0.0.1:{port}"
                               for port in self.cluster)
            text += f"cluster {{ name: three, listen: " \
                f"127.0.0.1:{self.route}, routes: [{routes}] }}\n"
        path = write_file(os.path.join(self.folder, "conf"), text)
        self.log = os.path.join(self.folder, "log")
        with open(self.log, "ab") as log:
            self.process = start_process(["nats-server", "-c", path],
                                         stderr=log, stdout=log)
        if wait:
            until(self.listens, "nats-server does not listen")
        return self

    def listens(self):
        assert self.process.poll() is None, open(self.log).read()[-2000:]
        return connects(self.port)

    @property
    def url(self):
        return f"nats://127.0.0.1:{self.port}"

    def kill(self):
        self.process.kill()
        finish_process(self.process)

    def stop(self):
        self.signal(signal.SIGCONT)
        return stop_process(self.process)

    def signal(self, which):
        self.process.send_signal(which)

    def lame_duck(self):
        subprocess.run(["nats-server", "--signal", f"ldm={self.folder}/pid"],
                       check=True, capture_output=True)


def three_servers():
    routes = [free_port() for _ in range(3)]
    servers = [Server(name=f"n{i}", cluster=routes, route=routes[i],
                      wait=False) for i in range(3)]
    for server in servers:
        until(server.listens, "nats-server does not listen")
    return servers


class Client:
    """One connection. what: user=..., pass=...; tls: an SSL context."""

    def __init__(self, server, tls=None, **what):
        self.server, self.tls, self.what = server, tls, what
        self.connect()

    def connect(self):
        server, tls = self.server, self.tls
        self.socket = socket.create_connection(("127.0.0.1", server.port),
                                               LIMIT)
        self.sid, self.buffer, self.early = 0, b"", []
        info = json.loads(self.line().split(b" ", 1)[1])
        self.version = [int(n) for n in info["version"].split(".")[:2]]
        if tls:
            self.socket = tls.wrap_socket(self.socket,
                                          server_hostname="127.0.0.1")
        what = {**self.what, "verbose": False, "pedantic": False,
                "headers": True, "no_responders": True}
        self.send(b"CONNECT " + json.dumps(what).encode() + b"\r\nPING\r\n")
        line = self.line()
        assert line == b"PONG", line
        self.socket.settimeout(3 * SLOW)      # then it is asked again

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        part = self.socket.recv(1 << 20)
        if not part:
            raise ConnectionError("nats-server hung up")
        self.buffer += part

    def line(self):
        while b"\r\n" not in self.buffer:
            self.more()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def take(self, n):
        while len(self.buffer) < n + 2:
            self.more()
        data, self.buffer = self.buffer[:n], self.buffer[n + 2:]
        return data

    def message(self):
        """The next one: subject, reply, headers, data."""
        return self.early.pop(0) if self.early else self.receive()

    def receive(self):
        while True:
            words = self.line().split()
            if words[0] == b"PING":
                self.send(b"PONG\r\n")
            elif words[0] == b"MSG":
                data = self.take(int(words[-1]))
                return (words[1].decode(), words[3:-1], {}, data)
            elif words[0] == b"HMSG":
                data = self.take(int(words[-1]))
                size = int(words[-2])
                head = data[:size].decode().split("\r\n")
                headers = dict(line.split(": ", 1) if ": " in line else
                               line.split(":", 1)
                               for line in head[1:] if line)
                headers[""] = head[0]
                return (words[1].decode(), words[3:-2], headers, data[size:])
            elif words[0] == b"-ERR":
                raise ConnectionError(b" ".join(words).decode())

    def subscribe(self, subject=None):
        """To that subject, or to an inbox of its own; returns which."""
        self.sid += 1
        subject = subject or \
            f"_INBOX.t{os.getpid()}.{self.sid}.{os.urandom(4).hex()}"
        self.send(f"SUB {subject} {self.sid}\r\n".encode())
        return subject

    def publish(self, subject, data=b"", reply=""):
        self.send(f"PUB {subject} {reply} {len(data)}\r\n".encode() + data
                  + b"\r\n")

    def request(self, subject, data=b""):
        inbox = self.subscribe()
        self.publish(subject, data, inbox)
        while True:
            got = self.receive()
            if got[0] == inbox:
                return got
            self.early.append(got)

    def api(self, name, /, **body):
        """An answer of $JS.API; waits until somebody gives one."""
        def ask():
            try:
                _, _, headers, data = self.request(
                    "$JS.API." + name, json.dumps(body).encode())
            except TimeoutError:        # there is no leader just now
                return None
            if "503" in headers.get("", ""):
                return None
            answer = json.loads(data)
            # A cluster that has not yet found itself.
            if answer.get("error", {}).get("code") == 503:
                return None
            return answer
        return until(ask, f"nobody answers {name}")

    def create(self, name="SENTRY", **more):
        config = {
            "name": name, "subjects": ["sentry.observation.>"],
            "storage": "file", "discard": "new", "retention": "limits",
            "duplicate_window": 7200 * 10**9, "num_replicas": 1}
        config.update(more)
        answer = self.api(f"STREAM.CREATE.{name}", **config)
        assert "error" not in answer, answer
        return answer

    def info(self, name="SENTRY"):
        return self.api(f"STREAM.INFO.{name}")

    def count(self, name="SENTRY"):
        info = self.info(name)
        return info["state"]["messages"] if "state" in info else 0

    def read(self, name="SENTRY"):
        """Every message that the stream holds: subject, headers, data. When a
        consumer loses its leader in a cluster, or the server gives up a reader
        that is slow beside other work, the next one goes on from there."""
        want, got, last = self.count(name), [], 0

        def is_read():
            nonlocal last
            try:
                for last, *message in self.messages_from(
                        name, last + 1, want - len(got)):
                    got.append(tuple(message))
            except (TimeoutError, ConnectionError):
                self.socket.close()
                self.connect()
                return False
            return True

        until(is_read, f"no consumer of {name} gets to the end")
        return got

    def messages_from(self, name, first, count):
        """So many messages from that place in the stream on: the place,
        subject, headers, data."""
        inbox = self.subscribe()
        answer = self.api(f"CONSUMER.CREATE.{name}", stream_name=name,
                          config={"deliver_subject": inbox,
                                  "deliver_policy": "by_start_sequence",
                                  "opt_start_seq": first,
                                  "ack_policy": "none"})
        assert "error" not in answer, answer
        mine = answer["name"].encode()
        while count > 0:
            subject, reply, headers, data = self.message()
            words = reply[0].split(b".") if reply else []
            if mine in words:
                count -= 1
                # A server with a domain has two more words before it.
                yield (int(words[5 if len(words) == 9 else 7]), subject,
                       headers, data)

    def ids(self, name="SENTRY"):
        return [m[1]["Nats-Msg-Id"] for m in self.read(name)]
