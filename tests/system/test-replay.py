#!/usr/bin/env python3
"""sentry-replay: which rows it chooses, that it changes no other, what it says
before, and how it works beside others who write."""
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import threading
import time

from database import WriteLock, map_everything, open_db, shell_ok
from deliverer import Deliverer, start_printing
from environment import DELIVER, FULL, LIMIT, REPLAY, clean_environment
from eventapi import EventApi
from expect import equal, until
from hooks import error, issue
from latency import Latency
from outbox import DAY, Outbox, now_ms
from process import finish_process, run_program, start_process, stop_process
from scratch import write_file
from tap import Skip, Tap, need_program, skip_all
from worker import BRIEF, Worker

need_program()
if not shutil.which("sqlite3"):
    skip_all("no sqlite3 shell")
tap = Tap()
SHELLS = [words for words in (["dash"], ["bash"], ["busybox", "sh"])
          if shutil.which(words[0])] or [["sh"]]
if not FULL:
    SHELLS = SHELLS[:1]
BASE = 1768078560000        # 2026-01-10T20:56:00Z
HOSTILE = ["'; DROP TABLE outbox; --", "a\nb", "a\n.quit\n", "\n.shell false",
           "%", "*", "?", "[a-z]*", "_", "\\", "\\'", '"', "a\tb", "`id`",
           "$(id)", "-x", "--yes", "---", "'", "''", " ", "a ", "\n", "a\n",
           "x'41'", "@", "é", "\x01\x7f", "%s%n", "100%", "NULL", "1 OR 1=1",
           "~", "(", "\udcff\udcfe", "a" * 100000]


# ---- an outbox to work on ------------------------------------------------

class ReplayOutbox(Outbox):
    def __init__(self, db=None):
        super().__init__(db=db)
        self.tmp = os.path.join(self.folder, "tmp")
        os.mkdir(self.tmp)

    def put(self, id, state="delivered", **columns):
        return self.add(id, **{
            "state": state, "event_id": f"sentry-{id:032x}",
            "created_at": BASE + id, "source_id": f"issue:{id}",
            "issue_id": str(id), "source_event": '{"title":"t"}',
            "attempts": 3, "due_at": BASE, "last_error": "it said no",
            "delivered_at": BASE + id if state == "delivered" else None,
            "sink": "http", "sink_seq": 7, **columns})

    def dump(self):
        db = open_db(self.db)
        db.text_factory = lambda b: b.decode("utf-8", "surrogateescape")
        try:
            return {r["id"]: dict(r) for r in
                    db.execute("SELECT * FROM outbox")}
        finally:
            db.close()

    def changed(self, before):
        """The ids of the rows that a replay has changed, each as it should."""
        now = now_ms()
        after = self.dump()
        equal(sorted(after), sorted(before), "rows came or went")
        ids = [i for i in after if after[i] != before[i]]
        for i in ids:
            got = after[i]
            kept = {k for k in got if got[k] == before[i][k]}
            assert {"id", "webhook_id", "created_at", "source_event",
                    "workspace_id", "title"} <= kept, kept
            assert now - 600000 < got["due_at"] <= now + 1000, got
            equal({k: got[k] for k in ("state", "attempts", "last_error",
                                       "delivered_at", "sink", "sink_seq")},
                  {"state": "pending", "attempts": 0, "last_error": None,
                   "delivered_at": None, "sink": before[i]["sink"],
                   "sink_seq": None})
        return sorted(ids)

    def argv(self, *words, shell=None, db=True):
        return [*(shell or SHELLS[0]), REPLAY,
                *(["--db", self.db] if db else []), *words]

    def env(self, more=None):
        return clean_environment({"TMPDIR": self.tmp, **(more or {})})

    def run(self, *words, shell=None, env=None, db=True, cwd=None):
        done = subprocess.run(
            [os.fsencode(w) for w in self.argv(*words, shell=shell, db=db)],
            stdin=subprocess.DEVNULL, capture_output=True, env=self.env(env),
            cwd=cwd, timeout=LIMIT)
        done.out = done.stdout.decode("utf-8", "replace")
        done.err = done.stderr.decode("utf-8", "replace")
        equal(os.listdir(self.tmp), [], "temporary files are left")
        return done

    def deliver(self, *options, to="-", **how):
        return start_process(
            [DELIVER, "--db", self.db, "--keep", "0", "--to", to, *options],
            env=clean_environment(), stderr=subprocess.DEVNULL, **how)


def one_line(done, status=64):
    equal((done.returncode, done.out), (status, ""), done.err)
    assert done.err.startswith("sentry-replay: "), done.err
    equal(done.err.count("\n"), 1, done.err)


