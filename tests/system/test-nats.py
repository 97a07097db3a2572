#!/usr/bin/env python3
"""sentry-deliver and a real nats-server: acknowledgements, what a stream has
to be, what a server refuses, and who may connect."""
import base64
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time

import nats
from deliverer import WINDOW, Deliverer, run_once, without_nats
from environment import SRC
from expect import equal
from outbox import Outbox
from scratch import Scratch, write_file
from tap import Skip, Tap, need_program

need_program()
nats.need_server()
tap = Tap()

if without_nats():
    @tap.test("nats:// says that this was built without NATS")
    def built_without_nats():
        code, run = run_once(Outbox(1), to="nats://127.0.0.1:1")
        equal(code, 1)
        assert "built without NATS" in run.log(), run.log()

    tap.run()


# ---- rows, acknowledged and delivered ------------------------------------

@tap.test("a row is published as its envelope, under its id and workspace")
def row_is_published():
    server = nats.Server()
    outbox = Outbox(2)
    outbox.fill(1, workspace_id="a.b c*>é")
    code, run = run_once(outbox, "--create-stream", to=server.url)
    equal(code, 0, run.log())
    want = outbox.rows("SELECT o.event_id, v.event FROM outbox o JOIN "
                       "outbox_event v USING (id) ORDER BY id")
    with nats.Client(server) as client:
        got = client.read()
        config = client.info()["config"]
    equal([m[0] for m in got], ["sentry.observation.ws_1"] * 2 +
          ["sentry.observation.a_b_c____"])
    equal([(m[1]["Nats-Msg-Id"], m[2].decode()) for m in got], want)
    equal([config[k] for k in ("storage", "discard", "num_replicas",
                               "subjects")],
          ["file", "new", 1, ["sentry.observation.>"]])
    assert config["duplicate_window"] >= 3600 * 10**9, config
    server.stop()


@tap.test("a row stays acked until it has settled, and then is delivered")
def acked_row_settles():
    server = nats.Server()
    outbox = Outbox(3)
    deliver = Deliverer(outbox, "--create-stream", "--settle", "3600",
                        to=server.url)
    deliver.reaches({"acked": 3})
    sink, seq, due, now = outbox.rows(
        "SELECT sink, sink_seq, due_at, delivered_at FROM outbox "
        "WHERE id = 2")[0]
    assert sink.startswith("nats:SENTRY@") and now is None, (sink, now)
    equal(seq, 2)
    assert due > time.time() * 1000, "it is not to settle at once"
    outbox.do("UPDATE outbox SET due_at = ?", int(time.time() * 1000) + 1000)
    deliver.reaches({"delivered": 3})
    late = outbox.rows("SELECT min(delivered_at - due_at), "
                       "sum(sink LIKE 'nats:SENTRY@%'), max(sink_seq) "
                       "FROM outbox")[0]
    assert late[0] >= 0, "delivered before it had settled"
    equal(late[1:], (3, 3))
    equal(deliver.stop(), 0)
    server.stop()


@tap.test("--once leaves rows acked, exits 0, and settles them the next time")
def once_leaves_rows_acked():
    server = nats.Server()
    outbox = Outbox(5)
    code, run = run_once(outbox, "--create-stream", "--settle", "3600",
                         to=server.url)
    equal((code, outbox.states()), (0, {"acked": 5}), run.log())
    outbox.let_settle()
    code, run = run_once(outbox, "--settle", "3600", to=server.url)
    equal((code, outbox.states()), (0, {"delivered": 5}), run.log())
    server.stop()


@tap.test("a row that was acked by a clock far ahead settles all the same")
def acked_by_clock_ahead():
    server = nats.Server()
    outbox = Outbox(5)
    deliver = Deliverer(outbox, "--create-stream", "--settle", "3600",
                        to=server.url)
    deliver.reaches({"acked": 5})
    deliver.stop()
    outbox.do("UPDATE outbox SET due_at = ?",
              int(time.time() * 1000) + 10 * 86400000)
    deliver = Deliverer(outbox, "--settle", "1", to=server.url)
    deliver.reaches({"delivered": 5})
    equal(deliver.stop(), 0)
    server.stop()


