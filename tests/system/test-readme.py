#!/usr/bin/env python3
"""Every block of commands in the README and in the documents behind it is run,
in the order of DOCUMENTS, and prints what stands there; every link and every
name of a file leads to something.

A comment before each block says where it is run:
  <!-- run: tree -->          in a folder, with the programs of the build
  <!-- run: db -->            beside a database that a real worker has filled
  <!-- run: db delivered -->  the same, from here on with the rows delivered
  <!-- run: root -->          on a machine; all blocks of db are run there too
  <!-- run: no, REASON -->    nowhere; REASON is one of those below
With `fails` behind it the last command has to fail. In a console block lines
up to ^D are typed, the others are what is printed, and nothing else is: `...`
alone stands for any lines, in a line for any text, and widths do not count.
Blocks of json and text hold no commands and need no mark.

The machine (root, and RUNTESTS_FULL) is this system under a layer of memory,
in a network of its own. systemd is not its first process: systemctl there
asks this test, which does what the units say. Behind inn.gs stands the event
API of the other tests, behind nats.example.org a nats-server, with TLS."""
import atexit
import base64
import ctypes
import fcntl
import glob
import os
import re
import select
import shutil
import signal
import socket
import ssl
import stat
import struct
import subprocess
import tempfile
import time

import eventapi
from database import query
from environment import BUILD, FULL, LIMIT, SRC, clean_environment
from expect import equal, until
from hooks import PATH, RECEIVED, compact, issue, signed
from http_client import http_post, http_request
from nginx import Nginx
from process import finish_process, start_process
from scratch import Scratch, write_file
from tap import Skip, Tap, need_program, skip_all
from worker import Worker

REASONS = ("it would run this test", "test-package.py does", "needs Sentry",
           "it measures for minutes", "it runs for minutes")
MARK = re.compile(r"<!-- run: (no, .*|(tree|db|root)( delivered)?( fails)?)"
                  r" -->")
COMMANDS = ("console", "sh")
NO_COMMANDS = ("json", "text")
# In the order of the reader: what a block has made is there in the next.
DOCUMENTS = ("README.md", "docs/setup.md", "docs/queries.md",
             "docs/monitoring.md", "docs/operations.md", "docs/backfill.md",
             "docs/results.md", "docs/observation.md", "docs/architecture.md",
             "SECURITY.md", "CONTRIBUTING.md", "bench/README.md")
HOOKS = os.path.join(SRC, "docs", "hooks")
CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
EVENT_KEY = "YOUR-EVENT-KEY"
NATS_USER, NATS_PASSWORD = "YOUR-USER", "YOUR-PASSWORD"
STEP_SECONDS = 170

if not os.path.exists(os.path.join(SRC, "README.md")):
    skip_all("there is no README.md")
need_program()
tap = Tap()


# ---- reading -------------------------------------------------------------

class Step:
    """A command, what is typed to it, and what it prints (None: whatever)."""

    def __init__(self, command):
        self.command = command
        self.typed = ""
        self.printed = []

    def add(self, line):
        if line == "^D":
            self.typed = "".join(x + "\n" for x in self.printed)
            self.printed = []
        else:
            self.printed.append(line)


class Block:
    def __init__(self, place, language, mark):
        self.place = place          # document:line
        self.language = language
        self.mark = mark
        self.text = []

    def steps(self):
        if self.language == "sh":
            step = Step("set -eu\n" + "\n".join(self.text))
            step.printed = None
            return [step]
        out = []
        for line in self.text:
            if line.startswith(("$ ", "# ")):
                out.append(Step(line[2:]))
            elif line.startswith("> ") and not out[-1].printed:
                out[-1].command += "\n" + line[2:]
            else:
                out[-1].add(line)
        return out

    @property
    def where(self):
        return self.mark.split()[0].rstrip(",")