def sample():
    return (ReplayOutbox()
            .put(1, issue_id="1001", short_id="SHOP-1", project_id="11",
                 project_slug="shop")
            .put(2, source_type="error.created", issue_id="1001",
                 project_id="11", project_slug="shop", release="shop@1")
            .put(3, "dead", source_type="issue.resolved", issue_id="1002",
                 short_id="SHOP-2", project_id="11", project_slug="Shop")
            .put(4, "pending", source_type="error.created", issue_id="1003",
                 project_id="12", project_slug="blog", release="blog@2",
                 workspace_id="ws_2")
            .put(5, "acked", issue_id="1004", short_id="BLOG-1",
                 project_slug="blog", workspace_id="ws_2")
            .put(6, "unmapped", issue_id="1005", short_id="X-1",
                 project_slug="x", workspace_id=None)
            .put(8, source_type="metric_alert.critical", issue_id=None,
                 project_slug="11", release="SHOP@1"))


# ---- the command line ----------------------------------------------------

@tap.test("--help tells every option, with examples, in 80 columns")
def help_lists_options():
    for shell in SHELLS:
        done = ReplayOutbox().run("--db", "", "--help", shell=shell)
        equal((done.returncode, done.err), (0, ""))
        for word in ("--id", "--state", "--type", "--issue", "--project",
                     "--release", "--workspace", "--since", "--until",
                     "--all", "--dry-run", "--print", "--new-id", "--wait",
                     "--yes", "--db", "--version", "Examples:",
                     "SENTRY_WEBHOOKS_DB", "STATE_DIRECTORY"):
            assert word in done.out, word
        assert all(len(x) <= 80 for x in done.out.splitlines())


@tap.test("--version says the package's version")
def version_is_the_package():
    done = ReplayOutbox().run("--version")
    wanted = run_program("--version").stdout.split()[1]
    equal((done.returncode, done.out), (0, f"sentry-replay {wanted}\n"))


@tap.table("{} exits 64 with one line and touches nothing", [
    ("no selection", []),
    ("--yes alone", ["--yes"]),
    ("an unknown option", ["--all", "--nonsense"]),
    ("an option with a newline", ["--all", "--x\ny"]),
    ("a flag with a value", ["--all=1"]),
    ("an argument", ["--all", "3"]),
    ("an empty argument", ["--all", ""]),
    ("an option without its value", ["--id"]),
    ("an empty value", ["--release", ""]),
    ("an empty value after =", ["--release="]),
    ("an empty --db", ["--db", "", "--all"]),
    ("--id of letters", ["--id", "a"]),
    ("--id with SQL", ["--id", "1) OR 1=1 --"]),
    ("--id with a blank", ["--id", "1 2"]),
    ("--id with a newline", ["--id", "1\n2"]),
    ("--id that begins with a comma", ["--id", ",1"]),
    ("--id that ends with a comma", ["--id", "1,"]),
    ("--id with two commas", ["--id", "1,,2"]),
    ("--id with an open range", ["--id", "1-"]),
    ("--id with a negative number", ["--id", "-1"]),
    ("--id with a range of three", ["--id", "1-2-3"]),
    ("--id with a range backwards", ["--id", "9-7"]),
    ("--id of 19 digits", ["--id", "1" * 19]),
    ("--id with a star", ["--id", "*"]),
    ("--state of no state", ["--state", "gone"]),
    ("--state with a quote", ["--state", "dead'"]),
    ("--state with a pattern", ["--state", "d*"]),
    ("--print with --new-id", ["--all", "--print", "--new-id"]),
    ("--print with --wait", ["--all", "--print", "--wait"]),
    ("--patience of letters", ["--all", "--patience", "x"]),
    *((f"--since {t!r}", ["--since", t]) for t in (
        "2026-02-29", "2026-02-30T00:00:00Z", "2026-13-01", "2026-00-10",
        "2026-04-31", "2026-01-00", "0000-01-01", "1900-02-29",
        "2026-01-10T24:00:00Z", "2026-01-10T20:60:00Z",
        "2026-01-10T20:00:60Z", "2026-01-10T20:56:00+15:00",
        "2026-01-10T20:56:00+01:60", "2026-01-10T20:56:00.Z",
        "2026-01-10T20:56:00.5x", "2026-01-10T", "2026-01-10TZ",
        "2026-01-10T20", "2026-01-10Z", "2026-1-10", "20260110", "26-01-10",
        "yesterday", "now", "2x", "h", "-2h", "1.5h", "2h'", "1234567h",
        "12345", "2461051.5", "20:56", "20:56:00Z", "unixepoch", "subsec",
        "2026-01-10T20:56:00ZZ", "2026-01-10'; --", "2026-01-10\n",
        "2026-01-10T20:56+1", "*", "2h\n3d")),
])
def bad_usage(name, words):
    o = sample()
    before = o.dump()
    one_line(o.run(*words))
    one_line(o.run(*words, "--yes", shell=SHELLS[-1]))
    equal(o.dump(), before)


@tap.test("nobody to ask and no --yes exits 64, after the plan, unchanged")
def nobody_to_ask():
    o = sample()
    before = o.dump()
    done = o.run("--all")
    equal(done.returncode, 64, done.err)
    assert "--yes" in done.err and done.err.count("\n") == 1, done.err
    assert "6 rows" in done.out, done.out
    equal((o.dump(), o.rows("SELECT * FROM replay")), (before, []))


