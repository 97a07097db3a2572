#!/usr/bin/env python3
"""Personal data: with --redact none of it is kept, on no way of a hook;
--erase-person and --erase-project delete all of it, and nothing else."""
import json
import os
import subprocess
import threading
import time

from database import Snapshot
from environment import LIMIT, REPLAY, clean_environment
from expect import equal, until
from hooks import (PATH, comment, compact, envelope, error, event_alert,
                   issue, metric_alert, signed, unique)
from logfmt import logfmt
from outbox import Outbox
from process import run_program
from scratch import write_file
from tap import Tap, need_program
from worker import BRIEF, Worker

need_program()
tap = Tap()
MAIL = "kai.larsen@example.com"
IP = "198.51.100.77"
PERSONAL = (MAIL, IP, "Larsen", "2001:db8::77")


def personal_error(**more):
    """An error that names its user in as many places as it can."""
    value = f"no cart for {MAIL} at {IP} (2001:db8::77)"
    more = {"user": {"id": "31", "email": MAIL, "username": "Larsen",
                     "ip_address": IP, "geo": {"city": "Larsen"}},
            "title": f"ValueError: {value}",
            "metadata": {"type": "ValueError", "value": value},
            "tags": [["user", "username:Larsen"], ["ip", IP]],
            "request": {"url": f"https://x.example/?mail={MAIL}",
                        "env": {"REMOTE_ADDR": IP},
                        "headers": [["X-Forwarded-For", IP]]},
            "breadcrumbs": {"values": [{"message": "Larsen logs in"}]},
            "extra": {"name": "Larsen"}, **more}
    return compact(error(**more))


def feedback(name, **more):
    """An alert about feedback: its author is named in the evidence alone."""
    return compact(event_alert(
        title=f"User Feedback: {name} is stuck",
        message=f"stuck, says {name.upper()}", occurrence={
            "type": 6001, "issueTitle": f"User Feedback: {name} is stuck",
            "evidenceDisplay": [
                {"value": "rosa@example.net", "name": "contact_email"},
                {"value": name, "name": "name"}]}, **more))


def every_byte(w):
    """The bytes of all files in the worker's folder."""
    found = b""
    for folder, _, names in os.walk(w.folder):
        for name in names:
            if name not in ("socket", "secret"):
                with open(os.path.join(folder, name), "rb") as f:
                    found += f.read()
    return found


def post_all(w, *hooks, resource="error"):
    for hook in hooks:
        equal(w.send(hook, resource).status, 200)


# ---- --redact ------------------------------------------------------------

@tap.table("with {} nothing of a person stays, in the database, its log, the "
           "spool or the worker's log", [
               ("--redact", ["--redact"], None),
               ("SENTRY_WEBHOOKS_REDACT=1", [],
                {"SENTRY_WEBHOOKS_REDACT": "1"})])
def nothing_of_a_person_stays(_name, options, env):
    w = Worker(*BRIEF, *options, env=env)
    post_all(w, personal_error())
    until(lambda: w.value("SELECT count(*) FROM outbox") == 1 and
          w.spool_is_empty())
    lock = w.lock()
    post_all(w, personal_error())
    assert len(w.spooled()) == 1, w.spooled()
    kept = every_byte(w)
    lock.release()
    until(lambda: w.value("SELECT count(*) FROM outbox") == 2)
    kept += every_byte(w)
    assert b"no cart for [email]" in kept and b'"id":"31"' in kept
    for word in PERSONAL:
        assert word.encode() not in kept, word
    for body, source in w.rows("SELECT body, source_event FROM webhook w "
                               "JOIN outbox o ON o.webhook_id = w.id"):
        assert json.loads(body)["data"]["error"]["user"]["email"] is None
        assert "[email]" in json.loads(source)["title"]