def read(name, text):
    """The blocks of a document, and what is wrong with how they are written."""
    blocks, wrong, inside, last = [], [], None, ""
    for number, line in enumerate(text.split("\n"), 1):
        place = f"{name}:{number}"
        if line.startswith("```"):
            if inside is None:
                mark = MARK.fullmatch(last)
                inside = Block(place, line[3:], mark[1] if mark else "")
                if inside.language not in NO_COMMANDS:
                    blocks.append(inside)
            else:
                inside, last = None, ""
        elif inside is not None:
            inside.text.append(line)
        elif line.startswith(("    ", "\t")):
            wrong.append(f"{place}: a block without a fence")
        elif line.strip():
            if MARK.fullmatch(last):
                wrong.append(f"{place}: a mark without a block")
            last = line.strip()
    for block in blocks:
        wrong += [f"{block.place}: {why}" for why in faults_of(block)]
    return blocks, wrong


def faults_of(block):
    if block.language not in COMMANDS:
        yield f"```{block.language}: commands are in ```console or ```sh"
    if not block.mark:
        yield "no mark says where it is run"
    elif block.mark.startswith("no, ") and block.mark[4:] not in REASONS:
        yield f"{block.mark[4:]!r} is no reason that is known"
    if block.language == "console" and not re.match(
            "[$#] ", "".join(block.text[:1])):
        yield "it does not begin with a prompt"


def pattern(lines):
    """What the lines match: see above."""
    out = ""
    for line in map(tidy, lines):
        if line == "...":
            out += r"(?:.*\n)*?"
        else:
            out += ".*".join(map(re.escape, line.split("..."))) + r"\n"
    return re.compile(out)


def tidy(line):
    """Without what depends on widths."""
    return re.sub("─+", "─", re.sub(" +", " ", line)).strip()


def matches(printed, out):
    lines = [tidy(x) for x in out.rstrip("\n").split("\n")] if out else []
    return printed is None or bool(pattern(printed).fullmatch(
        "".join(x + "\n" for x in lines)))


def text_of(name):
    with open(os.path.join(SRC, name), encoding="utf-8") as document:
        return document.read()


TEXTS = {name: text_of(name) for name in DOCUMENTS}
BLOCKS, WRONG = [], []
for document_name, document_text in TEXTS.items():
    for whole, part in zip((BLOCKS, WRONG), read(document_name, document_text)):
        whole += part


@tap.test("every block of commands says where it is run")
def every_block_is_assigned():
    equal(WRONG, [])
    assert sum(b.where == "db" for b in BLOCKS) >= 10


@tap.table("{} is seen", [
    ("a block without a mark", "Text.\n\n```sh\nls\n```\n", 1),
    ("a mark that is not next to its block",
     "<!-- run: db -->\nText.\n```sh\nls\n```\n", 2),
    ("a block in another language", "<!-- run: db -->\n```bash\nls\n```", 1),
    ("an indented block", "Text:\n\n    ls\n", 1),
    ("a reason of one's own", "<!-- run: no, no time -->\n```sh\nls\n```", 1),
    ("console without a prompt", "<!-- run: db -->\n```console\nls\n```", 1),
    ("no fault in a block without commands", "```json\n{}\n```", 0),
    ("no fault in a good block", "<!-- run: db -->\n```sh\nls\n```", 0)])
def flaw_is_seen(_name, text, count):
    equal(len(read("a document", text)[1]), count)


@tap.table("what is printed is compared: {}", [
    ("another word", ["one", "two"], "one\nthree\n", False),
    ("a line more", ["one"], "one\ntwo\n", False),
    ("a line less", ["one", "two"], "one\n", False),
    ("nothing is shown", [], "one\n", False),
    ("any lines", ["one", "..."], "one\ntwo\nthree\n", True),
    ("any text", ["id=... ok"], "id=17 ok\n", True),
    ("any width", ["│ a  │", "├────┤"], "│ a │\n├───┤\n", True)])
def output_is_compared(_name, printed, out, want):
    equal(matches(printed, out), want)


def told_to_install(words):
    """What is told to apt in the command that holds `words`."""
    for block in BLOCKS:
        for step in block.steps():
            if "apt-get install" in step.command and words in step.command:
                return set(step.command.replace("\\\n", " ").split())
    raise AssertionError(words)


@tap.test("the package is built with what is said to be installed for it, "
          "and so are the programs")
