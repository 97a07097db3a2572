#!/usr/bin/env python3
"""The page: behind nginx's login and as plain CGI, over rows whose texts try to
be markup. It only reads, and holds up nobody. With RUNTESTS_FULL also in a
real Chromium, where there is one."""
import base64
import hashlib
import html.parser
import json
import os
import re
import shutil
import subprocess
import time
import xml.etree.ElementTree as xml

from database import map_everything, open_db, shell_ok
from environment import (FULL, LIMIT, MEMORY_ERROR, PAGE_PROGRAM, WRAPPER,
                         clean_environment, sanitized, strip_valgrind)
from expect import equal, until
from fastcgi import cgi_answer, fcgi, params, post_params
from hooks import compact, issue, signed
from latency import Latency
from logfmt import LogFile
from nginx import Nginx, sample_server
from outbox import Outbox, insert_row
from process import finish_process, start_process
from scratch import Scratch, write_file
from sockets import listening_socket
from tap import Skip, Tap, need_program
from worker import Worker

need_program(PAGE_PROGRAM)
tap = Tap()
PATH = "/api/sentry/webhooks/page"
PASSWORD = "correct horse"
LOGIN = {"Authorization": "Basic " + base64.b64encode(
    f"kai:{PASSWORD}".encode()).decode()}
NOW = int(time.time() * 1000)
HTML = "text/html; charset=utf-8"

# What a title may be. Nothing of it may become markup, and nothing may break
# the page: no element, no statement, no direction of the text around it.
EVIL = {
    "script": "<script>document.title='owned'</script>",
    "image": "<img src=x onerror=\"document.title='owned'\">",
    "attribute": "\" onmouseover=\"document.title='owned'\" x=\"",
    "quotes": "'\"`&amp;&lt;&#60;",
    "cdata": "]]></bdi></td></table></main>",
    "comment": "--><!--<svg/onload=alert(1)>",
    "style": "</style><style>*{display:none}</style>",
    "direction": "\u202egnp.exe \u2066 \u2069\u2069 \u202a",
    "controls": "a\x01\x08\x0b\x0c\x1b[31m\x7f\x9f b",
    "no XML": "\ufffe\uffff",
    "long": "<&\"'>" * 13108,
    "one word": "W" * 65536,
    "emoji": "\U0001f47e\U0001f3f3\ufe0f\u200d\U0001f308 e\u0301",
    "Arabic": "\u0627\u0644\u0645\u0642\u0647\u0649 \u0645\u063a\u0644\u0642",
    "NUL": "before\0after<b>",
    "no UTF-8": b"caf\xe9 \xed\xa0\x80 \xf5\x80 \xc3",
}


# ---- a database ----------------------------------------------------------

def add(db, title="a title", state="delivered", at=NOW, **columns):
    """One hook with its row, whose texts are all this title; its id."""
    text = title.decode("utf-8", "replace") if isinstance(title, bytes) \
        else title
    event = {"source": "sentry", "title": text, "body": text, "empty": [],
             "nested": {"a": [1, {"b": "c: [,]"}]}}
    return insert_row(db, **{
        "title": title, "state": state, "created_at": at, "issue_id": "1",
        "project_slug": "shop", "source_event": json.dumps(event), **columns})


def fill(path):
    """Rows in every state, and each evil text in every place. The ids of the
    evil ones by their names."""
    db, ids = open_db(path, write=True), {}
    db.execute("BEGIN")
    for i in range(40):
        add(db, at=NOW - i * 60000, release="shop@1.4.2", short_id="SHOP-1",
            environment="production", level="error")
    for name, text in EVIL.items():
        slug = text.replace("\0", "") if isinstance(text, str) else text
        add(db, text, "unmapped", project_slug=slug, installation=slug,
            release=text, environment=text, short_id=text, level=text)
        ids[name] = add(db, text, "dead", last_error=text, project_slug=text,
                        sink=text, release=text, issue_id=text)
    add(db, "waits", "pending", NOW - 7200000)
    add(db, "acknowledged", "acked", sink="nats")
    add(db, "no project", "unmapped", project_slug=None, installation="it's")
    db.execute("COMMIT")
    db.close()
    return ids


