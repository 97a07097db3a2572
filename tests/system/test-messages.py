#!/usr/bin/env python3
"""What an operator is told when something is not as it should be: which file
or setting, why, and what to do; never a secret."""
import os
import re
import shutil
import subprocess

from environment import (BUILD, DELIVER, LIMIT, PROGRAM, REPLAY, WRAPPER,
                         clean_environment, wrapped)
from expect import equal
from hooks import PATH, SECRET, compact, issue
from logfmt import logfmt
from scratch import Scratch, write_file
from small_disk import Disk
from tap import Skip, Tap, need_program
from worker import BRIEF, Worker

need_program()
tap = Tap()
BODY = compact(issue())
# Root without its right to open what a mode forbids.
NO_OVERRIDE = ["setpriv", "--bounding-set=-dac_override,-dac_read_search",
               "--"]


def run(*argv, env=None):
    return subprocess.run(argv, capture_output=True, text=True,
                          timeout=LIMIT, env=clean_environment(env))


# ---- files ---------------------------------------------------------------

class Missing:
    word, reason = "no-such-file", "No such file"

    def __init__(self):
        self.folder = os.path.join(Scratch.new("messages"), "none")
        self.before = []

    def close(self):
        pass


class Denied:
    word, reason = "permission-denied", "Permission denied"

    def __init__(self):
        self.before = []
        if os.geteuid() == 0:
            self.before = NO_OVERRIDE
            if not shutil.which("setpriv") or \
                    run(*NO_OVERRIDE, "true").returncode != 0:
                raise Skip("cannot do without root's rights")
        self.folder = os.path.join(Scratch.new("messages"), "closed")
        os.mkdir(self.folder, 0)

    def close(self):
        os.chmod(self.folder, 0o700)


class ReadOnly:
    word, reason = "read-only", "Read-only file system"

    def __init__(self):
        self.before = []
        self.disk = Disk()
        self.folder = self.disk.folder
        self.disk.remount("ro")

    def close(self):
        self.disk.close()


WAYS = [("there is not", Missing), ("nobody may enter", Denied),
        ("is read-only", ReadOnly)]


def in_way(test):
    """test(way): a folder where nothing can be made."""
    def one(_name, make):
        way = make()
        try:
            test(way)
        finally:
            way.close()
    return one


@tap.table("a database in a folder that {}: path and reason are logged", WAYS)
@in_way
def database_reason_is_logged(way):
    db = os.path.join(way.folder, "x.db")
    with wrapped(*way.before):
        w = Worker(*BRIEF, db=db)
    said = w.log_events("database-fault")
    equal([(x["db"], x["fault"]) for x in said], [(db, way.word)])
    assert way.reason in said[0]["why"], said
    ready = w.get(PATH + "/ready").body.decode()
    assert f'"writer":"{way.word}"' in ready, ready
    equal(w.stop(), 0)


@tap.table("a spool in a folder that {}: path and reason are logged", WAYS)
@in_way
def spool_reason_is_logged(way):
    w = Worker()
    w.stop()
    w.argv = way.before + w.argv + ["--spool", os.path.join(way.folder, "sp")]
    w.start()
    said = w.log_events("spool-fault")
    equal([(x["file"], x["fault"]) for x in said],
          [(os.path.join(way.folder, "sp"), way.word)])
    equal(w.stop(), 0)


@tap.table("--check names both in a folder that {}", WAYS)
@in_way
def check_names_both(way):
    db = os.path.join(way.folder, "x.db")
    done = run(*way.before, *WRAPPER, PROGRAM, "--check", "--db", db,
               env={"SENTRY_CLIENT_SECRET": SECRET})
    equal(done.returncode, 1, done)
    lines = [x for x in done.stdout.splitlines() if "FAILED" in x]
    equal([x.split()[0] for x in lines], ["database", "spool"])
    for line in lines:
        assert db in line and way.reason in line, line


@tap.table("sentry-replay and sentry-deliver say why, of a database in a "
           "folder that {}", WAYS[:2])
@in_way
def tools_say_database_reason(way):
    db = os.path.join(way.folder, "x.db")
    for argv in (["sh", REPLAY, "--all", "--db", db],
                 [DELIVER, "--to", "-", "--once", "--db", db]):
        done = run(*way.before, *argv)
        equal((done.returncode, done.stderr.count("\n")), (1, 1), done)
        assert db in done.stderr, done
        assert way.reason.lower() in done.stderr.lower() or \
            "no such file" in done.stderr, done
        equal("sentry-webhooks makes it" in done.stderr, way.word ==
              "no-such-file", done.stderr)