@tap.test("no more rows are on their way than the window holds")
def window_limits_rows():
    server = nats.Server()
    outbox = Outbox(3 * WINDOW, size=100)
    with nats.Client(server) as client:
        client.create()
    deliver = Deliverer(outbox, to=server.url)
    deliver.reaches({"acked": 3 * WINDOW})
    server.signal(signal.SIGSTOP)
    outbox.fill(3 * WINDOW, size=100)
    deliver.says("sink-trouble")
    tried = outbox.count("attempts > 0 AND state = 'pending'")
    assert tried <= WINDOW + 10, tried
    server.signal(signal.SIGCONT)
    deliver.reaches({"acked": 6 * WINDOW})
    with nats.Client(server) as client:
        equal(sorted(client.ids()), outbox.ids())
    deliver.stop()
    server.stop()


# ---- the stream ----------------------------------------------------------

MISFITS = [
    ("memory storage", {"storage": "memory"}, "storage must be file"),
    ("discard old", {"discard": "old"}, "discard policy must be new"),
    ("a duplicate window of two minutes",
     {"duplicate_window": 120 * 10**9}, "duplicate window"),
    ("other subjects", {"subjects": ["sentry.other.>"]},
     "subjects must hold sentry.observation.>"),
    ("one workspace's subject", {"subjects": ["sentry.observation.ws_1"]},
     "subjects must hold sentry.observation.>"),
    ("no acknowledgements", {"no_ack": True}, "acknowledge"),
]


@tap.table("a stream with {} is refused with a line that says so", MISFITS)
def unfit_stream_is_refused(_name, config, words):
    server = nats.Server()
    with nats.Client(server) as client:
        client.create(**config)
    outbox = Outbox(2)
    for options in (["--once"], []):
        deliver = Deliverer(outbox, *options, to=server.url)
        equal(deliver.wait(), 1)
    line = deliver.log().splitlines()[-1]
    assert words in line and "SENTRY" in line, line
    equal(outbox.rows("SELECT DISTINCT state, attempts FROM outbox"),
          [("pending", 0)])
    server.stop()


@tap.table("a stream of {} is taken", [
    ("sentry.>", ["sentry.>"]),
    ("sentry.observation.*", ["x.y", "sentry.observation.*"]),
    ("*.observation.*", ["*.observation.*"])])
def fit_stream_is_taken(_name, subjects):
    server = nats.Server()
    with nats.Client(server) as client:
        client.create(subjects=subjects)
        outbox = Outbox(1)
        equal(run_once(outbox, to=server.url)[0], 0)
        equal(client.ids(), outbox.ids())
    server.stop()


@tap.table("a stream of {}, which answers for JetStream, is refused", [
    (">",), ("*.>",), ("*.*.>",)])
def stream_over_api_is_refused(subject):
    server = nats.Server()
    with nats.Client(server) as client:
        # The first one is made only without acknowledgements since 2.10.
        client.create(subjects=[subject], no_ack=subject == ">" and
                      client.version >= [2, 10])
    outbox = Outbox(1)
    for _ in range(5):
        equal(run_once(outbox, to=server.url)[0], 1)
    equal(outbox.states(), {"pending": 1})
    server.stop()


@tap.test("a stream that is not there is asked for, and not made")
def missing_stream_is_not_made():
    server = nats.Server()
    outbox = Outbox(1)
    deliver = Deliverer(outbox, "--stream", "OTHER", to=server.url)
    equal(deliver.wait(), 1)
    assert "OTHER" in deliver.log(), deliver.log()
    assert "--create-stream" in deliver.log(), deliver.log()
    equal(outbox.rows("SELECT state, attempts FROM outbox"), [("pending", 0)])
    with nats.Client(server) as client:
        assert "error" in client.info("OTHER")
    server.stop()


@tap.test("a stream that cannot be made says why, and is waited for")
def stream_cannot_be_made():
    server = nats.Server()
    with nats.Client(server) as client:
        client.create("OLD")
        deliver = Deliverer(Outbox(1), "--create-stream", to=server.url)
        deliver.says("subjects overlap")
        assert deliver.running()
        client.api("STREAM.DELETE.OLD")
        deliver.reaches({"acked": 1})
    deliver.stop()
    server.stop()