@tap.test("the database comes from --db, else the environment")
def database_from_option_or_environment():
    o = ReplayOutbox().put(1)
    here, other = os.path.dirname(o.db), ReplayOutbox()
    state = {"STATE_DIRECTORY": here}
    variable = {"SENTRY_WEBHOOKS_DB": o.db, "STATE_DIRECTORY": "/nonsense"}
    for env, cwd in ((state, None), (variable, None), (None, here),
                     ({"SENTRY_WEBHOOKS_DB": "", **state}, None)):
        done = o.run("--all", "--dry-run", db=False, env=env, cwd=cwd)
        equal(done.returncode, 0, (env, done.err))
    done = other.run("--all", "--dry-run", env=variable)
    equal((done.returncode, done.err), (1, "sentry-replay: nothing matched\n"))


@tap.test("odd names of databases are names of files")
def odd_database_names():
    for name in ("-x.db", "file:x?mode=memory", "a 'b' \"c\".db", ":memory:",
                 "x\ny", "*"):
        o = ReplayOutbox().put(1)
        os.rename(o.db, os.path.join(o.folder, name))
        done = o.run("--db", name, "--all", "--yes", db=False, cwd=o.folder)
        equal(done.returncode, 0, (name, done.err))
        left = sorted(os.listdir(o.folder))
        equal(left, sorted([name, name + "-shm", name + "-wal", "tmp"]))
        for end in ("", "-wal"):
            os.rename(os.path.join(o.folder, name + end), o.db + end)
        equal(o.rows("SELECT state FROM outbox"), [("pending",)], name)


@tap.test("what is no outbox, or a newer one, is refused in a line, as it is")
def foreign_database_is_refused():
    o = ReplayOutbox()
    missing = os.path.join(o.folder, "missing")
    text = write_file(os.path.join(o.folder, "text"), "no database\n" * 100)
    empty = write_file(os.path.join(o.folder, "empty"), "")
    other = os.path.join(o.folder, "other")
    shell_ok(other, "CREATE TABLE outbox (x)")
    newer = shutil.copy(o.db, os.path.join(o.folder, "newer"))
    shell_ok(newer, "PRAGMA user_version = 99")
    for path in (missing, text, empty, other, newer, o.folder):
        one_line(o.run("--db", path, "--all", "--yes", db=False), 1)
    assert not os.path.exists(missing)
    equal(os.path.getsize(empty), 0)


@tap.test("a ~/.sqliterc changes nothing")
def sqliterc_changes_nothing():
    o = sample()
    rc = write_file(os.path.join(o.folder, "sqliterc"),
                    ".print HELLO\n.mode box\n.headers on\n"
                    "DELETE FROM outbox;\n")
    # The real one is looked for in the home that passwd(5) knows.
    write_file(os.path.join(o.folder, "sqlite3"), f"""#!/bin/sh
        case " $* " in *" -init "*) ;; *) set -- -init {rc} "$@" ;; esac
        exec {shutil.which("sqlite3")} "$@"
        """, 0o755)
    done = o.run("--all", "--dry-run", env={
        "PATH": o.folder + ":" + os.environ["PATH"]})
    equal(done.returncode, 0, done.err)
    equal((done.out, done.err), (o.run("--all", "--dry-run").out, ""))
    equal(len(o.dump()), 7)


# ---- which rows ----------------------------------------------------------

SELECTIONS = [
    (["--all"], [1, 2, 3, 4, 5, 8]),
    (["--id", "3"], [3]),
    (["--id=3"], [3]),
    (["--id", "3,7-9"], [3, 8]),
    (["--id", "1-4,2,003-0000000005,2-3"], [1, 2, 3, 4, 5]),
    (["--id", "1-999999999999999999"], [1, 2, 3, 4, 5, 8]),
    (["--id", "1-4", "--id", "3-9"], [3, 4]),
    (["--id", "6"], []),
    (["--id", "7"], []),
    (["--state", "pending"], [4]),
    (["--state", "acked"], [5]),
    (["--state", "delivered"], [1, 2, 8]),
    (["--state", "dead"], [3]),
    (["--state", "unmapped"], []),
    (["--state", "dead", "--state", "acked"], []),
    (["--type", "error.created"], [2, 4]),
    (["--type", "issue"], []),
    (["--type", "issue.*"], []),
    (["--issue", "1001"], [1, 2]),
    (["--issue", "SHOP-1"], [1, 2]),
    (["--issue", "SHOP-2"], [3]),
    (["--issue", "SHOP-%"], []),
    (["--issue", "100"], []),
    (["--project", "shop"], [1, 2, 3]),
    (["--project", "SHOP"], [1, 2, 3]),
    (["--project", "11"], [1, 2, 3, 8]),
    (["--project", "sho*"], []),
    (["--release", "shop@1"], [2]),
    (["--release", "shop@"], []),
    (["--workspace", "ws_2"], [4, 5]),
    (["--workspace", "ws__"], []),
    (["--since", "2026-01-10T20:56:00.004Z"], [4, 5, 8]),
    (["--until", "2026-01-10T20:56:00.004Z"], [1, 2, 3, 4]),
    (["--since", "2h"], []),
    (["--until", "2h"], [1, 2, 3, 4, 5, 8]),
    (["--all", "--state", "dead"], [3]),
    (["--project", "shop", "--type", "issue.created", "--until", "1w"], [1]),
    (["--issue", "1001", "--release", "shop@1", "--workspace", "ws_1",
      "--id", "1-5", "--state", "delivered", "--since", "2026-01-01",
      "--until", "2026-01-11"], [2]),
]


