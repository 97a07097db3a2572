#!/usr/bin/env python3
"""Two implementations, one transformation: bodies that nobody sends.

    differential.py [PROGRAM] [--seed N] [--count N]

First every golden file, then mutations of their bodies: members dropped,
doubled, of another kind, of odd sizes; bytes that are no JSON. PROGRAM
(build/tests/support/observe) and reference.py have to say the same of each. The same
seed gives the same hooks. Prints TAP; a hook that the two do not agree about
is kept, and named.
"""
import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

import reference

BATCH = 250                     # hooks for one run of PROGRAM
SHOWN = 3                       # disagreements shown for a batch
SHA = "0123456789abcdef0123456789ABCDEF01234567"

# Member names that some rule looks at: most mutations go here.
NAMES = set("""
    action installation uuid data actor type id name issue event error
    metric_alert comment_id issue_id run_id group_id buildId alert activity
    title level culprit metadata value count userCount firstSeen lastSeen
    platform permalink web_url shortId project slug status assignedTo email
    statusDetails inRelease inCommit url repository provider resolution_type
    substatus priority issueType issueCategory release version environment
    tags user username exception values stacktrace frames function filename
    abs_path module lineno in_app inApp event_id issue_url datetime timestamp
    triggered_rule issue_alert alert_rule aggregate query time_window
    projects date_started date_detected date_created date_closed
    description_text description_title comment project_slug app organization
    projectId projectSlug appInfo root_cause one_line_description solution
    one_line_summary project_id webUrl occurrence issueTitle subtitle
    evidenceDisplay important logentry formatted message main_exception_id
    mechanism exception_id threads crashed current stacktrace assignee
    alert_threshold label triggers resolve_threshold dataset threshold_type
    detection_type details summary pull_requests pull_request pr_url pr_number
    pr_id number repo_name iteration_index five_whys steps description
    code_changes changes path added removed state errorCode errorMessage
    downloadSize installSize installUrl gitInfo headSha headRef prNumber
    appId buildNumber identifier""".split())

NUMBERS = """0 -0 1 -1 7 42 1.0 -1.0 0.0 -0.0 1.50 0.10 1e3 1E+2 2.5e-7 1e22
    1e400 -1e400 4503599627370496.0 9007199254740991 9007199254740992.0
    9007199254740993 9223372036854775807 9223372036854775808
    18446744073709551615 18446744073709551616 -9223372036854775808
    -9223372036854775809 123456789012345678901234567890 999999999999999999
    1566248777.0 1566248777.391 1566248777.3910 253402300799 253402300800
    1767225600""".split() + ["1" * 400, "1." + "3" * 60]

DATES = """2026-01-01T00:00:00Z 2026-01-01T00:00:00.000Z
    2026-01-01T00:00:00+00:00 2026-01-01T00:00:00.123456+00:00
    2026-01-01T00:00:00.5-0830 2024-02-29T23:59:59+14:00 2023-02-29T00:00:00Z
    2026-01-01t00:00:00z 2026-01-01T00:00:00 2026-01-01T00:00:00+05
    2026-01-01T24:00:00Z 2026-01-01T23:60:00Z 2026-01-01T23:59:60Z
    2026-00-01T00:00:00Z 2026-04-31T00:00:00Z 0000-01-01T00:00:00Z
    0000-01-01T00:00:00+01:00 9999-12-31T23:59:59.9-01:00 2026-01-01
    2026-01-01T00:00Z 2026-01-01T00:00:00.Z 20260101T000000Z
    1900-02-28T23:59:59-00:01 2000-02-28T23:59:59-0001 +2026-01-01T00:00:00Z
    2026-01-01T00:00:00.1234567890123Z 2026-01-01T00:00:00+24:00
    2026-01-01T00:00:00+00:60 2026-01-01T00:00:00+0 2026-1-1T0:0:0Z
    1969-12-31T23:59:59Z 2026-01-01T00:00:00ZZ""".split() + [
        "2026-01-01 00:00:00", " 2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z\n", "2026-01-01T00:00:00 +00:00"]