@tap.test("a stream that ceases to fit takes no more rows until it is mended")
def stream_becomes_unfit():
    server = nats.Server()
    outbox = Outbox(1)
    with nats.Client(server) as client:
        config = client.create()["config"]
        deliver = Deliverer(outbox, to=server.url)
        deliver.reaches({"acked": 1})
        client.api("STREAM.UPDATE.SENTRY", **dict(config, discard="old"))
        deliver.says("discard policy must be new")
        outbox.fill(1)
        time.sleep(1)
        equal(outbox.rows("SELECT state, attempts FROM outbox WHERE id = 2"),
              [("pending", 0)])
        client.api("STREAM.UPDATE.SENTRY", **config)
        deliver.reaches({"acked": 2})
        assert "sink-recovered" in deliver.log()
    deliver.stop()
    server.stop()


# ---- a server that refuses -----------------------------------------------

@tap.test("a full stream keeps its rows pending, none pays, and it says so")
def full_stream():
    server = nats.Server()
    outbox = Outbox(50)
    with nats.Client(server) as client:
        config = client.create(max_msgs=20)["config"]
        deliver = Deliverer(outbox, "--max-attempts", "2", to=server.url)
        deliver.reaches({"acked": 20, "pending": 30})
        deliver.says("maximum messages exceeded")
        time.sleep(4)
        equal(outbox.rows("SELECT count(*), max(attempts) FROM outbox WHERE "
                          "state = 'pending'"), [(30, 0)])
        client.api("STREAM.UPDATE.SENTRY", **dict(config, max_msgs=-1))
        deliver.reaches({"acked": 50})
        equal(sorted(client.ids()), outbox.ids())
    deliver.stop()
    server.stop()


@tap.table("a row that is {} is dead with words, and holds up no other", [
    ("longer than the server takes", "", {}, {"size": 40000}, "ayload"),
    ("longer than the stream takes", "", {"max_msg_size": 20000},
     {"size": 30000}, "message size exceeds"),
    ("of a workspace with a name of 5,000 bytes", "", {},
     {"workspace_id": "w" * 5000}, "ubject")])
def bad_row_is_dead(_name, conf, config, row, words):
    server = nats.Server("max_payload: 32768\n" + conf)
    outbox = Outbox(5)
    outbox.fill(1, **row)
    outbox.fill(5)
    with nats.Client(server) as client:
        client.create(**config)
        deliver = Deliverer(outbox, to=server.url)
        deliver.reaches({"acked": 10, "dead": 1})
        equal(client.count(), 10)
    why = outbox.rows("SELECT last_error FROM outbox WHERE id = 6")[0][0]
    assert words in why, why
    deliver.stop()
    server.stop()


@tap.test("a publish that is not permitted is no row's fault")
def publish_not_permitted():
    server = nats.Server("""authorization { users: [
        { user: all, password: s3cret-all },
        { user: few, password: s3cret-few, permissions: {
            publish: "$JS.API.>", subscribe: "_INBOX.>" } } ] }""")
    outbox = Outbox(5)
    with nats.Client(server, user="all", **{"pass": "s3cret-all"}) as client:
        client.create()
    key = write_file(os.path.join(outbox.folder, "user"), "few s3cret-few\n")
    deliver = Deliverer(outbox, "--nats-user-file", key, "--max-attempts",
                        "1", to=server.url)
    deliver.says("not permitted")
    equal(outbox.rows("SELECT DISTINCT state, attempts FROM outbox"),
          [("pending", 0)])
    deliver.stop()
    server.stop()


@tap.table("an account with the permissions that the page lists {}", [
    ("does all that is needed", None),
    ("but STREAM.INFO sends nothing", "STREAM.INFO"),
    ("but STREAM.CREATE makes no stream", "STREAM.CREATE")])
def permissions_of_manual(_, without):
    with open(os.path.join(SRC, "man", "sentry-deliver.8")) as f:
        page = f.read()
    listed, inbox = re.search(
        r'publish: (\[[^]]*\])\nsubscribe: ("[^"]*")', page).groups()
    publish = [s for s in json.loads(listed)
               if without is None or without not in s]
    server = nats.Server("authorization { users: [ { user: few, password: "
                         "s3cret-few, permissions: { publish: "
                         f"{json.dumps(publish)}, subscribe: {inbox} "
                         "} } ] }")
    outbox = Outbox(5)
    key = write_file(os.path.join(outbox.folder, "user"), "few s3cret-few\n")
    deliver = Deliverer(outbox, "--nats-user-file", key, "--create-stream",
                        "--settle", "1", "--timeout", "2", to=server.url)
    if without is None:
        deliver.reaches({"delivered": 5})
    else:
        deliver.says("JetStream: Timeout")
        equal(outbox.states(), {"pending": 5})
    deliver.stop()
    server.stop()