FOLDER = Scratch.new("page")
DB = Outbox().db
IDS = fill(DB)


# ---- the program ---------------------------------------------------------

LATE = b"There is more than can be looked through"


def in_time(ask):
    """The answer of a page that had the time for all of itself: on a busy
    machine it may have to be asked again."""
    answers = []

    def whole():
        answers.append(ask())
        return LATE not in answers[-1].body
    until(whole, "the page is always late")
    return answers[-1]


class Page(LogFile):
    def __init__(self, db, *options, listen=None, wrap=()):
        self.folder = Scratch.new("page")
        self.listen = listen
        self.socket = listen.getsockname() if listen else \
            os.path.join(self.folder, "socket")
        argv = list(wrap) + WRAPPER + [PAGE_PROGRAM, "--db", db, *options]
        if not listen:
            argv += ["--socket", self.socket]
        self.stderr = os.path.join(self.folder, "stderr")
        with open(self.stderr, "wb") as log:
            self.process = start_process(
                argv, stderr=log, env=clean_environment(),
                stdin=listen.fileno() if listen else subprocess.DEVNULL)
        until(self.listens, "the page does not start")

    def listens(self):
        assert self.process.poll() is None, self.log()
        return "event=start" in self.log()

    def get(self, query="", method="GET", **more):
        return in_time(lambda: fcgi(self.socket, params(
            method, PATH, {"QUERY_STRING": query, **more})))

    def stop(self):
        self.process.terminate()
        code = finish_process(self.process)
        assert not MEMORY_ERROR.search(self.log()), self.log()
        return code


def server_with_login(port, socket):
    """The sample's server, with its block for the page turned on."""
    config = sample_server(port, socket)
    block = re.search(r"^ *# location = " + PATH + r" \{\n(?: *#.*\n)*? *# \}"
                      r"\n", config, re.M)
    assert block, "nginx.conf.sample has no block for the page"
    on = re.sub(r"^( *)# ?", r"\1", block[0], flags=re.M)
    on, found = re.subn(r"(auth_basic_user_file )[^;]+", rf"\g<1>{USERS}", on)
    equal(found, 1, "auth_basic_user_file")
    on, found = re.subn(r"unix:[^;]+", f"unix:{socket}", on)
    equal(found, 1, "fastcgi_pass")
    return config.replace(block[0], on)


def htpasswd():
    """A line as `htpasswd -s` makes it: {SHA} is known to every nginx."""
    digest = base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest())
    return write_file(os.path.join(FOLDER, "users"),
                      "kai:{SHA}" + digest.decode() + "\n", 0o644)


USERS = htpasswd()
PAGE = Page(DB)
NGINX = Nginx(PAGE.socket, server_with_login)


def cgi(query="", method="GET", db=DB, **more):
    """One process, one request."""
    return in_time(lambda: cgi_once(query, method, db, **more))


def cgi_once(query="", method="GET", db=DB, words=(), **more):
    values = params(method, PATH, {"QUERY_STRING": query, **more})
    done = subprocess.run(
        WRAPPER + [PAGE_PROGRAM, *words], capture_output=True,
        timeout=LIMIT, stdin=subprocess.DEVNULL, env=clean_environment(
            {"SENTRY_WEBHOOKS_DB": db, **values}))
    error = done.stderr.decode("utf-8", "replace")
    assert not MEMORY_ERROR.search(error), error
    equal(done.returncode, 0, error)
    return cgi_answer(done.stdout, done.stderr)


def behind_nginx(query="", method="GET", headers=None):
    return NGINX.get(PATH + ("?" + query if query else ""), method,
                     LOGIN if headers is None else headers)