TEXTS = ["", " ", "x", "0", "7", " 12", "12abc", "-5", "1e3", "0x10", "null",
         "fatal", "error", "warning", "info", "user", "assigned", "created",
         "resolved", "critical", "two\nlines", "\nx", "a\rb", "tab\tq\"\\/",
         SHA, "r@" + SHA, "r+" + SHA, "r@" + SHA[1:], "a" + SHA,
         "r@1+" + SHA, "1.2.3", "integrations:github", "gitlab", "http",
         "https://x.example/a/b", "/issues/55/", "/issues/", "x/issues/9a",
         "/projects/o/p/", "/projects/o/", "https://h/projects/o/p/events/",
         "\u00e9", "\u8239\u8236", "\U0001f6a2", "\u2028\u2029\x7f\x80",
         "\ufeff", "\uffff", "r" * 128, "r" * 129, "\u00e9" * 64,
         "\u00e9" * 65, "a:b:c", "t" * 985, "\u00e9" * 1000,
         "\U0001f6a2" * 1001, "e" * 8192, "e" * 8193, "\u00e9" * 4097,
         "\U0001f6a2" * 2049, "[Filtered]", "[email]", "[ip]", "***", "*",
         "*x*", "[filtered]", "team", "open", "updated", "deleted",
         "\n", "\r\n ", "\nThreshold: Static", " x ", "\u00a0x",
         "https://git.example/o/r/pull/41", "https://git.example/pull/41/",
         "https://git.example/pull/41x", "/41", "COMPLETED", "m" * 8190]

# Written as they are: escapes that json.dumps() would not choose.
ESCAPES = [r'"\ud83d"', r'"\udea2\ud83d"', r'"\ud83d\ud83d\udea2"',
           r'"\ud83dx\udea2"', r'"\u0000"', r'"a\u0000b"', r'"\u001f\b\f"',
           r'"\/\u002F"', r'"\ud83d\n"', r'"\ud83d\u0041"', r'"\uD83D\uDEA2"',
           r'"\udbff\udfff"', r'"\ufffe"']

VALUES = ["null", "null", "null", "true", "false", "[]", "{}", "[null]",
          '["x"]', "[[]]", '[["release","t-1"],["environment","t-2"]]',
          '{"release":"o-1","environment":"o-2"}', '[["release",null]]',
          '[{"key":"release","value":"k-1"}]', '[["sentry:release","s-1"]]',
          '{"version":"v-1"}', '{"version":null}', '{"id":"5","url":"u"}',
          '{"id":5,"name":null}', '{"id":null,"slug":""}', '{"frames":[{}]}',
          '{"values":[{"stacktrace":{"frames":[{"in_app":true}]}}]}',
          '{"values":[null,{"stacktrace":true}]}', '{"a":[1.0,{"b":2.50}]}',
          '{"values":[{"crashed":true,"stacktrace":{"frames":[{"inApp":1}]}}'
          ']}',
          '{"values":[{"current":1,"stacktrace":{"frames":[{"in_app":true,'
          '"function":"f","lineno":3}]}},{"crashed":0}]}',
          '{"frames":[{"in_app":true,"module":"m"}]}',
          '{"values":[{"type":"A","value":null,"mechanism":{"exception_id":0}}'
          ',{"type":"B","mechanism":{"exception_id":"1"}}]}',
          '[{"name":"N","value":"v","important":true},{"value":7},null]',
          '[{"name":null,"value":"v","important":"x"},{"name":"E","value":""}'
          ']',
          '{"issueTitle":"T","subtitle":"S","level":"info","type":1}',
          '{"subtitle":"S","evidenceDisplay":[{"name":"N","value":"S"}]}',
          '{"formatted":"a message that is longer than its title by far"}',
          '{"id":"[Filtered]","email":"***"}', '{"name":"n","username":""}',
          '{"ip_address":"192.0.2.1"}', '{"type":"team","id":4,"name":"t"}',
          '{"type":"user","name":"n"}', '{"type":"team","id":null}',
          '[{"label":"critical","alert_threshold":1.50},{"label":"warning"}]',
          '[{"label":"resolved","alert_threshold":"9"},null]',
          '[{"pr_id":1,"pr_number":2,"pr_url":"https://h/o/r/pull/3"}]',
          '[{"repo_name":"o/r","pull_request":{"pr_url":"https://h/pull/3"}},'
          '{"url":"https://h/pull/3"},{"id":5},{"pr_id":"5"},7]',
          '{"number":8,"web_url":"https://h/8"}', '{"url":null,"id":"x"}',
          '{"o/r":[{"path":"p","added":1,"removed":0},{"path":null}],"q":{}}',
          '[{"repo_name":"o/r","title":"t"},{"title":""},{"repo_name":"q"}]',
          '[{"title":"one"},{"title":null},"two",3]', '["a",1,null,"",["b"]]',
          '{"prNumber":7,"headSha":"s","headRef":"b"}',
          '{"a":"x","b":1,"c":null,"d":"","e":[1],"pr_id":3}']