def package_builds_with_readme():
    with open(os.path.join(SRC, "debian/control"), encoding="utf-8") as f:
        wanted = re.search(r"^Build-Depends:\n((?: .*\n)+)", f.read(), re.M)
    names = set(re.findall(r"^ ([a-z0-9.+-]+)", wanted[1], re.M))
    # Both of these are provided by debhelper.
    helpers = {n for n in names if n.startswith(("debhelper-", "dh-"))}
    equal(names - helpers - told_to_install("build-essential"), set())
    assert "debhelper" in told_to_install("build-essential")
    equal(names - helpers - told_to_install("autoconf"), set())


def without_blocks(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


def anchors(name):
    """As GitHub makes them of a document's headings."""
    text = without_blocks(text_of(name))
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
            for title in re.findall(r"^#+ (.*)", text, re.M)}


def lost_links(name):
    """The links of a document that lead nowhere."""
    folder = os.path.dirname(name)
    for link in re.findall(r"\]\(([^)\s]+)\)", without_blocks(TEXTS[name])):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        target = os.path.normpath(os.path.join(folder, target)) \
            if target else name
        if not os.path.exists(os.path.join(SRC, target)) or \
                anchor and anchor not in anchors(target):
            yield link


@tap.table("links lead to what is there: {}", [(x,) for x in DOCUMENTS])
def links_lead_somewhere(name):
    equal(list(lost_links(name)), [])


ROOMS = ("docs/", "conf/", "lib/", "cgi/", "bench/", "tests/", "tools/",
         "fuzz/", "dev/", "man/", "debian/")
MADE = ("bench/results", "bench/empty", "bench/floor", "fuzz/work")


@tap.table("files that are named are in the tree: {}",
           [(x,) for x in DOCUMENTS])
def named_files_exist(name):
    named = set(re.findall(r"`([\w./-]+)`", TEXTS[name]))
    equal([x for x in sorted(named) if x.startswith(ROOMS) and
           not x.startswith(MADE) and "NAME" not in x and
           not os.path.exists(os.path.join(SRC, x))], [])


def sources():
    return "".join(text_of(path) for path in glob.glob("*/*/*.[ch]",
                   root_dir=SRC) + glob.glob("tools/*", root_dir=SRC))


@tap.table("functions that are named are in the tree: {}",
           [("docs/architecture.md",), ("CONTRIBUTING.md",)])
def named_functions_exist(name):
    code = sources()
    named = set(re.findall(r"`([a-z]\w+)\(\)`", TEXTS[name]))
    equal([x for x in sorted(named) if not re.search(rf"\b{x}\(", code) and
           x not in ("until", "shutdown", "open", "wait")], [])


def all_tests():
    """The tests' sources, without the ends of strings amid a sentence."""
    text = ""
    for path in glob.glob("tests/*/*.*", root_dir=SRC):
        if path.endswith((".py", ".c", ".sh")):
            text += text_of(path)
    return re.sub(r"([\"'])\s*\\?\s*f?\1", "", text)


@tap.test("the tests that SECURITY.md names are there")
def named_tests_exist():
    promises = TEXTS["SECURITY.md"].partition("What is not promised")[0]
    names = re.findall(r'"([^"]+)"', promises)
    parts = {part.strip(" :,") for name in names for part in name.split("...")}
    text = all_tests()
    assert len(names) > 50, names
    equal([part for part in sorted(parts) if part not in text], [])


# ---- running -------------------------------------------------------------