@tap.table("{} chooses its rows alone", [
    (" ".join(words), words, ids) for words, ids in SELECTIONS])
def filter_chooses_rows(name, words, ids):
    for shell in SHELLS:
        o = sample()
        before = o.dump()
        done = o.run(*words, "--yes", shell=shell)
        equal((done.returncode, o.changed(before)),
              (0 if ids else 1, ids), done.err)
        audit = o.rows("SELECT selection, rows, new_id FROM replay")
        wanted = [w for word in words for w in word.split("=")]
        equal([(shlex.split(s), n, new) for s, n, new in audit],
              [(wanted, len(ids), 0)] if ids else [], "audit")


@tap.test("20,000 ids in one list are taken")
def many_ids():
    o = sample()
    before = o.dump()
    ids = ",".join(str(i * 2) for i in range(1, 20001))
    equal(o.run("--id", ids, "--yes").returncode, 0)
    equal(o.changed(before), [2, 4, 8])


@tap.table("the value {} is that value and nothing else", [
    (repr(value[:40]), value) for value in HOSTILE])
def hostile_value(name, value):
    columns = (("--type", "source_type"), ("--issue", "short_id"),
               ("--issue", "issue_id"), ("--project", "project_slug"),
               ("--release", "release"), ("--workspace", "workspace_id"))
    o = sample()
    for shell, (option, _) in zip(SHELLS, columns[::2]):
        before = o.dump()
        done = o.run(option, value, "--yes", shell=shell)
        equal((done.returncode, o.changed(before)), (1, []), done.err)
    for shell, (i, (option, column)) in zip(SHELLS * 6, enumerate(columns)):
        o.put(100 + i, **{column: value})
        before = o.dump()
        done = o.run(option, value, "--yes", shell=shell)
        equal(done.returncode, 0, done.err)
        assert 100 + i in o.changed(before), column
        assert set(o.changed(before)) <= set(range(100, 106)), column
    said = [shlex.split(s)[-1] for s, in o.rows(
        "SELECT CAST(selection AS BLOB) FROM replay") for s in
        [s.decode("utf-8", "surrogateescape")]]
    equal(said, [value] * 6, "audit")


TIMES = [
    ("2026-01-10", 1768003200000),
    ("2026-01-10T20:56", BASE),
    ("2026-01-10T20:56:00", BASE),
    ("2026-01-10 20:56:00", BASE),
    ("2026-01-10t20:56:00z", BASE),
    ("2026-01-10T20:56:00.009Z", BASE + 9),
    ("2026-01-10T20:56:00.08Z", BASE + 80),
    ("2026-01-10T20:56:00,1234567Z", BASE + 123),
    ("2026-01-10T22:56:00+02:00", BASE),
    ("2026-01-10T15:26:00-0530", BASE),
    ("2026-01-11T05:56+09", BASE),
    ("2026-01-10T20:56:00-00:00", BASE),
    ("2024-02-29T23:59:59.999Z", 1709251199999),
    ("2000-02-29", 951782400000),
    ("1970-01-01", 0),
    ("1969-12-31T23:59:59.5Z", -500),
    ("2038-01-19T03:14:08Z", 2147483648000),
    ("9999-12-31", 253402214400000),
]


@tap.table("--since and --until {} are exact to the millisecond", TIMES)
def since_and_until(value, ms):
    o = ReplayOutbox()
    for i in (1, 2, 3):
        o.put(i, created_at=ms + i - 2)
    for shell in SHELLS:
        for option, ids in (("--since", [2, 3]), ("--until", [1, 2])):
            done = o.run(option, value, "--print", shell=shell)
            equal([int(x[-36:], 16) for x in re.findall(
                r'sentry-0*([0-9a-f]+)"', done.out)], ids, done.err)


@tap.table("--since {} counts from now", [
    ("90s", 90), ("30m", 1800), ("2h", 7200), ("3d", 259200),
    ("1w", 604800), ("08h", 28800), ("2h ago", 7200)])
def relative_since(value, seconds):
    now = int(time.time())
    o = ReplayOutbox().put(1, created_at=(now - seconds - 60) * 1000)
    o.put(2, created_at=(now - seconds + 60) * 1000)
    for shell in SHELLS:
        before = o.dump()
        equal(o.run("--since", value, "--yes", shell=shell).returncode, 0)
        equal(o.changed(before), [2])
        o.do("UPDATE outbox SET state = 'delivered'")