JUNK = [b"\0", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80",
        b"\xef\xbb\xbf", b"\xc3", b"\xe2\x80", b"'", b",", b"{", b"}", b"]",
        b"\"", b"\\", b"\\u12", b"NaN", b"Infinity", b"/**/", b"//\n", b"1.",
        b".5", b"01", b"+1", b"\x0b", b"\t", b" \r\n", b"tru", b"True", b"-",
        b"1e", b"\x1f", b":", b"nan", b"-Infinity", b"0x1", b"\xc2\xa0"]

RESOURCES = ["issue", "error", "event_alert", "metric_alert", "comment",
             "installation", "activity_alert", "seer", "preprod_artifact",
             "Issue", "new.thing-1", "not a name", "n" * 64, "n" * 65]


class Raw(str):
    """A piece of JSON that is written as it stands."""


class Members(list):
    """An object: [name, value] pairs, so that a name can stand twice."""


def load(body):
    return json.loads(
        body.decode("utf-8"), parse_int=Raw, parse_float=Raw,
        object_pairs_hook=lambda pairs: Members(map(list, pairs)))


def dump(value):
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, Members):
        return "{" + ",".join(json.dumps(k) + ":" + dump(v)
                              for k, v in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dump, value)) + "]"
    return json.dumps(value)


def places(value, found):
    """Every (container, index, name) in the document."""
    for i, entry in enumerate(value):
        name = entry[0] if isinstance(value, Members) else None
        child = entry[1] if isinstance(value, Members) else entry
        found.append((value, i, name))
        if isinstance(child, list):
            places(child, found)
    return found


def odd_value(dice):
    kind = dice.randrange(10)
    if kind < 4:
        return Raw(dice.choice(VALUES))
    if kind < 6:
        return Raw(dice.choice(NUMBERS))
    if kind < 7:
        return Raw(dice.choice(ESCAPES))
    if kind < 8:
        return dice.choice(DATES)
    return dice.choice(TEXTS)


def mutate_member(dice, root):
    found = places(root, [])
    known = [p for p in found if p[2] in NAMES]
    if not found:
        return
    where, i, name = dice.choice(known if known and dice.random() < 0.85
                                 else found)
    action = dice.randrange(12)
    if action < 3:
        del where[i]
    elif name is None:
        where[i] = odd_value(dice)
    elif action < 10:
        where[i][1] = odd_value(dice)
    elif action < 11:
        where.insert(dice.randrange(len(where) + 1), [name, odd_value(dice)])
    else:
        where[i][0] = dice.choice(sorted(NAMES))


def mutate_bytes(dice, body):
    at = dice.randrange(len(body) + 1)
    if dice.random() < 0.3:
        return body[:at]
    if dice.random() < 0.2:
        at = dice.choice((0, len(body)))
    end = at + dice.randrange(2)
    return body[:at] + dice.choice(JUNK) + body[end:]


def mutate_headers(dice, hook):
    kind = dice.randrange(8)
    if kind == 0:
        hook["Sentry-Hook-Resource"] = dice.choice(RESOURCES)
    elif kind == 1:
        hook.pop("Sentry-Hook-Resource", None)
    elif kind == 2:
        hook["Sentry-Hook-Timestamp"] = dice.choice(
            ["1767225600", "0", "x", "1767225600.5", "99999999999999",
             "1767139300", "1767311900", "1767139100", "1767312100"])
    elif kind == 3:
        hook["Idempotency-Key"] = dice.choice(["a" * 32, "B" * 32, "c" * 33])
    elif kind == 4:
        hook.pop("Request-ID", None)
    elif kind == 5:
        hook["Learned-Release"] = dice.choice(["l-1", "l@" + SHA, SHA])
    elif kind == 6:
        hook["Observe"] = dice.choice(
            ["issue.*", "error.created,comment.*", "*"])