class Place:
    """Where commands are run, one after the other; a `cd` lasts."""
    before = ()                     # words before each command

    def __init__(self, home, folder):
        self.home = home            # "/" of the place, seen from here
        self.output = os.path.join(Scratch.new("readme"), "out")
        write_file(self.path("cwd"), folder)

    def path(self, name):
        return os.path.join(self.home, name)

    def environment(self):
        path = f"{BUILD}:{SRC}/tools:{os.environ['PATH']}:/usr/sbin"
        return clean_environment({"PATH": path, "LC_ALL": "C.UTF-8"})

    def attend(self, process):
        process.wait(STEP_SECONDS)

    def run(self, step):
        """The exit status, and what was printed."""
        where = "" if self.before else self.home
        command = f'cd "$(cat {where}/cwd)" || exit; ' \
            f"trap 'pwd >{where}/cwd' EXIT\n" + step.command
        typed = write_file(self.output + ".typed", step.typed)
        with open(self.output, "wb") as out, open(typed, "rb") as stdin:
            process = start_process([*self.before, "bash", "-c", command],
                                    stdin=stdin, stdout=out, stderr=out,
                                    env=self.environment())
            self.attend(process)
        code = finish_process(process)
        with open(self.output, encoding="utf-8", errors="replace") as f:
            return code, f.read()

    def check(self, step, fails):
        """What only looks may look again: states change by themselves."""
        why = ""

        def good():
            nonlocal why
            code, out = self.run(step)
            why = f"exit status {code}, printed:\n{out[-3000:]}"
            return (code != 0) == fails and matches(step.printed, out)

        looks = re.match(r'curl -sS|sqlite3 -readonly.*"SELECT',
                         step.command, re.S)
        end = time.monotonic() + LIMIT
        while not good():
            assert looks and time.monotonic() < end, f"{step.command}\n{why}"
            time.sleep(0.1)

    def block(self, block):
        steps = block.steps()
        for step in steps:
            self.check(step, step is steps[-1] and "fails" in block.mark)


def shown(block):
    """A block's first command, short."""
    words = " ".join(block.steps()[0].command.split())
    return f"{block.place}: {words[:50].replace('#', '')}"


def fixture_missing():
    missing = [x for x in ("nginx", "curl", "sqlite3", "bash")
               if not shutil.which(x, path=os.environ["PATH"] + ":/usr/sbin")]
    if missing:
        raise Skip(f"no {missing[0]}")


class Filled(Place):
    """A folder with a database: a worker, the hooks of docs/hooks, a sink."""

    def __init__(self):
        fixture_missing()
        self.worker = Worker()
        super().__init__(Scratch.new("place"), self.worker.folder)
        nginx = Nginx(self.worker.socket)
        names = sorted(os.listdir(HOOKS))
        for name in names + names[:1]:
            subprocess.run(
                [os.path.join(SRC, "tools", "send-hook"), "--quiet",
                 "--compact", "--secret-file", self.worker.secret_file,
                 "--url", f"http://127.0.0.1:{nginx.port}{PATH}",
                 os.path.join(HOOKS, name)], check=True, timeout=LIMIT)
        self.api = None

    def deliver(self):
        until(lambda: self.worker.value(
            "SELECT count(*) FROM outbox WHERE state = 'unmapped'") == 0)
        self.api = refusing(eventapi.EventApi())
        subprocess.run([os.path.join(BUILD, "sentry-deliver"), "--once",
                        "--db", self.worker.db, "--to", self.api.url],
                       env=clean_environment(), timeout=LIMIT,
                       capture_output=True, check=False)

    def block(self, block):
        if "delivered" in block.mark and self.api is None:
            self.deliver()
        super().block(block)


def refusing(api):
    api.poison = lambda event: "metric alerts are not for us" \
        if "metric_alert" in event["data"]["sourceEvent"]["sourceType"] \
        else None
    return api


places = {}


def run_in(name, make, block):
    if name not in places:
        places[name] = None
        places[name] = make()
    if places[name] is None:
        raise Skip("the place for it could not be made")
    places[name].block(block)


def bare():
    folder = Scratch.new("tree")
    return Place(folder, folder)


for found in BLOCKS:
    for kind, maker in (("tree", bare), ("db", Filled)):
        if found.where == kind:
            tap.test(f"in short, {shown(found)}")(
                lambda b=found, k=kind, m=maker: run_in(k, m, b))


# ---- the machine ---------------------------------------------------------

class Unit:
    """A unit's settings: each a list, emptied by an empty one, with those
    of its drop-ins."""
    FOLDERS = ("etc/systemd/system", "usr/local/lib/systemd/system")

    def __init__(self, root, name):
        self.values = {}
        files = []
        for folder in self.FOLDERS:
            path = os.path.join(root, folder, name)
            if os.path.exists(path) and not files:
                files.append(path)
        assert files, f"Unit {name} not found."
        drops = os.path.join(root, self.FOLDERS[0], name + ".d")
        if os.path.isdir(drops):
            files += [os.path.join(drops, x)
                      for x in sorted(os.listdir(drops))]
        for path in files:
            with open(path, encoding="utf-8") as f:
                self.read(f.read().replace("\\\n", " "))

    def read(self, text):
        for line in text.split("\n"):
            key, equals, value = line.partition("=")
            if not equals or line.startswith("#"):
                continue
            values = self.values.setdefault(key, [])
            values[:] = values + [value] if value else []

    def all(self, key):
        return self.values.get(key, [])

    def one(self, key):
        return self.values[key][-1]