WAYS = [("behind nginx", behind_nginx), ("as plain CGI", cgi),
        ("on its socket", PAGE.get)]


# ---- what every answer is ------------------------------------------------

def parse(answer, status=200):
    """The tree of an answer, after all checks that every answer has to pass."""
    equal((answer.status, answer.headers.get("content-type")),
          (status, HTML), answer)
    text = answer.body.decode("utf-8")
    tree = xml.fromstring(text)
    equal(tree.tag, "html")
    check_harmless(tree)
    check_accessible(tree)
    check_headers(answer)
    return tree


def check_headers(answer):
    get = answer.headers.get
    policy = dict(part.strip().split(" ", 1) for part in
                  get("content-security-policy").split(";"))
    equal(policy, {"default-src": "'none'", "style-src": "'self'",
                   "form-action": "'self'", "base-uri": "'none'",
                   "frame-ancestors": "'none'"})
    equal((get("cache-control"), get("x-content-type-options"),
           get("referrer-policy"), get("x-frame-options"),
           get("cross-origin-resource-policy"),
           get("cross-origin-opener-policy")),
          ("no-store", "nosniff", "no-referrer", "DENY", "same-origin",
           "same-origin"))


TAGS = set("""html head meta link title body a header nav ul li main h1 h2 p
form label input button footer section div table caption thead tbody tr th td
figure figcaption svg desc path rect span details summary time bdi code dl dt
dd pre""".split())
ATTRIBUTES = set("""lang charset name content rel href class id for method
action inputmode pattern required autocomplete tabindex aria-label
aria-labelledby role scope colspan viewBox preserveAspectRatio d x y width
height datetime dir""".split())


def check_harmless(tree):
    """No element and no attribute but ours; no link but to ourselves."""
    for node in tree.iter():
        assert node.tag in TAGS, node.tag
        assert set(node.attrib) <= ATTRIBUTES, node.attrib
        href = node.get("href", "?")
        assert re.fullmatch(r"\?|\?style|#[a-z]+|\?row=\d+"
                            r"|\?dead=\d+#dead", href), href


def check_accessible(tree):
    ids = [n.get("id") for n in tree.iter() if n.get("id")]
    equal(len(ids), len(set(ids)), "ids")
    for name in ("header", "main", "footer", "h1"):
        equal(len(list(tree.iter(name))), 1, name)
    body = tree.find("body")
    equal((body[0].tag, body[0].get("href")), ("a", "#main"))
    for node in tree.iter():
        for target in node.get("aria-labelledby", "").split():
            assert target in ids, target
        if node.get("href", "").startswith("#"):
            assert node.get("href")[1:] in ids, node.get("href")
        if node.tag == "table":
            equal(node[0].tag, "caption")
        if node.tag == "th":
            assert node.get("scope") in ("row", "col", "rowgroup")
        if node.tag == "svg":
            equal((node.get("role"), node[0].tag, node[1].tag),
                  ("img", "title", "desc"))
    equal([n.get("for") for n in tree.iter("label")],
          [n.get("id") for n in tree.iter("input")])


def text_of(node):
    return "".join(node.itertext())


def section(tree, name):
    for node in tree.iter("section"):
        if node.get("aria-labelledby") == name:
            return node
    raise AssertionError(f"no part {name}")


def table(node):
    """The body's rows, as texts."""
    return [[text_of(cell) for cell in row]
            for part in node.iter("tbody") for row in part]