@tap.test("of feedback --redact keeps the words, and not the author")
def feedback_keeps_words():
    w = Worker("--redact")
    post_all(w, feedback("Rosa Lind"), resource="event_alert")
    until(lambda: w.value("SELECT count(*) FROM outbox") == 1)
    body, source = w.rows("SELECT body, source_event FROM webhook w "
                          "JOIN outbox o ON o.webhook_id = w.id")[0]
    equal(json.loads(body)["data"]["event"]["message"], "stuck, says [name]")
    assert "[name] is stuck" in json.loads(source)["title"], source
    for word in (b"rosa", b"lind"):
        assert word not in every_byte(w).lower(), word


@tap.test("without --redact bodies are kept to the byte")
def without_redact_all_is_kept():
    w = Worker(env={"SENTRY_WEBHOOKS_REDACT": "0"})
    body = personal_error()
    post_all(w, body)
    equal(bytes(w.value("SELECT body FROM webhook")), body)


@tap.test("a delivery is the same with --redact and without it, also through "
          "the spool")
def same_delivery_either_way():
    w = Worker(*BRIEF)
    # The dedupe key is made from an address, and there is no event id.
    alert = event_alert(rule="mail-" + MAIL)
    bodies = [(personal_error(), "error"),
              (compact(alert), "event_alert"),
              (compact(issue("resolved", title=MAIL)), "issue")]
    sent = [(body, signed(body, resource)) for body, resource in bodies]
    for body, headers in sent:
        equal(w.post(body, headers).status, 200)
    until(lambda: w.hook_count() == 3 and w.spool_is_empty())
    keys = [row[0] for row in w.rows("SELECT dedupe_key FROM webhook "
                                      "ORDER BY id")]
    w.stop()
    w.argv.append("--redact")
    w.start()
    lock = w.lock()
    for body, headers in sent:
        equal(w.post(body, headers).status, 200)
    equal(len(w.spooled()), 3)
    for name in w.spooled():            # nor in the key
        with open(os.path.join(w.spool, name), "rb") as file:
            assert MAIL.encode() not in file.read(), name
    lock.release()
    until(lambda: not w.spooled())
    for body, headers in sent:
        equal(w.post(body, headers).status, 200)
    until(lambda: [tuple(row) for row in w.rows(
        "SELECT dedupe_key, seen FROM webhook ORDER BY id")] ==
        [(k, 3) for k in keys])


@tap.test("hooks that were spooled before --redact are redacted when they are "
          "brought in")
def spooled_before_redact():
    w = Worker(*BRIEF)
    post_all(w, issue(), resource="issue")
    until(lambda: w.value("SELECT count(*) FROM outbox") == 1)
    lock = w.lock()
    post_all(w, personal_error())
    w.kill()
    assert MAIL.encode() in every_byte(w), "it was not spooled as it came"
    lock.release()
    w.argv.append("--redact")
    w.start()
    until(lambda: w.value("SELECT count(*) FROM outbox") == 2 and
          w.spool_is_empty())
    for word in PERSONAL:
        assert word.encode() not in every_byte(w), word


@tap.test("of an unreadable body --redact keeps its length and hash alone")
def unreadable_body():
    w = Worker(*BRIEF, "--redact")
    body = b'{"user":"' + MAIL.encode()
    lock = w.lock()
    equal(w.send(body).status, 400)
    lock.release()
    until(lambda: w.hook_count() == 1)
    outcome, kept = w.rows("SELECT outcome, body FROM webhook")[0]
    equal(outcome, "unreadable")
    assert f"{len(body)} bytes".encode() in bytes(kept), bytes(kept)
    assert MAIL.encode() not in every_byte(w)


# ---- erasing -------------------------------------------------------------

def erase(w, *options, stdin=b""):
    return run_program("--db", w.db, *options, stdin=stdin)