CLIENT = """#!/usr/bin/python3
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect("/run/ask")
s.sendall(" ".join(sys.argv[1:]).encode())
s.shutdown(socket.SHUT_WR)
answer = s.makefile().read()
print(answer, end="")
sys.exit(bool(answer))
"""
# What is to be installed has to be a package, and is there.
APT = """#!/bin/sh
for word; do
	case $word in
	install | -*) ;;
	*) dpkg-query -W -f '${Package} is there\\n' "$word" || exit ;;
	esac
done
"""


class Machine(Place):
    def __init__(self):
        fixture_missing()
        self.tree = make_tree()
        self.before = ("chroot", self.tree)
        super().__init__(self.tree, "/root/sentry-webhooks")
        self.listeners, self.services = {}, {}
        self.log = os.path.join(Scratch.new("machine"), "log")
        self.ask = socket.socket(socket.AF_UNIX)
        self.bind(self.ask, "run/ask")
        self.ask.listen()
        write_file(self.path("usr/local/bin/systemctl"), CLIENT, 0o755)
        write_file(self.path("usr/local/bin/apt-get"), APT, 0o755)
        self.world()
        self.nginx = self.start_process(["nginx", "-g", "daemon off;"])

    def environment(self):
        return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
                        "/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}

    def world(self):
        """The two hosts that the documents talk to."""
        folder = Scratch.new("world")
        names = ("inn.gs", "nats.example.org")
        certificates(folder, names)
        write_file(self.path("etc/hosts"), "127.0.0.1 localhost " +
                   " ".join(names) + "\n")
        shutil.copy(os.path.join(folder, "ca.pem"), self.path(
            "usr/local/share/ca-certificates/test.crt"))
        subprocess.run([*self.before, "update-ca-certificates"], check=True,
                       env=self.environment(), capture_output=True)
        eventapi.KEY = EVENT_KEY
        self.api = refusing(eventapi.EventApi(port=443))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(folder, "cert.pem"),
                                os.path.join(folder, "key.pem"))
        self.api.serve = lambda s, serve=self.api.serve: serve(
            context.wrap_socket(s, server_side=True,
                                do_handshake_on_connect=False))
        conf = write_file(os.path.join(folder, "conf"), f"""
            listen: 127.0.0.1:4222
            tls {{ cert_file: "{folder}/cert.pem",
                key_file: "{folder}/key.pem" }}
            authorization {{ user: {NATS_USER}, password: {NATS_PASSWORD} }}
            jetstream {{ store_dir: "{folder}/store" }}""")
        with open(self.log, "ab") as log:
            start_process(["nats-server", "-c", conf], stdout=log, stderr=log)

    # What systemctl is asked for.

    def attend(self, process):
        for _ in range(STEP_SECONDS * 20):
            if process.poll() is not None:
                return
            if select.select([self.ask], [], [], 0.05)[0]:
                client, _ = self.ask.accept()
                with client:
                    words = client.makefile().read().split()
                    client.sendall(self.obey(words).encode())
        raise AssertionError(f"not done after {STEP_SECONDS} s")

    def obey(self, words):
        verb, names = words[0], [x for x in words[1:] if x[0] != "-"]
        try:
            if verb == "daemon-reload":
                return ""
            if (verb, names) == ("reload", ["nginx"]):
                self.nginx.send_signal(signal.SIGHUP)
                return ""
            for name in names:
                if verb == "try-restart" and name not in self.services:
                    continue
                if verb in ("stop", "restart", "try-restart"):
                    self.stop(name)
                if verb in ("start", "restart", "try-restart") or \
                        "--now" in words:
                    self.start(name)
            assert verb in ("start", "stop", "restart", "try-restart",
                            "enable"), words
        except (AssertionError, KeyError, OSError) as error:
            return f"Failed: {error!r}\n"
        return ""

    def start(self, name):
        unit = Unit(self.tree, name)
        if name in self.services or name in self.listeners:
            return
        if name.endswith(".socket"):
            self.listeners[name] = self.listen(unit)
            # At once, not with the first request.
            self.start(name.replace(".socket", ".service"))
        else:
            self.services[name] = self.start_service(name, unit)

    def stop(self, name):
        if name in self.listeners:
            self.listeners.pop(name).close()
            os.remove(self.path(Unit(self.tree, name).one(
                "ListenStream").lstrip("/")))
        elif name in self.services:
            service = self.services.pop(name)
            service.terminate()
            equal(finish_process(service), 0, f"{name} ended with")

    def bind(self, sock, name):
        folder, name = os.path.split(self.path(name))
        home = os.getcwd()
        os.makedirs(folder, exist_ok=True)
        os.chdir(folder)            # the whole path may be too long
        try:
            sock.bind(name)
        finally:
            os.chdir(home)

    def listen(self, unit):
        sock = socket.socket(socket.AF_UNIX)
        path = unit.one("ListenStream").lstrip("/")
        self.bind(sock, path)
        self.chroot("chown", "root:" + unit.one("SocketGroup"), "/" + path)
        self.chroot("chmod", unit.one("SocketMode"), "/" + path)
        sock.listen(*map(int, unit.all("Backlog")))
        return sock

    def start_service(self, name, unit):
        user, credentials = unit.one("User"), f"/run/credentials/{name}"
        env = dict(x.split("=", 1) for x in unit.all("Environment"))
        env["CREDENTIALS_DIRECTORY"] = credentials
        for state in unit.all("StateDirectory"):
            env["STATE_DIRECTORY"] = state = "/var/lib/" + state
            self.chroot("install", "-d", "-o", user, "-g", user, "-m",
                        unit.one("StateDirectoryMode"), state)
        self.chroot("install", "-d", "-o", user, "-m", "0500", credentials)
        for line in unit.all("LoadCredential"):
            target, source = line.split(":")
            self.chroot("install", "-o", user, "-m", "0400", source,
                        f"{credentials}/{target}")
        stdin = subprocess.DEVNULL
        if unit.all("StandardInput") == ["socket"]:
            stdin = self.listeners[name.replace(".service", ".socket")]
        return self.start_process(
            ["setpriv", "--reuid", user, "--regid", unit.one("Group"),
             "--clear-groups", "--no-new-privs", "--bounding-set=-all",
             *unit.one("ExecStart").replace("%d", credentials).split()],
            stdin, env)

    def start_process(self, argv, stdin=subprocess.DEVNULL, env=()):
        with open(self.log, "ab") as log:
            return start_process(
                [*self.before, *argv], stdin=stdin, stdout=log, stderr=log,
                env={**self.environment(), **dict(env)})

    def chroot(self, *argv):
        done = subprocess.run([*self.before, *argv], env=self.environment(),
                              capture_output=True, check=False)
        assert done.returncode == 0, (argv, done.stderr)

    def check(self, step, fails):
        try:
            super().check(step, fails)
        except AssertionError:
            with open(self.log, errors="replace") as f:
                for line in f.read().splitlines()[-20:]:
                    print(f"# log: {line}")
            raise