@tap.test("a server without JetStream is waited for")
def server_without_jetstream():
    server = nats.Server(jetstream=False)
    outbox = Outbox(3)
    deliver = Deliverer(outbox, "--create-stream", to=server.url)
    deliver.says("JetStream")
    server.stop()
    server.jetstream = True
    server.start()
    deliver.reaches({"acked": 3})
    deliver.stop()
    server.stop()


class StreamOfTest(threading.Thread):
    """A server without JetStream, in whose place we answer as nats-server 2.9
    and 2.10 do in a cluster: an id that was noted, and its message not stored
    when the leader changed, is called a duplicate at place 0."""

    CONFIG = {"name": "SENTRY", "subjects": ["sentry.observation.>"],
              "retention": "limits", "storage": "file", "discard": "new",
              "duplicate_window": 7200 * 10**9, "num_replicas": 3}

    def __init__(self, server, forgotten):
        super().__init__(daemon=True)
        self.client = nats.Client(server)
        self.client.socket.settimeout(None)
        self.forgotten, self.held = forgotten, []
        for subject in ("$JS.API.>", "sentry.observation.>"):
            self.client.subscribe(subject)
        self.start()

    def run(self):
        try:
            while True:
                subject, reply, headers, data = self.client.message()
                answer = self.answer(subject, headers, data)
                self.client.publish(reply[0].decode(),
                                    json.dumps(answer).encode())
        except (OSError, IndexError):
            pass

    def answer(self, subject, headers, data):
        if subject.startswith("$JS.API.STREAM.INFO"):
            return {"config": self.CONFIG, "created": "2026-01-01T00:00:00Z",
                    "state": {"messages": len(self.held), "first_seq": 1,
                              "last_seq": len(self.held)}}
        if subject.startswith("$JS.API.STREAM.MSG.GET"):
            seq = json.loads(data)["seq"]
            head = f"NATS/1.0\r\nNats-Msg-Id: {self.held[seq - 1]}\r\n\r\n"
            return {"message": {
                "subject": "sentry.observation.x", "seq": seq, "data": "e30=",
                "hdrs": base64.b64encode(head.encode()).decode(),
                "time": "2026-01-01T00:00:00Z"}}
        if headers["Nats-Msg-Id"] in self.forgotten:
            self.forgotten.remove(headers["Nats-Msg-Id"])
            return {"stream": "SENTRY", "seq": 0, "duplicate": True}
        self.held.append(headers["Nats-Msg-Id"])
        return {"stream": "SENTRY", "seq": len(self.held)}


@tap.test("a row that is called a duplicate, and stands nowhere, is sent again")
def duplicate_without_place():
    server = nats.Server(jetstream=False)
    outbox = Outbox(5)
    ids = outbox.ids()
    stream = StreamOfTest(server, [ids[1]])
    deliver = Deliverer(outbox, "--settle", "1", to=server.url)
    deliver.reaches({"delivered": 5})
    equal(sorted(stream.held), ids, "what the stream holds")
    equal(outbox.rows("SELECT id FROM outbox WHERE attempts > 1"), [(2,)])
    deliver.stop()
    server.stop()


# ---- who may connect -----------------------------------------------------

PASSWORD = "pw-7f3a-not-to-be-seen"


def visible(deliver):
    """All that others can see: its arguments, and its log."""
    with open(f"/proc/{deliver.process.pid}/cmdline", "rb") as f:
        return f.read().decode() + deliver.log()


@tap.test("user and password come from a file, or blanked in the URL; both "
          "are seen nowhere")