def filled(*options):
    """A worker with four hooks of Kai's among three others."""
    w = Worker("--observe", "error.* issue.*", *options)
    post_all(w, personal_error(), error(user={"id": "32"}),
             error(user={"id": "9", "email": MAIL.upper()}))
    post_all(w, issue(title=f"crash of {MAIL}"), issue(), resource="issue")
    post_all(w, comment(comment=f"tell {MAIL}"), comment(), resource="comment")
    until(lambda: w.hook_count() == 7 and w.spool_is_empty())
    return w


@tap.test("--erase-person takes every hook that names an address, its rows "
          "and all traces, and leaves the others")
def erase_person():
    w = filled()
    body = b'{"torn":"' + MAIL.encode()
    equal(w.send(body).status, 400)
    others = [bytes(row[0]) for row in w.rows("SELECT body FROM webhook")
              if MAIL.encode() not in bytes(row[0]).lower()]
    equal(len(others), 3)
    done = erase(w, "--erase-person", MAIL, "--yes")
    equal(done.returncode, 0, done)
    equal([bytes(row[0]) for row in w.rows("SELECT body FROM webhook")],
          others)
    equal(w.value("SELECT count(*) FROM outbox"), 2)
    equal(w.value("SELECT count(*) FROM outbox WHERE webhook_id NOT IN "
                  "(SELECT id FROM webhook)"), 0)
    assert MAIL.encode() not in every_byte(w).lower()
    with open(w.db + "-wal", "rb") as f:
        assert len(f.read()) < 10000, "the log was not cut"
    post_all(w, personal_error())           # the worker goes on
    assert w.get(PATH + "/ready").status == 200


@tap.test("the audit line has counts and nothing of the person")
def audit_of_erase():
    w = filled()
    done = erase(w, "--erase-person", MAIL, "--yes")
    lines = [logfmt(line) for line in done.stderr.splitlines()]
    equal([(x["event"], x["what"], x["hooks"], x["unmapped"], x["spooled"])
           for x in lines], [("erased", "person", "4", "3", "0")])
    assert MAIL not in done.stdout + done.stderr, done


@tap.table("--erase-person finds {}", [
    ("an IP address", IP, 1), ("an IPv6 address", "2001:DB8::77", 1),
    ("a user's id", "31", 1), ("a user's name", "larsen", 1),
    ("no part of an address", "larsen@example.com", 0),
    ("no part of an id", "3", 0)])
def erase_person_finds(_name, who, hooks):
    w = filled()
    before = w.hook_count()
    done = erase(w, "--erase-person", who, "--yes")
    equal(done.returncode, 0 if hooks else 1, done)
    equal(before - w.hook_count(), hooks)


@tap.test("--erase-person finds who gave feedback, by name or address")
def erase_person_of_feedback():
    w = Worker()
    for who in ("rosa lind", "rosa@example.net"):
        post_all(w, event_alert(), feedback("Rosa Lind"),
                 resource="event_alert")
        done = erase(w, "--erase-person", who, "--yes")
        equal(done.returncode, 0, done)
        assert b"Rosa" not in every_byte(w), who
    equal(w.hook_count(), 2)


@tap.test("hooks in the spool, and those set aside, are erased there")
def erase_from_spool():
    w = filled(*BRIEF)
    w.stop()
    equal(erase(w, "--erase-person", MAIL, "--yes").returncode, 0)
    w.start()
    lock = w.lock()
    post_all(w, personal_error(), error())
    w.kill()
    lock.release()
    write_file(os.path.join(w.spool, "1-1-1.hook.bad"), "torn: " + MAIL)
    equal(len(w.spooled()), 3)
    done = erase(w, "--erase-person", MAIL, "--yes")
    equal(done.returncode, 0, done)
    equal(len(w.spooled()), 1)
    assert MAIL.encode() not in every_byte(w).lower()
    w.start()
    until(lambda: not w.spooled())