# ---- what it says before -------------------------------------------------

@tap.test("--dry-run shows the plan: states, types, oldest and newest")
def dry_run():
    o = sample()
    before = o.dump()
    done = o.run("--all", "--dry-run", "--wait", "--new-id", "--yes")
    equal((done.returncode, done.err), (0, ""))
    for line in (r"6 rows:", r"  delivered +issue\.created +1 .*",
                 r"  dead +issue\.resolved +1 .*",
                 r"  all +6 +2026-01-10T20:56:00Z +2026-01-10T20:56:00Z"):
        assert re.search(f"^{line}$", done.out, re.M), (line, done.out)
    equal((o.dump(), o.rows("SELECT * FROM replay")), (before, []))


@tap.test("the plan warns of what is swallowed and of what runs again")
def plan_warns():
    now = int(time.time() * 1000)
    o = ReplayOutbox().put(1, delivered_at=now - DAY + 60000)
    o.put(2, "acked")
    said = o.run("--all", "--dry-run").out
    assert "warning: 2 rows" in said and "swallow" in said, said
    assert "Inngest" in said and "JetStream" in said, said
    assert "again" not in said, said
    o.put(3, delivered_at=now - DAY - 60000)
    said = o.run("--all", "--dry-run").out
    assert "warning: 1 row " in said and "again" in said, said
    said = o.run("--all", "--dry-run", "--new-id").out
    assert "warning: 3 rows" in said and "swallow" not in said, said
    o.put(4, "pending").put(5, "pending", due_at=now + DAY)
    said = o.run("--state", "pending", "--dry-run").out
    assert "pending already: 2 rows, due: 1" in said, said
    assert "warning" not in said, said
    assert "warning" not in o.put(6, "dead").run(
        "--state", "dead", "--dry-run").out


@tap.test("unmapped rows are left out, and it says what maps them")
def unmapped_rows_are_left_out():
    o = sample()
    done = o.run("--id", "6", "--yes")
    equal(done.returncode, 1)
    assert "1 row unmapped" in done.out and "unmapped_project" in done.out
    assert "1 row unmapped" in o.run("--all", "--dry-run").out
    done = o.run("--all", "--print")
    assert "unmapped" in done.err and done.out.count("\n") == 6, done


@tap.test("types that nobody would write are not shown to the terminal")
def odd_types_are_hidden():
    o = ReplayOutbox().put(1, source_type="\x1b[31mred\nline").put(
        2, source_type="\u009b31m").put(3, source_type="x" * 5000)
    done = o.run("--all", "--dry-run")
    assert re.search(r"^  delivered +\(another\) +3 ", done.out, re.M)
    assert "\x1b" not in done.out and "\u009b" not in done.out
    o = ReplayOutbox()
    for i in range(1, 60):
        o.put(i, source_type=f"issue.x{i}")
    equal(len(o.run("--all", "--dry-run").out.splitlines()), 44)


# ---- printing ------------------------------------------------------------

def real_rows():
    """Hooks that went through the worker, with all that JSON can hold."""
    worker = Worker()
    odd = "".join(map(chr, range(1, 128))).replace("'", "''")
    shell_ok(worker.db, "INSERT INTO workspace_map (workspace_id, store_id)"
             f" VALUES (CAST(x'{odd.encode().hex()}' AS TEXT), 'é\U0001f600')")
    for value in ("plain", "\x00 \x01 \x1f \x7f", "é\U0001f600\u2028\ufffe",
                  "\ud800", "</script>\\\"/", "a" * 300000):
        for body, kind in ((issue(title=value), "issue"),
                           (error(title=value), "error")):
            equal(worker.send(body, kind).status, 200)
    until(lambda: not worker.spooled())
    equal(worker.stop(), 0)
    o = ReplayOutbox()
    shutil.copy(worker.db, o.db)
    return o


@tap.test("--print writes what sentry-deliver sends, to the byte, no more")
def print_writes_envelopes():
    o = real_rows()
    with open(o.db, "rb") as f:
        bytes_before = f.read()
    before = o.dump()
    assert len(before) >= 12
    for shell in SHELLS:
        done = o.run("--all", "--print", shell=shell)
        equal(done.returncode, 0, done.err)
        equal(o.run("--all", "--print", "--dry-run", shell=shell).out,
              done.out)
        assert f"{len(before)} rows:" in done.err, done.err
    equal((o.dump(), o.rows("SELECT * FROM replay")), (before, []))
    with open(o.db, "rb") as f:
        equal(f.read(), bytes_before)
    with o.deliver("--once", stdout=subprocess.PIPE) as sent:
        wanted = sent.stdout.read()
        equal(finish_process(sent), 0)
    assert done.stdout == wanted, "they differ"
    equal(wanted.count(b"\n"), len(before))