def shown(text):
    """What is left of a text, as a reader sees it."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    text = re.sub("[^\t\n\r\x20-\x7e\xa0-\u2029\u202f-\u2065\u206a-\ufffd"
                  "\U00010000-\U0010ffff]", "\ufffd", text)
    return text.replace("\r", "\n")


# ---- the tests -----------------------------------------------------------

@tap.table("the overview is whole, harmless and accessible {}", WAYS)
def overview_is_accessible(_way, get):
    def whole():
        """The tree; None if the page left out a part for lack of time."""
        tree = parse(get())
        faults = [text_of(n) for n in tree.iter() if n.get("class") == "fault"]
        assert all("more than can be looked" in x for x in faults), faults
        return None if faults else tree
    tree = until(whole, "it never has the time")
    for name in ("queue", "hooks", "unmapped", "dead", "recent", "releases"):
        assert section(tree, name) is not None


@tap.table("HEAD gives the headers alone {}", WAYS[:2])
def head_gives_headers(_way, get):
    answer = get(method="HEAD")
    equal((answer.status, answer.body), (200, b""))
    check_headers(answer)
    assert int(answer.headers["content-length"]) > 1000


@tap.table("{} is refused", [
    (f"{method} {way}", method, get) for way, get in WAYS
    for method in ("POST", "PUT", "DELETE", "OPTIONS")])
def request_is_refused(_name, method, get):
    answer = get(method=method)
    parse(answer, 405)
    equal(answer.headers.get("allow"), "GET, HEAD")


@tap.table("a query of {0!r} is not found", [
    (q,) for q in ("x", "row=", "row=x", "row=-1", "row=1&row=2", "row=0",
                   "row=1%20", "row=9999999", "row=" + "9" * 18,
                   "row=" + "9" * 19, "row=1'--", "dead=", "dead=x",
                   "style=1", "row=<script>", "Row=1", "a" * 5000)])
def bad_query_is_not_found(query):
    tree = parse(PAGE.get(query), 404)
    assert "<script>" not in text_of(tree)


@tap.test("a path below the page is not found")
def path_below_is_not_found():
    parse(PAGE.get(PATH_INFO="/x"), 404)
    parse(PAGE.get(PATH_INFO="/"), 200)


@tap.test("nginx lets nobody in without a login")
def nginx_asks_for_login():
    for headers in ({}, {"Authorization": "Basic a2FpOmthaQ=="}):
        for query in ("", "style", "row=1"):
            answer = behind_nginx(query, headers=headers)
            equal(answer.status, 401)
            assert b"shop" not in answer.body


@tap.test("the sample keeps the page off")
def sample_keeps_page_off():
    equal(fcgi(PAGE.socket, params("GET", PATH)).status, 200)
    off = Nginx(PAGE.socket)
    try:
        equal(off.get(PATH, headers=LOGIN).status, 404)
    finally:
        off.stop()


@tap.test("nginx hands no header on to the page")
def nginx_passes_no_header():
    block = server_with_login(1, "x").split(f"location = {PATH} {{")[1]
    assert "fastcgi_pass_request_headers off;" in block.split("}")[0]


@tap.test("the style sheet is a style sheet, and loads nothing")
def style_sheet():
    answer = behind_nginx("style")
    equal((answer.status, answer.headers["content-type"]),
          (200, "text/css; charset=utf-8"))
    check_headers(answer)
    assert not re.search(rb"url\(|@import|expression|<", answer.body)
    assert b"prefers-color-scheme: dark" in answer.body
    equal(answer.body.count(b"{"), answer.body.count(b"}"))


@tap.test("the queue shows each state with its count and age")
def queue_shows_states():
    n = len(EVIL)
    rows = table(section(parse(PAGE.get()), "queue"))
    equal([(r[0], r[1]) for r in rows],
          [("pending", "1"), ("unmapped", str(n + 1)), ("acked", "1"),
           ("dead", str(n)), ("delivered", "40")])
    assert rows[0][2].startswith("2 h "), rows[0]


@tap.test("the plot says in words, bars and a table how many hooks came")
def plot_of_hooks():
    part = section(parse(PAGE.get()), "hooks")
    n = 40 + 2 * len(EVIL) + 3
    desc = text_of(next(part.iter("desc")))
    assert desc.startswith(f"{n} hooks in the last three hours; most"), desc
    equal(sum(int(r[1]) for r in table(part)), n)
    assert len(list(part.iter("rect"))) >= 40


@tap.test("an unmapped project comes with a statement that maps it")
def unmapped_project_statement():
    db = Outbox().db
    edit = open_db(db, write=True)
    add(edit, state="unmapped", project_slug="web-eu")
    add(edit, state="unmapped", project_slug=None, project_id="77")
    add(edit, state="unmapped", project_slug=None, installation="uuid-1")
    part = section(parse(cgi(db=db)), "unmapped")
    statements = [text_of(n) for n in part.iter("code")]
    equal(len(statements), 3)
    for statement in statements:
        edit.execute(statement.replace("WORKSPACE", "ws_9"))
    equal(edit.execute("SELECT count(*) FROM workspace_map").fetchone()[0], 3)
    edit.close()


@tap.test("hostile statements stay one string each")
def hostile_statements():
    part = section(parse(PAGE.get()), "unmapped")
    rows = table(part)
    assert len(rows) > 5, rows
    for row in rows:
        assert re.fullmatch(
            r"INSERT INTO workspace_map \((project_slug|project_id|"
            r"installation), workspace_id\) VALUES \('(?:[^']|'')*"
            r"(\u2026|', 'WORKSPACE'\);)", row[2], re.S), row[2][:300]
        assert len(row[2]) <= 1001


@tap.test("dead rows come with their reasons, and the older ones by a link")
def dead_rows():
    db = Outbox().db
    edit = open_db(db, write=True)
    for i in range(25):
        add(edit, state="dead", last_error=f"reason {i}")
    edit.close()
    part = section(parse(cgi(db=db)), "dead")
    equal([r[1] for r in table(part)],
          [f"reason {i}" for i in range(24, 4, -1)])
    link = [n.get("href") for n in part.iter("a")][-1]
    part = section(parse(cgi(link[1:].split("#")[0], db=db)), "dead")
    equal([r[1] for r in table(part)],
          [f"reason {i}" for i in range(4, -1, -1)])
    assert not [n for n in part.iter("a") if "dead" in n.get("href")]


@tap.test("issues stand below the release that they were seen in")
def issues_by_release():
    part = section(parse(PAGE.get()), "releases")
    heads = [text_of(n) for n in part.iter("th")
             if n.get("scope") == "rowgroup"]
    assert "shop@1.4.2" in heads, heads
    equal(len(heads), len(set(heads)), "a release twice")
    row = table(part)[[r[0] for r in table(part)].index("shop@1.4.2") + 1]
    equal(row[:4], ["SHOP-1", "production", "error", "a title"])


@tap.table("a text with {0} is shown as text", [(n,) for n in EVIL])
def hostile_text(name):
    tree = parse(PAGE.get(f"row={IDS[name]}"))
    want = shown(EVIL[name])
    fields = {text_of(n[0]): text_of(n[1]) for n in tree.iter("div")
              if len(n) == 2 and n[0].tag == "dt"}
    equal(fields["Title"], want)
    equal(fields["Reason"], want)
    equal(fields["State"], "dead")
    short = want if len(want) <= 300 else want[:300] + "\u2026"
    equal((fields["Project"], fields["Release"]), (short, short))
    assert "\u202e" not in text_of(tree)
    assert b'" onmouseover' not in PAGE.get(f"row={IDS[name]}").body
    if name not in ("NUL", "no UTF-8", "controls", "no XML", "direction"):
        event = json.loads(fields["Source event"])
        equal((event["title"], event["empty"], event["nested"]),
              (want, [], {"a": [1, {"b": "c: [,]"}]}))


@tap.test("a row shows neither headers nor secrets nor the raw body")
def row_hides_secrets():
    for query in ("", "row=1"):
        body = PAGE.get(query).body
        for word in (b"the-secret-name", b"the-request-id", b"the raw body"):
            assert word not in body, (query, word)
    assert b"source_event" not in PAGE.get("row=1").body


@tap.test("the overview holds no body")
def overview_has_no_body():
    equal([n for n in parse(PAGE.get()).iter("pre")], [])


@tap.test("looking changes no byte of the database")
def database_is_unchanged():
    def state():
        with open(DB, "rb") as f:
            return hashlib.sha256(f.read()).hexdigest(), os.path.getsize(
                DB + "-wal") if os.path.exists(DB + "-wal") else 0
    before = state()
    for query in ("", "row=1", "dead=9", "style", "x"):
        PAGE.get(query)
        cgi(query)
    equal(state(), before)


@tap.test("it writes to no file, and opens nothing but the database")
def opens_only_database():
    if not shutil.which("strace") or sanitized() or WRAPPER:
        raise Skip("no strace, or not for it")
    trace = os.path.join(FOLDER, "trace")
    done = subprocess.run(
        ["strace", "-f", "-y", "-o", trace, "-e",
         "trace=openat,open,creat,unlink,unlinkat,rename,write,pwrite64,"
         "ftruncate,connect,socket,execve,fsync,fdatasync", PAGE_PROGRAM],
        capture_output=True, timeout=LIMIT, stdin=subprocess.DEVNULL,
        env=clean_environment({"SENTRY_WEBHOOKS_DB": DB,
                               **params("GET", PATH)}))
    equal(done.returncode, 0, done.stderr)
    with open(trace, encoding="utf-8", errors="replace") as f:
        # A build that measures coverage counts in files of its own.
        lines = [line for line in f if " = " in line and ".gcda" not in line]
    for call in ("pwrite64", "unlink", "rename", "connect", "socket",
                 "fsync", "fdatasync", "creat"):
        found = [x for x in lines if re.search(rf"\b{call}\(", x)]
        # The WAL's index is no part of what is kept.
        equal([x for x in found if "-shm" not in x], [], call)
    equal([x for x in lines if re.search(r"\bwrite\((?!1[,<])", x)], [])


@tap.test("it needs no right to write")
def needs_no_write_permission():
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        raise Skip("not root")
    db = Outbox().db
    edit = open_db(db, write=True)
    add(edit, "still there")
    folder = os.path.dirname(db)
    for name in os.listdir(folder):
        os.chmod(os.path.join(folder, name), 0o644)
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
         PAGE_PROGRAM], capture_output=True, timeout=LIMIT,
        stdin=subprocess.DEVNULL, env=clean_environment({
            "SENTRY_WEBHOOKS_DB": db, **params("GET", PATH)}))
    edit.close()
    if not os.access(PAGE_PROGRAM, os.X_OK):
        raise Skip("the build is not for others")
    assert b"still there" in done.stdout, done


@tap.test("a held write lock and a running worker do not matter to it")
def lock_does_not_matter():
    worker = Worker()
    map_everything(worker.db)
    equal(worker.send(issue(title="it is live")).status, 200)
    page = Page(worker.db)
    lock = worker.lock()
    assert b"it is live" in page.get().body
    lock.release()
    equal(worker.send(issue(title="and this too")).status, 200)
    assert b"and this too" in page.get().body
    equal(page.stop(), 0)


@tap.test("it keeps no snapshot that the worker would have to wait for")
def no_snapshot_is_kept():
    db = Outbox().db
    page = Page(db)
    equal(page.get().status, 200)
    with open("/proc/%d/maps" % page.process.pid) as f:
        assert "outbox.db" not in f.read()
    fds = f"/proc/{page.process.pid}/fd"
    equal([x for x in os.listdir(fds)
           if "outbox" in os.readlink(f"{fds}/{x}")], [])
    edit = open_db(db, write=True)
    add(edit)
    equal(tuple(edit.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()),
          (0, 0, 0))
    edit.close()
    equal(page.stop(), 0)


def big_outbox(rows):
    """So many old rows, with gaps where deletion left dead ones."""
    def state(i):
        return "dead" if i % 1000 == 0 else {
            3: "unmapped", 4: "pending"}.get(i % 10, "delivered")
    outbox = Outbox()
    outbox.add_all({"id": i, "created_at": NOW - rows + i, "state": state(i),
                    "project_slug": f"p{i}"} for i in range(1, rows + 1))
    outbox.do("DELETE FROM outbox WHERE state = 'delivered' AND id < ?",
              rows // 2)
    return outbox


@tap.test("many rows are counted without reading them, and in time")
def many_rows_in_time():
    rows = 1000000 if FULL else 20000
    outbox = big_outbox(rows)
    with Latency(outbox.folder) as latency:
        answer = cgi_once(db=outbox.db)
    tree = parse(answer)
    counts = {r[0]: r[1] for r in table(section(tree, "queue"))}
    print(f"# {rows} rows: {counts}")
    latency.within(3)
    equal((counts["pending"], counts["unmapped"], counts["dead"]),
          tuple(f"{n:,}" for n in (rows // 10, rows // 10, rows // 1000)))
    found = re.fullmatch(r"about ([\d,]+)", counts["delivered"])
    assert found, counts
    real = outbox.states()["delivered"]
    # A guess by 400 places, of which some 240 hold a row, give or take 6.
    about = int(found[1].replace(",", ""))
    assert abs(about - real) < rows / 8, (about, real)


@tap.table("as CGI, words of a query that are {} change nothing", [
    ("a database", ["--db", "/no/such"], 404), ("--help", ["--help"], 404),
    ("the style sheet", ["style"], 200)])
def query_is_no_options(_name, words, status):
    equal(cgi_once(query="+".join(words), words=words).status, status)


@tap.test("a database that is not there, not ours or empty gives 503")
def bad_database_is_503():
    folder = Scratch.new("page")
    foreign = os.path.join(folder, "foreign.db")
    shell_ok(foreign, "CREATE TABLE t (x)")
    noise = write_file(os.path.join(folder, "noise.db"), os.urandom(65536))
    empty = write_file(os.path.join(folder, "empty.db"), b"")
    for db in (foreign, noise, empty, folder + "/none.db", folder):
        for query in ("", "row=1"):
            answer = cgi(query, db=db)
            tree = parse(answer, 503)
            assert folder not in text_of(tree), text_of(tree)
            assert b"database-fault" in answer.error
    assert not os.path.exists(folder + "/none.db")


@tap.test("a database that is replaced is the one that is looked at")
def replaced_database_is_read():
    db = Outbox().db
    page = Page(db)
    equal(page.get("row=1").status, 404)
    other = Outbox().db
    edit = open_db(other, write=True)
    add(edit, "the other one")
    edit.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    edit.close()
    for end in ("-wal", "-shm"):
        if os.path.exists(db + end):
            os.unlink(db + end)
    os.rename(other, db)
    assert b"the other one" in page.get("row=1").body
    equal(page.stop(), 0)


@tap.test("it serves a socket on descriptor 0, and leaves it there")
def serves_descriptor_0():
    path = os.path.join(Scratch.new("page"), "socket")
    with listening_socket(path) as listen:
        page = Page(DB, listen=listen)
        equal(page.get().status, 200)
        equal(page.stop(), 0)
        assert os.path.exists(path)


@tap.test("its own socket has the mode that was asked for, and goes with it")
def own_socket():
    page = Page(DB, "--socket-mode", "0600")
    equal(os.stat(page.socket).st_mode & 0o777, 0o600)
    equal(page.stop(), 0)
    assert not os.path.exists(page.socket)


@tap.test("a hook that is sent to it is refused, and no harm is done")
def hook_is_refused():
    body = compact(issue())
    answer = fcgi(PAGE.socket, post_params(body, signed(body), path=PATH),
                  body)
    equal(answer.status, 405)


def run(*options, env=None):
    done = subprocess.run(WRAPPER + [PAGE_PROGRAM, *options], timeout=LIMIT,
                          capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, env=clean_environment(env))
    return done.returncode, done.stdout, strip_valgrind(done.stderr)


@tap.test("--help and --version say what they should")
def help_and_version():
    code, out, err = run("--help")
    equal((code, err), (0, ""))
    for word in ("--db", "--socket", "--socket-mode", "--threads",
                 "--allow-root", "SENTRY_WEBHOOKS_PAGE_SOCKET"):
        assert word in out, word
    assert all(len(line) <= 79 for line in out.splitlines()), out
    code, out, err = run("--version")
    assert re.fullmatch(r"sentry-webhooks-page \S+\n", out), out
    equal((code, err), (0, ""))


@tap.table("a bad command line is refused in one line: {0}", [
    ("no socket", [], {}), ("a stray word", ["x"], {}),
    ("an unknown option", ["--wat"], {}),
    ("no threads", ["--threads", "0"], {}),
    ("a mode", ["--socket-mode", "999"], {}),
    ("an empty path", ["--db", ""], {}),
    ("a variable", [], {"SENTRY_WEBHOOKS_PAGE_THREADS": "many"})])
def bad_usage(_name, options, env):
    code, out, err = run(*options, env=env)
    equal((code, out, err.count("\n")), (64, "", 1), err)
    assert err.startswith("sentry-webhooks-page: "), err


# ---- in a browser --------------------------------------------------------

def chromium(*options, url):
    folder = Scratch.new("chromium")
    done = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu",
         "--disable-quic", "--no-first-run", "--hide-scrollbars",
         "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--disable-dev-shm-usage",
         "--enable-logging=stderr",
         f"--user-data-dir={folder}", *options, url],
        capture_output=True, timeout=LIMIT)
    return done.stdout.decode("utf-8", "replace"), done.stderr.decode(
        "utf-8", "replace")


class Elements(html.parser.HTMLParser):
    """The elements that the browser has made of it."""

    def handle_starttag(self, tag, attrs):
        assert tag in TAGS, tag
        names = {name for name, _ in attrs}
        assert names <= {a.lower() for a in ATTRIBUTES}, (tag, names)


def need_chromium():
    if not FULL:
        raise Skip("the long form alone")
    if not shutil.which("chromium"):
        raise Skip("no chromium")


def page_url(query):
    return f"http://kai:{PASSWORD.replace(' ', '%20')}@127.0.0.1:" \
        f"{NGINX.port}{PATH}{query}"


@tap.table("in Chromium no text of {0} runs, and nothing is refused", [
    ("overview", "")] + [(n, f"?row={IDS[n]}") for n in
                         ("script", "image", "attribute", "style")])
def chromium_runs_no_text(_name, query):
    need_chromium()
    dom, error = chromium("--dump-dom", url=page_url(query))
    title = re.search(r"<title>([^<]*)</title>", dom)
    assert title and title[1].endswith(" - sentry-webhooks"), dom[:500]
    assert "owned" not in title[1]
    Elements().feed(dom)
    # Refused by the policy, or broken: the console would say so.
    equal([x for x in error.splitlines() if "CONSOLE" in x], [])


@tap.table("Chromium draws it {0}", [
    ("light", "1200,2000", []),
    ("dark", "1200,2000", ["--blink-settings=preferredColorScheme=0"]),
    ("on a phone", "390,2000", [])])
def chromium_draws_it(name, size, more):
    need_chromium()
    shot = os.path.join(FOLDER, name.replace(" ", "-") + ".png")
    _, error = chromium(f"--screenshot={shot}", f"--window-size={size}",
                        *more, url=page_url(""))
    assert os.path.getsize(shot) > 20000, error


@tap.test("SIGTERM ends it, and no memory error was seen")
def sigterm_ends_it():
    equal(PAGE.stop(), 0)


tap.run()