@tap.test("sentry-replay says of a database that it may not read so, and of a "
          "folder what it is")
def replay_says_database_reason():
    way = Denied()
    w = Worker()
    w.stop()
    os.chmod(w.db, 0)
    done = run(*way.before, "sh", REPLAY, "--all", "--db", w.db)
    equal((done.returncode, done.stderr.count("\n")), (1, 1), done)
    assert w.db in done.stderr and "ermission denied" in done.stderr, done
    os.chmod(w.db, 0o600)
    done = run("sh", REPLAY, "--all", "--db", w.folder)
    assert done.returncode == 1 and "no regular file" in done.stderr, done
    way.close()


@tap.table("a metrics file in a folder that {} is said at the start", WAYS)
@in_way
def metrics_file_reason(way):
    w = Worker()
    path = os.path.join(way.folder, "m.prom")
    done = run(*way.before, DELIVER, "--to", "-", "--once", "--db", w.db,
               "--metrics", path)
    said = [logfmt(x) for x in done.stderr.splitlines()
            if "event=metrics" in x]
    assert said, done
    equal(said[0]["file"], path)
    assert way.reason in said[0]["why"], said
    assert way.word != "read-only" or "ReadWritePaths=" in said[0]["msg"], said


# ---- secrets -------------------------------------------------------------

SLIPS = [
    ("double quotes", '"%s"', "quotes"), ("single quotes", "'%s'", "quotes"),
    ("a name and =", "SENTRY_CLIENT_SECRET=%s", "="),
    ("a name of one's own and =", "mine=%s", "="),
    ("the README's placeholder", "YOUR-CLIENT-SECRET", "placeholder"),
    ("its other placeholder", "YOUR-NEW-CLIENT-SECRET", "placeholder")]


@tap.table("a secret with {} is said, in a file and in the environment", SLIPS)
def odd_secret_is_warned_of(_name, form, word):
    key = form.replace("%s", SECRET)
    for how, name, more in (
            ("file", "secret-1", {"secret": "# mine\n" + key}),
            ("file", "old-2025", {"secret": "old-2025 " + key}),
            ("list", "environment-1", {"secret": None, "env": {
                "SENTRY_CLIENT_SECRET": key}})):
        w = Worker(**more)
        said = w.log_events("secret-" + how)
        equal([(x["level"], x["secret"]) for x in said], [("warning", name)])
        assert word in said[0]["msg"], said
        assert SECRET not in w.log(), "the secret is in the log"
        # Odd as it is, it may be the secret.
        equal(w.send(BODY, secret=key).status, 200)
        equal(w.stop(), 0)


@tap.test("a name in the environment, which would be a secret, is said")
def name_in_list_is_warned_of():
    w = Worker(secret=None, env={
        "SENTRY_CLIENT_SECRET": f"production {SECRET}"})
    said = w.log_events("secret-list")
    equal([(x["level"], x["secret"]) for x in said],
          [("warning", "environment-1")])
    assert "name" in said[0]["msg"], said
    assert SECRET not in w.log(), "the secret is in the log"
    equal(w.stop(), 0)


@tap.test("a secret before its name is said, and neither is used")
def swapped_secret_is_said():
    w = Worker(secret=f"{SECRET} production")
    said = w.log_events("secret-file")
    equal([(x["level"], x["line"]) for x in said], [("warning", "1")])
    assert "the name first" in said[0]["msg"], said
    for key in (SECRET, "production"):
        equal(w.send(BODY, secret=key).status, 500)
    assert SECRET not in w.log(), "the secret is in the log"
    equal(w.stop(), 0)


@tap.test("what only looks a little like that is said nothing of")
def harmless_secret_is_not_warned_of():
    for key in ("abc" + SECRET + "==", "it's-a-secret", "=" + SECRET,
                SECRET, "your-own-secret"):
        w = Worker(secret=key)
        equal(w.log_events("secret-file"), [], key)
        equal(w.stop(), 0)


# ---- where to deliver ----------------------------------------------------

def deliver(*options, env=None):
    done = run(DELIVER, "--db", os.devnull, "--once", *options, env=env)
    assert done.stderr.startswith("sentry-deliver: "), done
    equal(done.stderr.count("\n"), 1, done.stderr)
    return done.returncode, done.stderr


@tap.table("a file with the URL that {} is named", [
    ("is not there", None, "No such file"), ("is empty", "", "no URL"),
    ("has something else in it", "inn.gs/e/hidden", "must begin"),
    ("has quotes", '"https://inn.gs/e/hidden"', "must begin")])