@tap.test("a temporary file in the spool is erased once it is a dead process's")
def erase_temporary_files():
    w = filled()
    w.stop()
    for name, age in ("1-1-1.tmp", 700), ("1-1-2.tmp", 0), ("3.txt", 700):
        path = write_file(os.path.join(w.spool, name), "torn: " + MAIL)
        os.utime(path, (time.time() - age,) * 2)
    plan = erase(w, "--erase-person", MAIL)
    equal(plan.stdout.splitlines()[-1].split(), ["spool", "files", "1"], plan)
    done = erase(w, "--erase-person", MAIL, "--yes")
    equal(done.returncode, 0, done)
    equal(sorted(w.spooled()), ["1-1-2.tmp", "3.txt"])


@tap.table("nothing is erased {}", [
    ("without a yes", [], b"", 1), ("by a pipe that says yes", [], b"yes\n",
                                    1),
    ("for nobody", ["--yes"], b"", 1)])
def nothing_is_erased(name, options, stdin, status):
    w = filled()
    who = "x@example.org" if name == "for nobody" else MAIL
    before = every_byte(w)
    done = erase(w, "--erase-person", who, *options, stdin=stdin)
    equal(done.returncode, status, done)
    count = "0" if name == "for nobody" else "4"
    equal(done.stdout.split()[:2], ["hooks", count], "the plan")
    equal(w.hook_count(), 7)
    assert (MAIL.encode() in every_byte(w)) == (MAIL.encode() in before)


@tap.table("--erase-project takes a project's hooks by its {}, and what they "
           "taught", [("slug", "shop"), ("slug in capitals", "SHOP"),
                      ("number", "4509877862268928")])
def erase_project(_name, which):
    w = Worker()
    other = {"project": 77, "slug": "bank"}
    post_all(w, error(issue_id="1"), error(issue_id="2", **other))
    post_all(w, issue(), issue("ignored"),
             issue(project="77", slug="bank"), resource="issue")
    if which.isalpha():
        post_all(w, comment(), comment(project_slug="bank"),
                 resource="comment")
        post_all(w, metric_alert(projects=["web", "shop"]),
                 resource="metric_alert")
    equal(w.value("SELECT count(*) FROM issue_release"), 2)
    done = erase(w, "--erase-project", which, "--yes")
    equal(done.returncode, 0, done)
    left = 3 if which.isalpha() else 2
    equal(w.hook_count(), left)
    equal([row[0] for row in w.rows("SELECT issue_id FROM issue_release")],
          ["2"])
    kept = every_byte(w)
    assert b"bank" in kept and b"/shop/" not in kept


def of_project(number, slug):
    """Hooks of a project: its first issue alone says that the number and the
    slug are one's, the others name one of the two, or only that issue."""
    first = issue(project=number, slug=slug)
    seer = envelope("", {
        "run_id": unique(), "group_id": int(first["data"]["issue"]["id"])})
    return [(compact(hook) if isinstance(hook, dict) else hook, resource)
            for hook, resource in (
                (dict(seer, action="root_cause_started"), "seer"),
                (first, "issue"),
                (dict(seer, action="root_cause_completed"), "seer"),
                (error(project=int(number), url=None), "error"),
                (issue("resolved", project=number, slug=None), "issue"),
                (comment(project_slug=slug), "comment"),
                (metric_alert(projects=["web", slug]), "metric_alert"),
                (f'{{"torn":"{slug} {unique()}'.encode(), "issue"))]


def take_all(w, hooks):
    """Gives the worker hooks, and of the bodies those that it can read."""
    for body, resource in hooks:
        status = 400 if b"torn" in body else 200
        equal(w.send(body, resource).status, status)


def stored(w):
    return {bytes(row[0]) for row in w.rows("SELECT body FROM webhook")}


@tap.table("--erase-project by its {} takes hooks that only name the other, or "
           "one of its issues, and as many as the plan says", [
               ("slug", "Shop"), ("number", "4509877862268928")])
