#!/usr/bin/env python3
"""What Prometheus reads, alerts on and shows: the worker's metrics, the
deliverer's file, the rules and the dashboard of conf/."""
import glob
import http.server
import json
import os
import re
import select
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import faults
import harness as h
from harness import FULL, Scratch, Skip, Tap, Worker, equal, until

DELIVER = os.path.join(h.BUILD, "sentry-deliver")
RULES = os.path.join(h.SRC, "conf", "prometheus-alerts.yml")
RULES_TESTS = [os.path.join(h.SRC, "tests", "support", name)
               for name in ("alerts-test.yml", "alerts-week-test.yml")]
DASHBOARD = os.path.join(h.SRC, "conf", "grafana-dashboard.json")
HOOKS = "sentry_webhooks_hooks_total"
RESOURCES = ("issue error event_alert metric_alert comment installation "
             "activity_alert seer preprod_artifact other").split()
RESULTS = ("stored ignored unreadable duplicate spooled lost unconfigured "
           "unauthentic malformed").split()
OURS = re.compile(r"\b(?:sentry_(?:webhooks|deliver)_[a-z_]+"
                  r"|process_start_time_seconds)\b")
SAMPLE = re.compile(r"([a-z_:]+)(\{.*\})? (\S+)")
tap = Tap()
h.need_program()
if not os.access(DELIVER, os.X_OK):
    h.skip_all("sentry-deliver is not built")


def scrape(worker):
    answer = worker.get(h.PATH + "/metrics")
    equal(answer.status, 200)
    return answer.body.decode("ascii")


def series(text):
    """{name and labels: value}"""
    found = {}
    for line in text.splitlines():
        match = not line.startswith("#") and SAMPLE.fullmatch(line)
        if match:
            found[match[1] + (match[2] or "")] = float(match[3])
    return found


def hooks(worker):
    """{(resource, result): count} of what is not 0"""
    return {tuple(re.findall(r'"(\w+)"', name)): value
            for name, value in series(scrape(worker)).items()
            if name.startswith(HOOKS) and value}


def names(text):
    """The metrics that a text in Prometheus' format declares."""
    return set(re.findall(r"^# TYPE (\S+) ", text, re.M))


def post(worker, body, resource="issue", secret=h.SECRET):
    raw = body if isinstance(body, bytes) else h.compact(body)
    return worker.post(raw, h.signed(raw, resource, secret)).status


def deliver_once(worker):
    path = os.path.join(Scratch.new("prom"), "sentry.prom")
    subprocess.run([DELIVER, "--db", worker.db, "--to", "-", "--once",
                    "--metrics", path], stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=h.LIMIT,
                   env=h.clean_environment())
    return path


def read(path):
    with open(path) as f:
        return f.read()


def promtool(*arguments, stdin=""):
    if not shutil.which("promtool"):
        raise Skip("no promtool")
    done = subprocess.run(["promtool", *arguments], input=stdin,
                          capture_output=True, text=True, timeout=h.LIMIT)
    equal((done.returncode, done.stderr), (0, ""), done.stdout)
    return done.stdout


# ---- names ---------------------------------------------------------------

@tap.test("promtool finds no fault with the worker's metrics")
def promtool_accepts_worker():
    worker = Worker()
    post(worker, h.issue())
    equal(promtool("check", "metrics", stdin=scrape(worker)), "")


@tap.test("promtool finds no fault with the deliverer's, which all may read")
def promtool_accepts_deliverer():
    worker = Worker()
    h.map_everything(worker.db)
    post(worker, h.issue())
    path = deliver_once(worker)
    equal(os.stat(path).st_mode & 0o777, 0o644)
    equal(promtool("check", "metrics", stdin=read(path)), "")
    # The collector reads one folder; the file is never seen half written.
    equal(glob.glob(path + ".*"), [])


@tap.test("every metric of the rules and the dashboard is there, and none is "
          "forgotten")
def every_metric_exists():
    worker = Worker()
    there = names(scrape(worker)) | names(read(deliver_once(worker)))
    with open(DASHBOARD) as f:
        board = json.load(f)
    expressions = [t["expr"] for p in board["panels"] for t in p["targets"]]
    shown = set()
    for name in OURS.findall("\n".join(expressions) + read(RULES)):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        assert name in there or base in there, name
        shown.add(name if name in there else base)
    equal(there - shown, set(), "neither shown nor alerted on")