def password_is_hidden():
    server = nats.Server("authorization { user: u, password: "
                         f'"{PASSWORD}" }}')
    outbox = Outbox(1)
    key = write_file(os.path.join(outbox.folder, "user"), f"u  {PASSWORD} \n",
                     0o600)
    deliver = Deliverer(outbox, "--create-stream", "--nats-user-file", key,
                        to=server.url)
    deliver.reaches({"acked": 1})
    assert PASSWORD not in visible(deliver)
    deliver.stop()
    outbox.fill(1)
    url = f"nats://u:{PASSWORD}@127.0.0.1:{server.port}"
    deliver = Deliverer(outbox, "--to", url)
    deliver.reaches({"acked": 2})
    assert PASSWORD not in visible(deliver)
    # The server now has another password: ours is refused, and not logged.
    server.conf = 'authorization { user: u, password: "another" }'
    server.stop()
    server.start()
    outbox.fill(1)
    deliver.says("uthorization")
    time.sleep(2)
    server.conf = f'authorization {{ user: u, password: "{PASSWORD}" }}'
    server.stop()
    server.start()
    deliver.reaches({"acked": 3})
    assert PASSWORD not in visible(deliver)
    equal(outbox.rows("SELECT max(attempts) FROM outbox"), [(1,)])
    deliver.stop()
    deliver = Deliverer(Outbox(1), "--to",
                        url.replace(":%d" % server.port, ":x"))
    equal(deliver.wait(), 1)
    assert PASSWORD not in deliver.log(), deliver.log()
    server.stop()


@tap.table("a user file that {} is refused", [
    ("is not there", None), ("is empty", ""), ("holds one word", "user\n")])
def bad_user_file(_name, text):
    outbox = Outbox(1)
    path = os.path.join(outbox.folder, "user")
    if text is not None:
        write_file(path, text)
    code, run = run_once(outbox, "--nats-user-file", path,
                         to="nats://127.0.0.1:1")
    equal(code, 1)
    assert "USER PASSWORD" in run.log(), run.log()


def openssl(folder, *argv, stdin=b""):
    return subprocess.run(["openssl", *argv], cwd=folder, check=True,
                          capture_output=True, input=stdin).stdout


def certificates(folder, name):
    """A CA of our own, and a certificate for an address or a host."""
    if not shutil.which("openssl"):
        raise Skip("there is no openssl")
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
            "/CN=test CA", "-keyout", "ca.key", "-out", "ca.pem")
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=nats",
            "-keyout", "key.pem", "-out", "csr.pem")
    write_file(os.path.join(folder, "ext"), f"subjectAltName={name}\n")
    openssl(folder, "x509", "-req", "-in", "csr.pem", "-CA", "ca.pem",
            "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile",
            "ext", "-out", "cert.pem")


def tls_server(name="IP:127.0.0.1"):
    folder = Scratch.new("tls")
    certificates(folder, name)
    return folder, nats.Server(f'tls {{ cert_file: "{folder}/cert.pem", '
                               f'key_file: "{folder}/key.pem" }}')


@tap.test("TLS is spoken with a server of one's own CA")
def tls_with_own_ca():
    folder, server = tls_server()
    outbox = Outbox(3)
    deliver = Deliverer(outbox, "--create-stream", "--nats-ca",
                        folder + "/ca.pem", to=server.url)
    deliver.reaches({"acked": 3})
    deliver.stop()
    server.stop()


@tap.test("a certificate that nobody vouches for gets no row")
def unknown_certificate():
    _folder, server = tls_server()
    outbox = Outbox(1)
    deliver = Deliverer(outbox, "--create-stream", to=server.url)
    deliver.says("cannot connect")
    deliver.says("certificate")
    equal(outbox.states(), {"pending": 1})
    deliver.stop()
    server.stop()


@tap.test("a certificate of another host gets no row")
def certificate_of_other_host():
    folder, server = tls_server("DNS:other.example")
    outbox = Outbox(1)
    deliver = Deliverer(outbox, "--create-stream", "--nats-ca",
                        folder + "/ca.pem", to=server.url)
    deliver.says("cannot connect")
    equal(outbox.states(), {"pending": 1})
    deliver.stop()
    server.stop()


@tap.table("{} never speaks in the clear", [
    ("tls://", "tls", False), ("TLS://", "TLS", False),
    ("--nats-ca", "nats", True)])
def never_in_the_clear(_name, scheme, with_ca):
    server = nats.Server()
    outbox = Outbox(1)
    options = ["--create-stream"]
    if with_ca:
        certificates(outbox.folder, "IP:127.0.0.1")
        options += ["--nats-ca", outbox.folder + "/ca.pem"]
    deliver = Deliverer(outbox, *options,
                        to=f"{scheme}://127.0.0.1:{server.port}")
    deliver.says("cannot connect")
    equal(outbox.states(), {"pending": 1})
    deliver.stop()
    server.stop()