def erase_project_by_either(_name, which):
    w = Worker(*BRIEF)
    others = of_project("77", "bank")
    hooks = of_project("4509877862268928", "shop")
    take_all(w, hooks[:3] + others + hooks[3:])
    until(lambda: w.hook_count() == len(hooks) + len(others) and
          w.spool_is_empty())
    lock = w.lock()
    take_all(w, [of_project("77", "shop")[5], hooks[0]])
    w.kill()
    lock.release()
    equal(len(w.spooled()), 2)
    plan = erase(w, "--erase-project", which)
    words = plan.stdout.split()
    equal((words[1], words[-1]), (str(len(hooks)), "2"), plan)
    done = erase(w, "--erase-project", which, "--yes")
    equal(done.returncode, 0, done)
    equal(stored(w), {body for body, _ in others})
    assert f"hooks={len(hooks)} " in done.stderr, done
    equal(w.spooled(), [])
    w.start()


@tap.table("--erase-project by a {} that no row names together with another "
           "takes what names it", [("slug", "shop", 1), ("number", "77", 2)])
def erase_project_by_one_name(_name, which, kept):
    w = Worker()
    take_all(w, [(compact(comment()), "comment"),
                 (compact(error(project=77, url=None)), "error"),
                 (compact(error(slug="bank")), "error")])
    done = erase(w, "--erase-project", which, "--yes")
    equal(done.returncode, 0, done)
    equal([row[0] for row in w.rows("SELECT id FROM webhook ORDER BY id")],
          [x for x in (1, 2, 3) if x != kept])


UNREADABLE = [                  # shop has the number 2
    (b'{"torn":{"slug":"shop","id', "shop", True),
    (b'{"torn":"/projects/acme/SHOP/', "shop", True),
    (b'{"torn":"b\xffd","p":{"slug" : "shop"}}', "shop", True),
    (b'["shop","torn"]', "shop", True),
    (b'{"torn":{"slug":"shops"},"x":"e-shop"', "shop", False),
    (b'{"torn":{"id":"12","project":{"id":"2","slug":"bank"}', "shop", False),
    (b'{"torn":{"project":2', "2", False),
    (b'{"torn":{"project":450987,"shop":1', "450987", True),
    (b'{"torn":{"project":1450987', "450987", False),
    (b'{"torn":{"shop" :1}', "shop", False),
]


@tap.table("of bodies that cannot be read --erase-project takes those with the "
           "name as a word: {}", UNREADABLE)
def erase_unreadable(body, which, meant):
    w = Worker()
    take_all(w, [(compact(issue(project="2", slug="shop")), "issue"),
                 (body, "issue")])
    done = erase(w, "--erase-project", which, "--yes")
    assert done.returncode in (0, 1), done      # 1: there is none
    equal(body in stored(w), not meant)


@tap.test("what --redact has left of such a body names no project")
def erase_redacted_unreadable():
    w = Worker("--redact")
    equal(w.send(b'{"torn":"shop"').status, 400)
    for which in ("bytes", "shop", "sha256"):
        equal(erase(w, "--erase-project", which, "--yes").returncode, 1)
    equal(w.hook_count(), 1)


@tap.test("a person or project of blanks alone is refused")
def erase_of_blanks():
    w = filled()
    for option in ("--erase-person", "--erase-project"):
        equal(erase(w, option, " \t", "--yes").returncode, 64)
    equal(w.hook_count(), 7)


@tap.table("of two projects with one slug --erase-project takes {}", [
    ("both by the slug", "shop", set()),
    ("one by its number, and what names no number", "77", {1, 2})])
def erase_project_of_two(_name, which, left):
    w = Worker()
    for number in (78, 77):
        take_all(w, [(compact(error(project=number)), "error"),
                     (compact(error(project=number, url=None)), "error"),
                     (compact(comment()), "comment")])
    done = erase(w, "--erase-project", which, "--yes")
    equal(done.returncode, 0, done)
    equal({row[0] for row in w.rows("SELECT id FROM webhook")}, left)