# ---- hooks ---------------------------------------------------------------

@tap.test("a hook is counted once, by its resource and what became of it")
def hook_is_counted_once():
    worker = Worker()
    issue, wrong = h.issue(), h.compact(h.comment())
    equal(post(worker, issue), 200)
    equal(post(worker, issue), 200)
    equal(post(worker, h.error(), "issue"), 200)    # by its body
    equal(post(worker, h.comment(), "comment"), 200)
    equal(post(worker, b"{", "seer"), 400)
    equal(post(worker, wrong, "comment", "another"), 401)
    equal(worker.post(b"x", length=False).status, 401)
    equal(hooks(worker), {
        ("issue", "stored"): 1, ("issue", "duplicate"): 1,
        ("error", "stored"): 1, ("comment", "ignored"): 1,
        ("seer", "unreadable"): 1, ("comment", "unauthentic"): 1,
        ("other", "unauthentic"): 1})


@tap.test("no request makes a series: what is not known is `other'")
def unknown_values_are_other():
    worker = Worker()
    before = set(series(scrape(worker)))
    equal(before >= {f'{HOOKS}{{resource="{r}",result="{s}"}}'
                     for r in RESOURCES for s in RESULTS}, True)
    for name in ("evil", 'x"} 1\n', "ISSUE", "a" * 300, "", "other"):
        body = h.compact({"action": "x", "data": {"n": h.unique()}})
        worker.post(body, h.signed(body, name))
        worker.post(body, h.signed(body, name, "another"))
    equal(set(series(scrape(worker))), before)
    equal(hooks(worker), {("other", "ignored"): 6,
                          ("other", "unauthentic"): 6})


@tap.test("a worker without a secret counts what it refuses")
def refusals_without_secret():
    worker = Worker(secret=None)
    equal(post(worker, h.issue()), 500)
    equal(hooks(worker), {("issue", "unconfigured"): 1})


@tap.test("latencies and batches are those of all hooks that were kept")
def latencies_and_batches():
    worker = Worker()
    begin = time.monotonic()
    for _ in range(5):
        post(worker, h.issue())
    took = time.monotonic() - begin
    post(worker, h.issue(), secret="another")
    now = series(scrape(worker))
    duration = "sentry_webhooks_hook_duration_seconds"
    equal(now[duration + "_count"], 5)
    equal(now[duration + '_bucket{le="+Inf"}'], 5)
    assert 0 < now[duration + "_sum"] <= took, (took, now)
    rows = "sentry_webhooks_commit_rows"
    equal((now[rows + "_sum"], now[rows + "_count"],
           now[rows + '_bucket{le="1"}']), (5, 5, 5))


@tap.test("a spooled hook is counted, waits, and is brought in")
def spooled_hook_is_counted():
    worker = Worker("--commit-wait", "50")
    lock = h.open_db(worker.db, write=True)
    lock.execute("BEGIN IMMEDIATE")
    equal(post(worker, h.issue()), 200)
    now = series(scrape(worker))
    equal(now["sentry_webhooks_spool_files"], 1)
    equal(hooks(worker), {("issue", "spooled"): 1})
    until(lambda: series(scrape(worker))["sentry_webhooks_writer_up"] == 0)
    lock.execute("ROLLBACK")
    lock.close()
    until(lambda: series(scrape(worker))["sentry_webhooks_spool_files"] == 0)
    now = series(scrape(worker))
    equal(now["sentry_webhooks_spool_brought_in_total"], 1)
    equal(now["sentry_webhooks_writer_up"], 1)
    equal((now["sentry_webhooks_commit_rows_sum"],
           now["sentry_webhooks_commit_rows_count"]), (1, 1))


@tap.test("a spool that somebody removes counts as empty")
def removed_spool_is_empty():
    worker = Worker("--commit-wait", "50")
    lock = h.open_db(worker.db, write=True)
    lock.execute("BEGIN IMMEDIATE")
    for _ in range(5):
        equal(post(worker, h.issue()), 200)
    files = "sentry_webhooks_spool_files"
    equal(series(scrape(worker))[files], 5)
    shutil.rmtree(worker.spool)
    lock.execute("ROLLBACK")
    lock.close()
    until(lambda: series(scrape(worker))[files] == 0)