def certificates(folder, names):
    def openssl(*argv):
        subprocess.run(["openssl", *argv], cwd=folder, check=True,
                       capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca-key.pem", "-out", "ca.pem",
            "-subj", "/CN=test", "-days", "2")
    openssl("req", *key, "-keyout", "key.pem", "-out", "csr.pem", "-subj",
            "/CN=test")
    write_file(os.path.join(folder, "names"), "subjectAltName=" +
               ",".join("DNS:" + x for x in names))
    openssl("x509", "-req", "-in", "csr.pem", "-CA", "ca.pem", "-CAkey",
            "ca-key.pem", "-CAcreateserial", "-days", "2", "-extfile",
            "names", "-out", "cert.pem")


def mount(*argv):
    subprocess.run(["mount", *argv], check=True, capture_output=True)


def make_tree():
    """This system under a layer of memory; mounts, and a network, that end
    with this process. The sources are where a clone would be. Nothing of the
    system itself is bound in here, and no folder with mounts is removed with
    what is in it: it would be the system's."""
    if LIBC.unshare(CLONE_NEWNS | CLONE_NEWNET):
        raise Skip("may not have mounts and a network of its own")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        # SIOCSIFFLAGS: IFF_UP
        fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", 1))
    mount("--make-rprivate", "/")
    memory = tempfile.mkdtemp(prefix="sentry-layer-")
    atexit.register(os.rmdir, memory)
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", memory)
    atexit.register(subprocess.run, ["umount", "-R", "-l", memory])
    upper, work, root = (os.path.join(memory, x)
                         for x in ("upper", "work", "root"))
    for name in (upper, work, root):
        os.mkdir(name)
    try:
        mount("-t", "overlay", "overlay", "-o",
              f"lowerdir=/,upperdir={upper},workdir={work}", root)
    except subprocess.CalledProcessError as error:
        raise Skip("no layer over this system") from error
    clone = os.path.join(root, "root/sentry-webhooks")
    # Over what is there: a clone may be, this one even, and its build changes.
    os.makedirs(clone, exist_ok=True)
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", clone)
    shutil.copytree(SRC, clone, dirs_exist_ok=True, ignore=lambda at, names: [
        x for x in names if x in (".git", "autom4te.cache", "configure")
        or os.path.join(at, x) == BUILD
        or at == SRC and x.startswith("build") and x != "build-aux"])
    for name, mode in ("tmp", "1777"), ("run", "755"), ("dev", "755"):
        mount("-t", "tmpfs", "-o", "mode=" + mode, "tmpfs",
              os.path.join(root, name))
    mount("-t", "proc", "proc", os.path.join(root, "proc"))
    make_devices(os.path.join(root, "dev"))
    return root