@tap.test("event ids of what a sink has taken are printed: there it has to be "
          "erased, too")
def erase_prints_event_ids():
    w = filled()
    outbox = Outbox(db=w.db)
    # Taken; refused; sent three times as new, and then put back once more.
    outbox.do("UPDATE outbox SET state = 'delivered', workspace_id = 'w' "
              "WHERE id = 1")
    outbox.do("UPDATE outbox SET state = 'dead', attempts = 20, "
              "workspace_id = 'w' WHERE id = 3")
    outbox.do("UPDATE outbox SET state = 'pending', sink = 'http', "
              "workspace_id = 'w', event_id = event_id || '-r3' "
              "WHERE id = 4")
    first, _, second, third = outbox.ids()[:4]
    done = erase(w, "--erase-person", MAIL, "--yes")
    equal([line for line in done.stdout.splitlines()
           if line.startswith("sentry-")],
          [first, second, third[:-3], third[:-3] + "-r2", third])


@tap.test("--erase-project names every id under which a sink may have a row, "
          "of dead ones and from before a replay as new")
def erase_prints_former_ids():
    w = filled()
    outbox = Outbox(db=w.db)
    outbox.do("UPDATE outbox SET state = 'delivered', workspace_id = 'w', "
              "sink = 'http', delivered_at = created_at WHERE id = 1")
    outbox.do("UPDATE outbox SET state = 'dead', attempts = 20, "
              "workspace_id = 'w' WHERE id = 3")
    first, _, third = outbox.ids()[:3]
    for _ in range(2):
        done = subprocess.run(
            [REPLAY, "--db", w.db,
             "--id", "1", "--new-id", "--yes"], capture_output=True,
            text=True, timeout=LIMIT, env=clean_environment())
        equal(done.returncode, 0, done)
    done = erase(w, "--erase-project", "shop", "--yes")
    equal(done.returncode, 0, done)
    named = {line for line in done.stdout.splitlines()
             if line.startswith("sentry-")}
    equal(named, {first, first + "-r2", first + "-r3", third})


@tap.test("a thousand hooks are erased while others come in, all of which are "
          "answered 200")
def erase_under_load():
    w = Worker()
    for _ in range(20):
        post_all(w, *(personal_error() for _ in range(50)))
    seen, stop = [], threading.Event()

    def intake():
        while not stop.is_set():
            seen.append(w.send(error(), "error").status)

    thread = threading.Thread(target=intake)
    thread.start()
    try:
        done = erase(w, "--erase-person", MAIL, "--yes")
    finally:
        stop.set()
        thread.join()
    equal(done.returncode, 0, done)
    print(f"# {len(seen)} others meanwhile")
    equal(set(seen), {200})
    until(lambda: not w.spooled())
    equal(w.hook_count(), len(seen))
    assert MAIL.encode() not in every_byte(w)


@tap.test("while a reader holds a snapshot the erasing is done, but says that "
          "copies are left")
def erase_beside_reader():
    w = filled()
    reader = Snapshot(w.db)
    done = erase(w, "--erase-person", MAIL, "--yes")
    equal(done.returncode, 1, done)
    assert "copies are left" in done.stderr, done.stderr
    equal(w.hook_count(), 3)
    reader.release()
    erase(w, "--erase-person", MAIL, "--yes")
    assert MAIL.encode() not in every_byte(w).lower()


@tap.table("{} is a wrong command line", [
    ("both at once", ["--erase-person", "x", "--erase-project", "y"]),
    ("--erase-person of nothing", ["--erase-person", ""]),
    ("--erase-project with --check", ["--erase-project", "x", "--check"]),
    ("--yes alone", ["--yes"]),
    ("--redact=1", ["--redact=1"])])
def bad_usage(_name, options):
    equal(run_program(*options).returncode, 64)


tap.run()