# ---- many who look -------------------------------------------------------

@tap.test("while one counts the rows nobody else does: scrapes and hooks are "
          "answered")
def rows_are_counted_by_one():
    faults.need_strace()
    worker = Worker(*h.BRIEF, "--threads", "4")
    scrape(worker)
    # A connection more opens the log (what it has of the database itself
    # may be an old descriptor).
    trace = faults.Strace(worker, f"openat:delay_enter={h.LIMIT * 1000000}",
                          path=worker.db + "-wal")
    request = h.fcgi_request(h.params("GET", h.PATH + "/metrics"))
    all_of_them = []
    for _ in range(20):
        s = h.connect(worker.socket)
        s.sendall(request)
        all_of_them.append(s)
        # The first hangs, alone: what a thread takes at once it does one by
        # one.
        until(trace.lines)
    answered = {}

    def most():
        for s in select.select(all_of_them, [], [], 0.02)[0]:
            if s not in answered:
                answered[s] = h.fcgi_answer(h.read_all(s)).status
        return len(answered) >= 19
    until(most, f"{len(answered)} of 20 are answered")
    equal(len(answered), 19)
    equal(set(answered.values()), {200})
    equal(post(worker, h.issue()), 200)
    trace.stop()
    last, = (s for s in all_of_them if s not in answered)
    equal(h.fcgi_answer(h.read_all(last)).status, 200)
    for s in all_of_them:
        s.close()


# ---- times ---------------------------------------------------------------

LAST = "sentry_webhooks_last_hook_timestamp_seconds"


@tap.test("the last hook is known after a restart, the start is the new one")
def last_hook_survives_restart():
    worker = Worker()
    equal(series(scrape(worker))[LAST], 0)
    start = time.time()
    post(worker, h.issue())
    before = series(scrape(worker))
    assert start - 1 < before[LAST] < time.time() + 1, before[LAST]
    equal(worker.stop(), 0)
    worker.start()
    after = series(scrape(worker))
    equal(after[LAST], before[LAST])
    name = "process_start_time_seconds"
    assert before[name] < after[name] <= time.time(), after[name]