# ---- credentials: a JWT and the seed of a key ----------------------------

BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class Key:
    """An ed25519 key as NATS writes it. kind: O, A or U."""

    def __init__(self, folder, kind):
        self.folder, self.path = folder, f"{kind}.pem"
        self.kind = {"A": 0, "O": 14, "U": 20}[kind] << 3
        openssl(folder, "genpkey", "-algorithm", "ed25519", "-out", self.path)
        seed = openssl(folder, "pkey", "-in", self.path, "-outform",
                       "DER")[-32:]
        public = openssl(folder, "pkey", "-in", self.path, "-pubout",
                         "-outform", "DER")[-32:]
        self.public = self.text(bytes([self.kind]) + public)
        s = 18 << 3
        self.seed = self.text(bytes([s | self.kind >> 5,
                                     (self.kind & 31) << 3]) + seed)

    @staticmethod
    def text(data):
        crc = 0
        for byte in data:
            crc ^= byte << 8
            for _ in range(8):
                crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xffff
        bits = int.from_bytes(data + crc.to_bytes(2, "little"), "big")
        size = (len(data) + 2) * 8
        pad = -size % 5
        bits <<= pad
        return "".join(BASE32[bits >> i & 31]
                       for i in range(size + pad - 5, -1, -5))

    def jwt(self, kind, subject, **claims):
        def part(value):
            return base64.urlsafe_b64encode(json.dumps(
                value).encode()).rstrip(b"=")
        text = part({"typ": "JWT", "alg": "ed25519-nkey"}) + b"." + part({
            "jti": "x", "iat": int(time.time()), "iss": self.public,
            "name": "test", "sub": subject,
            "nats": dict(claims, type=kind, version=2)})
        message = write_file(os.path.join(self.folder, "message"), text)
        signature = openssl(self.folder, "pkeyutl", "-sign", "-inkey",
                            self.path, "-rawin", "-in", message)
        return (text + b"." + base64.urlsafe_b64encode(signature).rstrip(
            b"=")).decode()


@tap.test("a .creds file opens the door")
def creds_file():
    if not shutil.which("openssl"):
        raise Skip("there is no openssl")
    outbox = Outbox(2)
    folder = outbox.folder
    operator, account, user = (Key(folder, kind) for kind in "OAU")
    system = Key(Scratch.new("key"), "A")
    limits = {k: -1 for k in ("subs", "data", "payload", "imports",
                              "exports", "conn", "leaf", "mem_storage",
                              "disk_storage", "streams", "consumer")}
    limits["wildcards"] = True
    server = nats.Server(
        f"operator: {operator.jwt('operator', operator.public)}\n"
        f"system_account: {system.public}\n"
        "resolver: MEMORY\nresolver_preload: {\n"
        f"{account.public}: "
        f"{operator.jwt('account', account.public, limits=limits)}\n"
        f"{system.public}: {operator.jwt('account', system.public)} }}\n")
    creds = write_file(os.path.join(folder, "creds"), f"""\
-----BEGIN NATS USER JWT-----
{account.jwt("user", user.public, subs=-1, data=-1, payload=-1)}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
{user.seed}
------END USER NKEY SEED------
""", 0o600)
    deliver = Deliverer(outbox, "--create-stream", "--nats-creds", creds,
                        to=server.url)
    deliver.reaches({"acked": 2})
    assert user.seed not in visible(deliver)
    deliver.stop()
    outbox.fill(1)
    bad = write_file(os.path.join(folder, "bad"), f"{user.seed}\n")
    code, run = run_once(outbox, "--nats-creds", bad, to=server.url)
    equal(code, 1)
    assert "cannot connect" in run.log(), run.log()
    assert user.seed not in run.log(), run.log()
    code, run = run_once(outbox, "--nats-creds", folder + "/no", to=server.url)
    equal(code, 1)
    assert "--nats-creds" in run.log(), run.log()
    server.stop()


tap.last("no deliverer left a memory error")(Deliverer.inspect_all)
tap.run(lanes=4)