def url_file_is_named(_name, text, words):
    folder = Scratch.new("messages")
    path = os.path.join(folder, "sentry-deliver-to")
    if text is not None:
        write_file(path, text + "\n")
    ways = [(["--to-file", path], None),
            ([], {"SENTRY_DELIVER_TO_FILE": path})]
    if text is not None:
        ways.append(([], {"CREDENTIALS_DIRECTORY": folder}))
    for options, env in ways:
        code, said = deliver(*options, env=env)
        equal(code, 64)
        assert path in said and words in said, said
        assert "hidden" not in said, said


@tap.test("a URL or a secret in place of the file's name is refused, not said")
def file_name_is_a_secret():
    url = "https://inn.gs/e/hidden"
    for options, env in ((["--to-file", url], None),
                         ([], {"SENTRY_DELIVER_TO_FILE": url})):
        code, said = deliver(*options, env=env)
        equal(code, 64)
        assert "name of a file" in said and "hidden" not in said, said
    for options, env in ((["--secret-file", SECRET], None),
                         ([], {"SENTRY_CLIENT_SECRET_FILE": SECRET})):
        done = run(PROGRAM, "--check", *options, env=env)
        equal(done.returncode, 64)
        assert "name of a file" in done.stderr, done
        assert SECRET not in done.stdout + done.stderr, done


@tap.test("all kinds of URL that are known are named where none of them is")
def url_kinds_are_listed():
    for said in (deliver("--to", "gopher://x")[1],
                 run(DELIVER, "--help").stdout):
        for kind in ("http", "nats://", "tls://"):
            assert kind in said, said


@tap.table("{} that cannot be read is named", [
    ("--nats-user-file",), ("--nats-creds",), ("--nats-ca",)])
def unreadable_file_is_named(option):
    w = Worker()
    path = os.path.join(w.folder, "none")
    done = run(DELIVER, "--db", w.db, "--once", "--to",
               "nats://127.0.0.1:1", option, path)
    if "without NATS" in done.stderr:
        raise Skip("built without NATS")
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done
    assert option in done.stderr and path in done.stderr, done
    assert "No such file" in done.stderr, done


@tap.test("the README's placeholder of a key is noticed")
def placeholder_key_is_noticed():
    w = Worker()
    done = run(DELIVER, "--db", w.db, "--once", "--to",
               "http://127.0.0.1:1/e/YOUR-EVENT-KEY")
    assert re.search("level=warning event=to .*placeholder", done.stderr), done


# ---- the environment -----------------------------------------------------

UNKNOWN = {"SENTRY_WEBHOOKS_THREAD": "hidden", "SENTRY_WEBHOOKS_": "hidden",
           "SENTRY_DELIVER_MAX_ATTEMPTS": "hidden",
           "SENTRY_CLIENT_SECRETS": "hidden"}
KNOWN = {"SENTRY_WEBHOOKS_PAGE_THREADS": "2", "SENTRY_DELIVER_TO": "-",
         "SENTRY_WEBHOOKS_THREADS": "2", "SENTRY_ORG": "acme",
         "SENTRY_WEBHOOKS_COMMIT_WAIT": "60000"}


@tap.test("settings that no program knows are said, by name")
def unknown_settings_are_named():
    w = Worker(env={**UNKNOWN, **KNOWN})
    said = w.log_events("environment")
    equal(sorted(x["name"] for x in said), sorted(UNKNOWN))
    equal({x["level"] for x in said}, {"warning"})
    assert "hidden" not in w.log()
    done = run(DELIVER, "--db", w.db, "--once", env={**UNKNOWN, **KNOWN})
    equal(sorted(re.findall(r"event=environment name=(\S+)", done.stderr)),
          sorted(UNKNOWN))
    assert "hidden" not in done.stderr, done


@tap.test("what is known is what the programs' own help says")
def known_settings_match_help():
    names = set()
    for program in ("sentry-webhooks", "sentry-webhooks-page",
                    "sentry-deliver"):
        text = run(os.path.join(BUILD, program), "--help").stdout
        found = re.findall(r"\b(SENTRY_(?:WEBHOOKS|DELIVER|CLIENT)_[A-Z_]+)",
                           text)
        names |= set(found)
        names |= {"SENTRY_WEBHOOKS" + x for x in
                  re.findall(r"[\s,](_[A-Z_]+)", text)}
    w = Worker(env={n: "" for n in names} | {"SENTRY_WEBHOOKS_X": ""})
    equal([x["name"] for x in w.log_events("environment")],
          ["SENTRY_WEBHOOKS_X"])
    assert len(names) > 12, names


tap.run()