@tap.test("rows and ages are told by state, whatever is delivered")
def rows_and_ages_by_state():
    worker = Worker()
    for _ in range(6):
        post(worker, h.issue())
    now = int(time.time() * 1000)
    h.shell_ok(worker.db, "UPDATE outbox SET workspace_id = 'w', "
               f"created_at = {now} - id * 60000, state = CASE id WHEN 1 "
               "THEN 'delivered' WHEN 2 THEN 'dead' WHEN 3 THEN 'pending' "
               "WHEN 4 THEN 'pending' WHEN 5 THEN 'acked' ELSE 'unmapped' "
               "END")
    got = series(scrape(worker))
    # The first by id speaks for a state: 3, though 4 is older here.
    for state, rows, first in (("pending", 2, 3), ("unmapped", 1, 6),
                               ("acked", 1, 5), ("dead", 1, 2)):
        key = f'{{state="{state}"}}'
        equal(got["sentry_webhooks_outbox_rows" + key], rows, state)
        age = got["sentry_webhooks_outbox_oldest_age_seconds" + key]
        assert 0 <= age - first * 60 < 60, (state, age)
    path = deliver_once(worker)
    equal(series(read(path)).get(
        'sentry_deliver_outbox_oldest_timestamp_seconds{state="dead"}'),
        (now - 120000) // 1000)


# ---- secrets -------------------------------------------------------------

USED = "sentry_webhooks_secret_last_used_timestamp_seconds"
ONE, TWO = "1" * 64, "2" * 64


def used(worker):
    return {name[len(USED):]: value for name, value in
            series(scrape(worker)).items() if name.startswith(USED)}


@tap.test("a secret's last use is told by its name, and outlives a rotation")
def last_use_of_secret():
    worker = Worker(secret=f"old {ONE}")
    post(worker, h.issue(), secret=ONE)
    before = used(worker)
    equal(set(before), {'{secret="old"}'})
    h.write(worker.secret_file, f"old {ONE}\nnew {TWO}\n")
    equal(used(worker), {**before, '{secret="new"}': 0})
    post(worker, h.issue(), secret=TWO)
    after = used(worker)
    equal(after['{secret="old"}'], before['{secret="old"}'])
    assert after['{secret="new"}'] > after['{secret="old"}'] > 0, after
    h.write(worker.secret_file, f"new {TWO}\n")
    equal(used(worker), {'{secret="new"}': after['{secret="new"}']})


def two_sources(file, variable):
    path = os.path.join(Scratch.new("secret"), "secret")
    return Worker(secret=None, env={
        "SENTRY_CLIENT_SECRET_FILE": h.write(path, file, 0o600),
        "SENTRY_CLIENT_SECRET": variable})


@tap.test("no name of a secret breaks the text, no secret is told")
def odd_secret_names():
    names = ['a"b', "a\\b", "a}b", "grün", "b\xff\xfe".encode("latin-1")]
    lines = b"".join(
        (n if isinstance(n, bytes) else n.encode()) + b" %064d\n" % i
        for i, n in enumerate(names))
    lines += f"{ONE} swapped-over\n{TWO}\n".encode()
    worker = two_sources(lines, ONE + " " + TWO)
    text = scrape(worker)
    for secret in (ONE, TWO, "0" * 63):
        assert secret not in text, text
    equal(set(used(worker)), {
        r'{secret="a\"b"}', r'{secret="a\\b"}', '{secret="a}b"}',
        r'{secret="gr\\xc3\\xbcn"}', r'{secret="b\\xff\\xfe"}',
        '{secret="secret-1"}', '{secret="secret-2"}',
        '{secret="secret-7"}'})
    if shutil.which("promtool"):
        equal(promtool("check", "metrics", stdin=text), "")


@tap.test("two secrets of one name are one series, of the later use")
def two_secrets_of_one_name():
    worker = two_sources(TWO, ONE)
    for secret in (TWO, ONE):
        before = used(worker)
        post(worker, h.issue(), secret=secret)
        after = used(worker)
        equal(set(after), {'{secret="secret-1"}'})
        equal(scrape(worker).count("\n" + USED), 1)
        assert after != before


# ---- rules, dashboard ----------------------------------------------------

@tap.test("promtool finds no fault with the rules")
def promtool_accepts_rules():
    assert "SUCCESS" in promtool("check", "rules", RULES)


@tap.test("every alert is raised by what it is for, and none when all is well")
def alerts_are_raised():
    tested = set(re.findall(r'alertname="(\w+)"', "".join(
        read(path) for path in RULES_TESTS)))
    equal(set(re.findall(r"- alert: (\w+)", read(RULES))), tested)
    assert "SUCCESS" in promtool("test", "rules", *RULES_TESTS)


@tap.test("every alert says what has happened and what to do")
def alerts_have_descriptions():
    rules = read(RULES).split("- alert: ")[1:]
    for rule in rules:
        for word in ("expr:", "severity:", "summary:", "description:"):
            equal(rule.count(word), 1, (rule.split()[0], word))


@tap.test("the dashboard's panels have titles and numbers of their own and "
          "do not overlap")
def dashboard_panels():
    with open(DASHBOARD) as f:
        panels = json.load(f)["panels"]
    for key in ("id", "title"):
        equal(len({p[key] for p in panels}), len(panels), key)
    taken = set()
    for p in panels:
        g = p["gridPos"]
        cells = {(x, y) for x in range(g["x"], g["x"] + g["w"])
                 for y in range(g["y"], g["y"] + g["h"])}
        assert not cells & taken and g["x"] + g["w"] <= 24, p["title"]
        taken |= cells


@tap.test("Prometheus can read every expression of the dashboard")
def dashboard_expressions():
    with open(DASHBOARD) as f:
        board = json.load(f)
    rules = {"groups": [{"name": "board", "rules": [
        {"record": f"x{i}", "expr": e} for i, e in enumerate(
            t["expr"].replace("$__rate_interval", "5m")
            for p in board["panels"] for t in p["targets"])]}]}
    path = os.path.join(Scratch.new("board"), "rules.yml")
    h.write(path, json.dumps(rules))        # which is YAML as well
    assert "SUCCESS" in promtool("check", "rules", path)


# ---- the real one --------------------------------------------------------

class Prometheus:
    """A private Prometheus on loopback, which scrapes every second."""

    def __init__(self, targets):
        self.folder = Scratch.new("prometheus")
        self.port = h.free_port()
        jobs = "".join(
            f"  - job_name: {job}\n    metrics_path: {path}\n"
            f"    static_configs:\n      - targets: ['127.0.0.1:{port}']\n"
            for job, port, path in targets)
        config = h.write(
            os.path.join(self.folder, "prometheus.yml"),
            "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\n"
            f"rule_files: ['{RULES}']\nscrape_configs:\n{jobs}")
        with open(os.path.join(self.folder, "log"), "wb") as log:
            self.process = h.start(
                ["prometheus", "--config.file=" + config,
                 "--storage.tsdb.path=" + self.folder + "/data",
                 f"--web.listen-address=127.0.0.1:{self.port}"],
                stdout=log, stderr=log)

    def ask(self, what, **values):
        """What the HTTP API answers, or None while it does not."""
        assert self.process.poll() is None, read(self.folder + "/log")
        url = f"http://127.0.0.1:{self.port}/api/v1/{what}?" + \
            urllib.parse.urlencode(values)
        try:
            with urllib.request.urlopen(url, timeout=h.LIMIT) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def value(self, query):
        data = self.ask("query", query=query)
        result = data and data["result"]
        return float(result[0]["value"][1]) if result else None

    def stop(self):
        self.process.terminate()
        h.finish(self.process)


def serve_file(path):
    """As node_exporter would: the deliverer's file by HTTP."""
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(read(path).encode())

        def log_message(self, *_):
            pass
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@tap.test("a real Prometheus scrapes worker and deliverer, and its rules work")
def real_prometheus_scrapes():
    if not FULL:
        raise Skip("long: set RUNTESTS_FULL=1")
    if not shutil.which("prometheus"):
        raise Skip("no prometheus")
    worker = Worker()
    nginx = h.Nginx(worker.socket)
    server = serve_file(deliver_once(worker))
    p = Prometheus([("worker", nginx.port, h.PATH + "/metrics"),
                    ("deliver", server.server_port, "/")])
    until(lambda: p.value('sum(up)') == 2, "not scraped")
    for _ in range(3):
        body = h.compact(h.issue())
        equal(nginx.post(body, h.signed(body)).status, 200)
    stored = HOOKS + '{resource="issue",result="stored"}'
    until(lambda: p.value(stored) == 3)
    equal(p.value('sentry_webhooks_outbox_rows{state="unmapped"}'), 3)
    equal(p.value("sentry_deliver_sink_up"), 1)
    assert p.value("histogram_quantile(0.5, "
                   "sentry_webhooks_hook_duration_seconds_bucket)") > 0
    assert p.value("time() - " + LAST) < h.LIMIT
    alerts = [(r["name"], r["health"], r["state"])
              for g in p.ask("rules")["groups"] for r in g["rules"]]
    equal(len(alerts), read(RULES).count("- alert:"))
    until(lambda: p.value('ALERTS{alertname="SentryWebhooksUnmapped"}') == 1,
          "the alert is not pending")
    for group in p.ask("rules")["groups"]:
        for rule in group["rules"]:
            equal(rule["health"], "ok", rule)
    # Every expression of the dashboard can be computed.
    with open(DASHBOARD) as f:
        board = json.load(f)
    for panel in board["panels"]:
        for target in panel["targets"]:
            query = target["expr"].replace("$__rate_interval", "1m")
            query = query.replace("$instance", ".*")
            assert p.ask("query", query=query) is not None, query
    targets = p.ask("targets", state="active")["activeTargets"]
    equal([t["lastError"] for t in targets], ["", ""])
    # A worker that is gone is seen.
    worker.stop()
    until(lambda: p.value('up{job="worker"}') == 0)
    p.stop()
    server.shutdown()
    nginx.stop()


tap.run()