@tap.test("--print of more than a page is whole and in order; a reader may go")
def print_of_many_pages():
    o = many(1601)
    out = o.run("--all", "--print").out
    equal([int(x) for x in re.findall('"id":"sentry-([0-9]+)"', out)],
          list(range(1, 1602)))
    done = subprocess.run(
        ["sh", "-c", f"{shlex.join(o.argv('--all', '--print'))} | head -n 1"],
        env=o.env(), capture_output=True, timeout=LIMIT)
    equal(done.stdout.count(b"\n"), 1)
    equal(os.listdir(o.tmp), [])


# ---- the change ----------------------------------------------------------

@tap.test("--new-id gives -r2, then -r3, and -r10 after -r9")
def new_id_counts_up():
    o = ReplayOutbox().put(1).put(2).put(3, event_id="sentry-9-r9")
    o.put(4, event_id="x-r").put(5, event_id="y-r" + "9" * 12)
    for shell in SHELLS[:2] * 2:
        equal(o.run("--id", "1", "--new-id", "--yes", shell=shell)
              .returncode, 0)
    equal(o.run("--id", "3-5", "--new-id", "--yes").returncode, 0)
    equal(o.rows("SELECT event_id FROM outbox ORDER BY id"), [
        (f"sentry-{1:032x}-r{1 + len(SHELLS[:2] * 2)}",),
        (f"sentry-{2:032x}",), ("sentry-9-r10",), ("x-r-r2",),
        ("y-r" + "9" * 12 + "-r2",)])
    equal(o.rows("SELECT rows, new_id FROM replay"),
          [(1, 1)] * len(SHELLS[:2] * 2) + [(3, 1)])


@tap.test("5,000 rows are put back, in several transactions, with one audit")
def many_rows_are_put_back():
    o = many(5000)
    done = o.run("--all", "--yes")
    equal(done.returncode, 0, done.err)
    assert "5000 rows put back" in done.out, done.out
    equal(o.rows("SELECT selection, rows FROM replay"), [("--all", 5000)])
    equal(o.rows("SELECT state, count(*) FROM outbox GROUP BY 1"),
          [("pending", 5000)])


def many(count):
    o = ReplayOutbox()
    o.add_all({"id": i, "state": "delivered", "event_id": f"sentry-{i}"}
              for i in range(1, count + 1))
    return o


@tap.test("killed in mid-change, the audit counts what was put back")
def killed_replay_is_audited():
    o = many(60000)
    p = start_process(o.argv("--all", "--yes"), env=o.env(),
                      stdout=subprocess.DEVNULL)
    until(lambda: o.rows("SELECT 1 FROM replay WHERE rows >= 2000"))
    os.killpg(p.pid, signal.SIGKILL)
    finish_process(p)
    (rows, ), = o.rows("SELECT rows FROM replay")
    equal(o.rows("SELECT count(*) FROM outbox WHERE state = 'pending'"),
          [(rows,)])
    assert 2000 <= rows < 60000, rows


@tap.test("it never checkpoints")
def never_checkpoints():
    o = sample()
    with open(o.db, "rb") as f:
        before = f.read()
    equal(o.run("--all", "--yes").returncode, 0)
    with open(o.db, "rb") as f:
        equal(f.read(), before, "a checkpoint")
    assert os.path.getsize(o.db + "-wal") > 0