def make_devices(folder):
    """Its own, none of the system's."""
    for name, minor in (("null", 3), ("zero", 5), ("full", 7), ("random", 8),
                        ("urandom", 9)):
        path = os.path.join(folder, name)
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, minor))
        os.chmod(path, 0o666)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"),
                         ("stderr", "/2")):
        os.symlink("/proc/self/fd" + target, os.path.join(folder, name))


def machine_or_skip(block):
    if not FULL:
        raise Skip("takes long; set RUNTESTS_FULL")
    if os.getuid() != 0:
        raise Skip("wants root")
    for tool in ("chroot", "mount", "openssl", "nats-server", "autoreconf",
                 "systemd-sysusers", "update-ca-certificates"):
        if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin"):
            raise Skip(f"no {tool}")
    run_in("root", Machine, block)


# At the end: what comes later has another network.
for found in BLOCKS:
    if found.where in ("root", "db"):
        tap.test(f"on the machine, {shown(found)}")(
            lambda b=found: machine_or_skip(b))



@tap.test("then the machine takes hooks by both secrets, and has a page")
def machine_takes_hooks():
    machine = places.get("root")
    if machine is None:
        raise Skip("no machine")
    db = machine.path("var/lib/sentry-webhooks/outbox.db")
    count = query(db, "SELECT count(*) FROM outbox")[0][0]
    # Six; a project was erased, and a comment observed afterwards.
    assert count == 6, count
    for secret in "YOUR-NEW-CLIENT-SECRET", "YOUR-CLIENT-SECRET":
        body = compact(issue())
        answer = http_post(8080, PATH, body, signed(body, secret=secret))
        equal((answer.status, answer.body), (200, RECEIVED), answer)
    password = base64.b64encode(b"kai:YOUR-PASSWORD").decode()
    page = http_request(8080, "GET", PATH + "/page",
                        {"Authorization": "Basic " + password})
    assert page.status == 200 and b"<html" in page.body, page
    equal([row[0] for row in query(
        db, "SELECT secret_name FROM webhook ORDER BY id DESC LIMIT 2")],
        ["old-2025", "new-2026"])


os.environ["PATH"] += ":/usr/sbin:/sbin"
tap.run()