def mutated(dice, seeds):
    hook, body = dice.choice(seeds)
    hook = dict(hook)
    if dice.random() < 0.8:
        hook["Observe"] = "*"
    if dice.random() < 0.3:
        mutate_headers(dice, hook)
    root = load(body)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 6))):
        mutate_member(dice, root)
    body = dump(root).encode()
    if dice.random() < 0.12:
        body = mutate_bytes(dice, body)
    head = "\n".join("%s: %s" % pair for pair in hook.items())
    return head.encode() + b"\n\n" + body


def readable_seeds(files):
    """The goldens that are JSON, without the ones that are only long."""
    seeds = []
    for data in files:
        hook, body = reference.split(data)
        try:
            reference.parse(body)
        except reference.Unreadable:
            continue
        if len(body) < 16384:
            seeds.append((hook, body))
    return seeds


def said(program, paths):
    """What PROGRAM prints for each file, by name; and its exit status."""
    done = subprocess.run([program, *paths], stdout=subprocess.PIPE,
                          check=False)
    answers = {}
    for chunk in (b"\n" + done.stdout).split(b"\n== ")[1:]:
        name, _, text = chunk.partition(b"\n")
        answers[name.decode()] = text.rstrip(b"\n")
    return answers, done.returncode


def difference(ours, theirs):
    """The first lines that differ, cut to the place where they do."""
    ours, theirs = ours.split(b"\n"), theirs.split(b"\n")
    for i in range(max(len(ours), len(theirs))):
        a = ours[i] if i < len(ours) else b"(nothing)"
        b = theirs[i] if i < len(theirs) else b"(nothing)"
        if a == b:
            continue
        same = len(os.path.commonprefix((a, b)))
        cut = max(0, same - 60)
        return ["reference: " + a[cut:same + 120].decode("utf-8", "replace"),
                "program:   " + b[cut:same + 120].decode("utf-8", "replace")]
    return []


def compare(program, hooks, folder, keep):
    """Runs one batch; returns the lines about what differs."""
    paths = []
    for name, data in hooks:
        paths.append(os.path.join(folder, name))
        with open(paths[-1], "wb") as f:
            f.write(data)
    answers, status = said(program, paths + paths[:1])
    lines = [] if status == 0 else ["exit status %d" % status]
    shown = 0
    for name, data in hooks:
        ours = reference.report(data).encode().rstrip(b"\n")
        found = difference(ours, answers.get(name, b"(no answer)"))
        if found and shown < SHOWN:
            shutil.copy(os.path.join(folder, name), keep)
            lines += [os.path.join(keep, name), *found]
        shown += bool(found)
    if shown > SHOWN:
        lines.append("and %d more" % (shown - SHOWN))
    return lines


def tap(number, name, lines):
    print("%sok %d - %s" % ("not " if lines else "", number, name))
    for line in lines:
        print("# " + line.replace("\n", " "))
    sys.stdout.flush()


def arguments():
    default = os.path.join(os.environ.get("top_builddir", "build"), "tests", "support",
                           "observe")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", nargs="?", default=default)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=6000)
    return parser.parse_args()


def main():
    options = arguments()
    program = os.path.abspath(options.program)
    dice = random.Random(options.seed)
    # The reference knows nothing of redaction: unit-redact does.
    golden = [(os.path.basename(p), reference.read(p))
              for p in reference.golden()
              if not os.path.basename(p).startswith("redact-")]
    batches = -(-options.count // BATCH)
    print("1..%d" % (1 + batches))
    keep = tempfile.mkdtemp(prefix="differential-")
    with tempfile.TemporaryDirectory() as folder:
        lines = compare(program, golden, folder, keep)
        failed = bool(lines)
        tap(1, "the two agree about the golden hooks", lines)
        seeds = readable_seeds([data for _, data in golden])
        for batch in range(batches):
            count = min(BATCH, options.count - batch * BATCH)
            hooks = [("%d-%05d.hook" % (options.seed, batch * BATCH + i),
                      mutated(dice, seeds)) for i in range(count)]
            lines = compare(program, hooks, folder, keep)
            failed = failed or bool(lines)
            tap(2 + batch, "the two agree about %d mutated hooks, seed %d"
                % (count, options.seed), lines)
    if not os.listdir(keep):
        os.rmdir(keep)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.exit(main())