def programs(process, wanted):
    """The ids of those processes in its session that have this name."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as f:
                name, _, rest = f.read().partition("(")[2].rpartition(")")
        except OSError:
            continue
        if name == wanted and int(rest.split()[3]) == process.pid:
            found.add(pid)
    return found


@tap.test("a lock that another writer holds is waited for")
def lock_is_waited_for():
    o = sample()
    lock = WriteLock(o.db)
    p = start_process(o.argv("--all", "--yes"), env=o.env(),
                      stdout=subprocess.PIPE)
    assert any(b"6 rows:" in line for line in p.stdout)
    tries = set()
    until(lambda: tries.update(programs(p, "sqlite3")) or len(tries) > 5)
    lock.db.execute("UPDATE outbox SET title = 'written meanwhile' "
                    "WHERE id = 1")
    lock.release(keep=True)
    assert b"6 rows put back" in p.stdout.read()
    p.stdout.close()
    equal(finish_process(p), 0)
    equal(o.rows("SELECT title, state FROM outbox WHERE id = 1"),
          [("written meanwhile", "pending")])


# ---- on a terminal -------------------------------------------------------

class Terminal:
    """The script on a terminal of its own."""

    def __init__(self, o, *words, shell=None):
        self.out = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe((shell or SHELLS[0])[0],
                       o.argv(*words, shell=shell), o.env())
        self.status = None

    def read(self):
        if select.select([self.fd], [], [], 0.05)[0]:
            try:
                self.out += os.read(self.fd, 65536).decode("utf-8", "replace")
            except OSError:         # EIO: it has ended
                return False
        return True

    def until(self, text):
        until(lambda: self.read() and text in self.out or text in self.out,
              f"{text!r} in {self.out!r}")
        return self

    def type(self, text):
        os.write(self.fd, text.encode())
        return self

    def end(self):
        until(lambda: not self.read(), "the end")
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@tap.table("the answer {}", [
    (f"{text!r} is {yes}", text, yes) for text, yes in (
        ("y\n", "yes"), ("YES\n", "yes"), ("yes\n", "yes"), ("n\n", "no"),
        ("\n", "no"), ("\x04", "no"), ("maybe\n", "no"), ("yn\n", "no"),
        ("\\y\n", "no"))])
def answer_to_question(name, text, yes):
    for shell in SHELLS:
        o = sample()
        before = o.dump()
        t = Terminal(o, "--state", "dead", shell=shell).until("[y/N]")
        assert re.search("1 row.*dead.*issue.resolved", t.out, re.S), t.out
        status = t.type(text).end()
        equal((status, o.changed(before)),
              (0, [3]) if yes == "yes" else (1, []), t.out)
        equal(len(o.rows("SELECT * FROM replay")), yes == "yes")
        equal(os.listdir(o.tmp), [])


@tap.test("Ctrl-C at the question changes nothing and leaves nothing")
def interrupt_at_question():
    for shell in SHELLS:
        o = sample()
        before = o.dump()
        equal(Terminal(o, "--all", shell=shell).until("[y/N]").type("\x03")
              .end(), 130)
        equal((o.dump(), os.listdir(o.tmp)), (before, []))


@tap.test("what changes between plan and answer is left alone, what comes too")
def rows_changed_since_plan():
    for shell in SHELLS:
        o = sample()
        t = Terminal(o, "--all", "--new-id", shell=shell).until("[y/N]")
        assert "Put 6 rows back" in t.out, t.out
        o.do("UPDATE outbox SET state = 'delivered', delivered_at = 5"
                " WHERE id = 4")
        o.do("UPDATE outbox SET state = 'pending', due_at = 9 WHERE id = 8")
        o.do("DELETE FROM outbox WHERE id = 1")
        o.do("UPDATE outbox SET state = 'pending', workspace_id = 'w'"
                " WHERE id = 6")
        o.put(7).put(9)
        before = o.dump()
        equal(t.type("y\n").end(), 0, t.out)
        equal(o.changed(before), [2, 3, 5])
        assert "3 rows put back" in t.out, t.out
        assert "3 rows had changed" in t.out, t.out
        equal(o.rows("SELECT rows FROM replay"), [(3,)])


@tap.table("if all has changed since the plan {}", [
    ("there is no audit", []), ("--wait ends at once", ["--wait"])])
def all_changed_since_plan(_name, options):
    o = sample()
    t = Terminal(o, "--state", "dead", *options).until("[y/N]")
    o.do("UPDATE outbox SET state = 'pending' WHERE id = 3")
    equal(t.type("y\n").end(), 0)
    assert "0 rows put back" in t.out, t.out
    equal(o.rows("SELECT * FROM replay"), [])


# ---- waiting -------------------------------------------------------------

@tap.test("--wait shows a bar on a terminal until all are settled")
def wait_on_terminal():
    for shell in SHELLS:
        o = many(3000)
        t = Terminal(o, "--all", "--yes", "--wait", shell=shell)
        t.until("put back into the queue")
        with o.deliver("--once", stdout=subprocess.DEVNULL) as sent:
            equal(t.end(), 0, t.out)
            equal(finish_process(sent), 0)
        assert re.search(r"\r\[#{25}\] 100% 3000/3000 settled", t.out), t.out
        assert "3000 rows settled, 0 of them dead" in t.out, t.out
        assert "no sentry-deliver is running" in t.out, t.out


@tap.test("--wait says lines where there is no terminal, and counts the dead")
def wait_without_terminal():
    for shell in SHELLS:
        o = sample()
        p = start_process(
            o.argv("--id", "2-5", "--yes", "--wait", shell=shell),
            env=o.env(), stdout=subprocess.PIPE, text=True)
        assert any(line.startswith("0% 0/4") for line in p.stdout)
        o.do("UPDATE outbox SET state = 'dead' WHERE id IN (2, 3)")
        o.do("UPDATE outbox SET state = 'acked', due_at = 0 WHERE id = 4")
        line = next(x for x in p.stdout if x.startswith("50%"))
        while "0 ack" in line:
            line = next(p.stdout)
        assert line.startswith("50% 2/4 settled, 2 dead, 1 ack"), line
        o.do("UPDATE outbox SET state = 'delivered' WHERE id = 4")
        o.do("DELETE FROM outbox WHERE id = 5")
        rest = p.stdout.read()
        p.stdout.close()
        equal(finish_process(p), 0)
        assert rest.endswith("4 rows settled, 2 of them dead\n"), rest
        assert "\r" not in rest and "\x1b" not in rest


@tap.test("--wait gives up when nothing moves, says so, and exits 1")
def wait_gives_up():
    o = sample()
    done = o.run("--id", "3", "--yes", "--wait", "--patience", "1")
    equal(done.returncode, 1)
    assert "nothing has moved for 1 s: 1 row still" in done.err, done.err
    assert "no sentry-deliver is running" in done.out, done.out
    equal(o.rows("SELECT state FROM outbox WHERE id = 3"), [("pending",)])


@tap.test("--wait gives up over more rows than it looks at at once, too, some "
          "of them acknowledged")
def wait_gives_up_over_many():
    o = ReplayOutbox()
    o.fill(20100, size=100, state="dead")
    p = start_process(o.argv("--all", "--yes", "--wait", "--patience", "3"),
                      env=o.env(), stdout=subprocess.DEVNULL,
                      stderr=subprocess.PIPE, text=True)
    until(lambda: o.states() == {"pending": 20100})
    o.do("UPDATE outbox SET state = 'acked', sink = 'nats:S@1', "
         "sink_seq = id, due_at = 1 WHERE id <= 10")
    said = p.communicate(timeout=LIMIT)[1]
    equal(finish_process(p), 1)
    assert "nothing has moved for 3 s: 20100 rows still" in said, said


@tap.test("Ctrl-C ends the waiting at once; the rows stay in the queue")
def interrupt_of_wait():
    for shell in SHELLS:
        o = sample()
        t = Terminal(o, "--id", "3", "--yes", "--wait", shell=shell)
        equal(t.until("0% 0/1").type("\x03").end(), 130)
        assert "1 row still wait" in t.out, t.out
        equal((o.rows("SELECT state FROM outbox WHERE id = 3"),
               os.listdir(o.tmp)), ([("pending",)], []))


# ---- with those who write too --------------------------------------------

@tap.test("a row that is on its way while it gets a new id is sent under both")
def new_id_of_row_in_flight():
    o = ReplayOutbox().put(1, "pending")
    api, begun, answer = EventApi(), threading.Event(), threading.Event()
    api.misdeed = lambda events: begun.set() or answer.wait(LIMIT) and None
    sent = Deliverer(o, "--keep", "0", to=api.url)
    until(begun.is_set)
    equal(o.run("--all", "--new-id", "--yes").returncode, 0)
    answer.set()
    until(lambda: o.states() == {"delivered": 1})
    equal(sent.stop(), 0)
    equal(list(api.taken), [f"sentry-{1:032x}", f"sentry-{1:032x}-r2"])
    equal(o.rows("SELECT state, attempts FROM outbox"), [("delivered", 1)])
    api.stop()


@tap.test("with worker and deliverer at work nothing is lost, doubled or late")
def replay_amid_work():
    worker = Worker(*BRIEF)
    map_everything(worker.db)
    o = ReplayOutbox(db=worker.db)
    slowest, bad, posted, runs, changed = [0], [], [0] * 4, 0, []

    def post(n):
        while len(changed) < (20 if FULL else 8) and runs < 200:
            body = issue(id=n * 10**9 + posted[n])
            began = time.monotonic()
            answer = worker.send(body)
            slowest[0] = max(slowest[0], time.monotonic() - began)
            posted[n] += answer.status == 200
            if answer.status != 200:
                bad.append(answer)

    sent = start_printing(worker.db)
    threads = [threading.Thread(target=post, args=(n,)) for n in range(4)]
    with Latency(worker.folder) as latency:
        for t in threads:
            t.start()
        while any(t.is_alive() for t in threads):
            done = o.run("--all", "--yes", *["--new-id"][:runs % 2],
                         shell=SHELLS[runs % len(SHELLS)])
            runs += 1
            assert done.returncode == 0 or (
                done.returncode == 1 and "nothing matched" in done.err), \
                done.err
            count = re.search(r"^(\d+) rows? put back", done.out, re.M)
            if count and int(count[1]) > 0:
                changed.append(int(count[1]))
    equal(bad, [])
    latency.allows(slowest[0], 1, "a hook")
    until(lambda: not worker.spooled())
    until(lambda: worker.value(
        "SELECT count(*) FROM outbox WHERE state <> 'delivered'") == 0)
    equal(stop_process(sent), 0)
    equal(worker.value("SELECT count(*) FROM outbox"), sum(posted))
    equal(worker.value("SELECT count(DISTINCT source_id) FROM outbox"),
          sum(posted))
    equal(worker.value("PRAGMA integrity_check"), "ok")
    equal([r for r, in o.rows("SELECT rows FROM replay")], changed)
    print(f"# {sum(posted)} hooks, {runs} replays,"
          f" slowest answer {slowest[0] * 1000:.0f} ms", flush=True)


# ---- the script ----------------------------------------------------------

@tap.test("shellcheck finds nothing in the script")
def shellcheck_is_silent():
    if not shutil.which("shellcheck"):
        raise Skip("no shellcheck")
    done = subprocess.run(["shellcheck", "-s", "sh", REPLAY],
                          capture_output=True, text=True)
    equal((done.returncode, done.stdout + done.stderr), (0, ""))


tap.run(lanes=2)
