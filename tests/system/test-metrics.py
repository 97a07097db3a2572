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

from database import map_everything, shell_ok
from environment import DELIVER, FULL, LIMIT, SRC, clean_environment
from expect import equal, until
from fastcgi import fcgi_request, params, read_answer
from hooks import PATH, comment, compact, error, issue, signed, unique
from metrics import parse_metrics, series_of
from nginx import Nginx
from process import finish_process, start_process
from scratch import Scratch, read_file, write_file
from sockets import connect, free_port
from strace import Strace, need_strace
from tap import Skip, Tap, need_program
from worker import BRIEF, Worker

RULES = os.path.join(SRC, "conf", "prometheus-alerts.yml")
RULES_TESTS = [os.path.join(SRC, "tests", "support", name)
               for name in ("alerts-test.yml", "alerts-week-test.yml")]
DASHBOARD = os.path.join(SRC, "conf", "grafana-dashboard.json")
HOOKS = "sentry_webhooks_hooks_total"
RESOURCES = ("issue error event_alert metric_alert comment installation "
             "activity_alert seer preprod_artifact other").split()
RESULTS = ("stored ignored unreadable duplicate spooled lost unconfigured "
           "unauthentic malformed").split()
OURS = re.compile(r"\b(?:sentry_(?:webhooks|deliver)_[a-z_]+"
                  r"|process_start_time_seconds)\b")
tap = Tap()
need_program(DELIVER)


def scrape(worker):
    answer = worker.get(PATH + "/metrics")
    equal(answer.status, 200)
    return answer.body.decode("ascii")


def counted(worker):
    """{(resource, result): count} of what is not 0"""
    return {tuple(re.findall(r'"(\w+)"', name)): value
            for name, value in worker.metrics().items()
            if name.startswith(HOOKS) and value}


def names(text):
    """The metrics that a text in Prometheus' format declares."""
    return set(parse_metrics(text)[1])


def post(worker, *hook, **more):
    return worker.send(*hook, **more).status


def deliver_once(worker):
    path = os.path.join(Scratch.new("prom"), "sentry.prom")
    subprocess.run([DELIVER, "--db", worker.db, "--to", "-", "--once",
                    "--metrics", path], stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=LIMIT,
                   env=clean_environment())
    return path


def promtool(*arguments, stdin=""):
    if not shutil.which("promtool"):
        raise Skip("no promtool")
    done = subprocess.run(["promtool", *arguments], input=stdin,
                          capture_output=True, text=True, timeout=LIMIT)
    equal((done.returncode, done.stderr), (0, ""), done.stdout)
    return done.stdout


# ---- names ---------------------------------------------------------------

@tap.test("promtool finds no fault with the worker's metrics")
def promtool_accepts_worker():
    worker = Worker()
    post(worker)
    equal(promtool("check", "metrics", stdin=scrape(worker)), "")


@tap.test("promtool finds no fault with the deliverer's, which all may read")
def promtool_accepts_deliverer():
    worker = Worker()
    map_everything(worker.db)
    post(worker)
    path = deliver_once(worker)
    equal(os.stat(path).st_mode & 0o777, 0o644)
    equal(promtool("check", "metrics", stdin=read_file(path)), "")
    # The collector reads one folder; the file is never seen half written.
    equal(glob.glob(path + ".*"), [])


@tap.test("every metric of the rules and the dashboard is there, and none is "
          "forgotten")
def every_metric_exists():
    worker = Worker()
    there = names(scrape(worker)) | names(read_file(deliver_once(worker)))
    board = json.loads(read_file(DASHBOARD))
    expressions = [t["expr"] for p in board["panels"] for t in p["targets"]]
    shown = set()
    for name in OURS.findall("\n".join(expressions) + read_file(RULES)):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        assert name in there or base in there, name
        shown.add(name if name in there else base)
    equal(there - shown, set(), "neither shown nor alerted on")


# ---- hooks ---------------------------------------------------------------

@tap.test("a hook is counted once, by its resource and what became of it")
def hook_is_counted_once():
    worker = Worker()
    first = issue()
    equal(post(worker, first), 200)
    equal(post(worker, first), 200)
    equal(post(worker, error(), "issue"), 200)    # by its body
    equal(post(worker, comment(), "comment"), 200)
    equal(post(worker, b"{", "seer"), 400)
    equal(post(worker, comment(), "comment", "another"), 401)
    equal(worker.post(b"x", length=False).status, 401)
    equal(counted(worker), {
        ("issue", "stored"): 1, ("issue", "duplicate"): 1,
        ("error", "stored"): 1, ("comment", "ignored"): 1,
        ("seer", "unreadable"): 1, ("comment", "unauthentic"): 1,
        ("other", "unauthentic"): 1})


@tap.test("no request makes a series: what is not known is `other'")
def unknown_values_are_other():
    worker = Worker()
    before = set(worker.metrics())
    equal(before >= {f'{HOOKS}{{resource="{r}",result="{s}"}}'
                     for r in RESOURCES for s in RESULTS}, True)
    for name in ("evil", 'x"} 1\n', "ISSUE", "a" * 300, "", "other"):
        body = compact({"action": "x", "data": {"n": unique()}})
        worker.send(body, name)
        worker.send(body, name, "another")
    equal(set(worker.metrics()), before)
    equal(counted(worker), {("other", "ignored"): 6,
                          ("other", "unauthentic"): 6})


@tap.test("a worker without a secret counts what it refuses")
def refusals_without_secret():
    worker = Worker(secret=None)
    equal(post(worker), 500)
    equal(counted(worker), {("issue", "unconfigured"): 1})


@tap.test("latencies and batches are those of all hooks that were kept")
def latencies_and_batches():
    worker = Worker()
    begin = time.monotonic()
    for _ in range(5):
        post(worker)
    took = time.monotonic() - begin
    post(worker, secret="another")
    now = worker.metrics()
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
    lock = worker.lock()
    equal(post(worker), 200)
    now = worker.metrics()
    equal(now["sentry_webhooks_spool_files"], 1)
    equal(counted(worker), {("issue", "spooled"): 1})
    until(lambda: worker.metrics()["sentry_webhooks_writer_up"] == 0)
    lock.release()
    until(lambda: worker.metric("spool_brought_in_total") == 1)
    now = worker.metrics()
    equal(now["sentry_webhooks_spool_files"], 0)
    equal(now["sentry_webhooks_writer_up"], 1)
    equal((now["sentry_webhooks_commit_rows_sum"],
           now["sentry_webhooks_commit_rows_count"]), (1, 1))


@tap.test("a spool that somebody removes counts as empty")
def removed_spool_is_empty():
    worker = Worker("--commit-wait", "50")
    lock = worker.lock()
    for _ in range(5):
        equal(post(worker), 200)
    files = "sentry_webhooks_spool_files"
    equal(worker.metrics()[files], 5)
    shutil.rmtree(worker.spool)
    lock.release()
    until(lambda: worker.metrics()[files] == 0)


# ---- many who look -------------------------------------------------------

@tap.test("while one counts the rows nobody else does: scrapes and hooks are "
          "answered")
def rows_are_counted_by_one():
    need_strace()
    worker = Worker(*BRIEF, "--threads", "4")
    scrape(worker)
    # A connection more opens the log (what it has of the database itself
    # may be an old descriptor).
    trace = Strace(worker, f"openat:delay_enter={LIMIT * 1000000}",
                   path=worker.db + "-wal")
    request = fcgi_request(params("GET", PATH + "/metrics"))
    all_of_them = []
    for _ in range(20):
        s = connect(worker.socket)
        s.sendall(request)
        all_of_them.append(s)
        # The first request hangs. Each of the others has to come to another
        # thread: what one thread takes at once it does one by one.
        until(trace.lines)
    answered = {}

    def most():
        for s in select.select(all_of_them, [], [], 0.02)[0]:
            if s not in answered:
                answered[s] = read_answer(s).status
        return len(answered) >= 19
    until(most, f"{len(answered)} of 20 are answered")
    equal(len(answered), 19)
    equal(set(answered.values()), {200})
    equal(post(worker), 200)
    trace.stop()
    last, = (s for s in all_of_them if s not in answered)
    equal(read_answer(last).status, 200)
    for s in all_of_them:
        s.close()


# ---- times ---------------------------------------------------------------

LAST = "sentry_webhooks_last_hook_timestamp_seconds"


@tap.test("the last hook is known after a restart, the start is the new one")
def last_hook_survives_restart():
    worker = Worker()
    equal(worker.metrics()[LAST], 0)
    start = time.time()
    post(worker)
    before = worker.metrics()
    assert start - 1 < before[LAST] < time.time() + 1, before[LAST]
    equal(worker.stop(), 0)
    worker.start()
    after = worker.metrics()
    equal(after[LAST], before[LAST])
    name = "process_start_time_seconds"
    assert before[name] < after[name] <= time.time(), after[name]


@tap.test("rows and ages are told by state, whatever is delivered")
def rows_and_ages_by_state():
    worker = Worker()
    for _ in range(6):
        post(worker)
    now = int(time.time() * 1000)
    shell_ok(worker.db, "UPDATE outbox SET workspace_id = 'w', "
             f"created_at = {now} - id * 60000, state = CASE id WHEN 1 "
             "THEN 'delivered' WHEN 2 THEN 'dead' WHEN 3 THEN 'pending' "
             "WHEN 4 THEN 'pending' WHEN 5 THEN 'acked' ELSE 'unmapped' "
             "END")
    got = worker.metrics()
    # A state's age is that of its first row by id: of 3, though 4 is older.
    for state, rows, first in (("pending", 2, 3), ("unmapped", 1, 6),
                               ("acked", 1, 5), ("dead", 1, 2)):
        key = f'{{state="{state}"}}'
        equal(got["sentry_webhooks_outbox_rows" + key], rows, state)
        age = got["sentry_webhooks_outbox_oldest_age_seconds" + key]
        assert 0 <= age - first * 60 < 60, (state, age)
    path = deliver_once(worker)
    equal(series_of(read_file(path)).get(
        'sentry_deliver_outbox_oldest_timestamp_seconds{state="dead"}'),
        (now - 120000) // 1000)


# ---- secrets -------------------------------------------------------------

USED = "sentry_webhooks_secret_last_used_timestamp_seconds"
ONE, TWO = "1" * 64, "2" * 64


def used(worker):
    return {name[len(USED):]: value for name, value in
            worker.metrics().items() if name.startswith(USED)}


@tap.test("a secret's last use is told by its name, and outlives a rotation")
def last_use_of_secret():
    worker = Worker(secret=f"old {ONE}")
    post(worker, secret=ONE)
    before = used(worker)
    equal(set(before), {'{secret="old"}'})
    write_file(worker.secret_file, f"old {ONE}\nnew {TWO}\n")
    equal(used(worker), {**before, '{secret="new"}': 0})
    post(worker, secret=TWO)
    after = used(worker)
    equal(after['{secret="old"}'], before['{secret="old"}'])
    assert after['{secret="new"}'] > after['{secret="old"}'] > 0, after
    write_file(worker.secret_file, f"new {TWO}\n")
    equal(used(worker), {'{secret="new"}': after['{secret="new"}']})


@tap.test("a secret that another one is put before keeps its last use")
def last_use_of_moved_secret():
    worker = Worker(secret=ONE)
    post(worker, secret=ONE)
    before = used(worker)
    write_file(worker.secret_file, f"{TWO}\n{ONE}\n")
    equal(used(worker), {'{secret="secret-1"}': 0,
                         '{secret="secret-2"}': before['{secret="secret-1"}']})
    write_file(worker.secret_file, f"new {TWO}\nold {ONE}\n")
    equal(used(worker), {'{secret="new"}': 0,
                         '{secret="old"}': before['{secret="secret-1"}']})


def two_sources(file, variable):
    path = os.path.join(Scratch.new("secret"), "secret")
    return Worker(secret=None, env={
        "SENTRY_CLIENT_SECRET_FILE": write_file(path, file, 0o600),
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
        '{secret="environment-1"}', '{secret="environment-2"}',
        '{secret="secret-6"}'})
    if shutil.which("promtool"):
        equal(promtool("check", "metrics", stdin=text), "")


@tap.test("two secrets of one name are one series, of the later use")
def two_secrets_of_one_name():
    worker = Worker(secret=f"same {ONE}\nsame {TWO}")
    for secret in (TWO, ONE):
        before = used(worker)
        post(worker, secret=secret)
        after = used(worker)
        equal(set(after), {'{secret="same"}'})
        equal(scrape(worker).count("\n" + USED), 1)
        assert after != before


@tap.test("a secret of the environment is not called as one of the file")
def sources_are_told_apart():
    worker = two_sources(TWO, ONE)
    names = ['{secret="environment-1"}', '{secret="secret-1"}']
    equal(sorted(used(worker)), names)
    post(worker, secret=ONE)
    after = used(worker)
    equal([after[name] > 0 for name in names], [True, False])


# ---- rules, dashboard ----------------------------------------------------

@tap.test("promtool finds no fault with the rules")
def promtool_accepts_rules():
    assert "SUCCESS" in promtool("check", "rules", RULES)


@tap.test("every alert is raised by what it is for, and none when all is well")
def alerts_are_raised():
    tested = set(re.findall(r'alertname="(\w+)"', "".join(
        map(read_file, RULES_TESTS))))
    equal(set(re.findall(r"- alert: (\w+)", read_file(RULES))), tested)
    assert "SUCCESS" in promtool("test", "rules", *RULES_TESTS)


@tap.test("every alert says what has happened and what to do")
def alerts_have_descriptions():
    rules = read_file(RULES).split("- alert: ")[1:]
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
    board = json.loads(read_file(DASHBOARD))
    rules = {"groups": [{"name": "board", "rules": [
        {"record": f"x{i}", "expr": e} for i, e in enumerate(
            t["expr"].replace("$__rate_interval", "5m")
            for p in board["panels"] for t in p["targets"])]}]}
    path = os.path.join(Scratch.new("board"), "rules.yml")
    write_file(path, json.dumps(rules))        # which is YAML as well
    assert "SUCCESS" in promtool("check", "rules", path)


# ---- the real one --------------------------------------------------------

class Prometheus:
    """A private Prometheus on loopback, which scrapes every second."""

    def __init__(self, targets):
        self.folder = Scratch.new("prometheus")
        self.port = free_port()
        jobs = "".join(
            f"  - job_name: {job}\n    metrics_path: {path}\n"
            f"    static_configs:\n      - targets: ['127.0.0.1:{port}']\n"
            for job, port, path in targets)
        config = write_file(
            os.path.join(self.folder, "prometheus.yml"),
            "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\n"
            f"rule_files: ['{RULES}']\nscrape_configs:\n{jobs}")
        with open(os.path.join(self.folder, "log"), "wb") as log:
            self.process = start_process(
                ["prometheus", "--config.file=" + config,
                 "--storage.tsdb.path=" + self.folder + "/data",
                 f"--web.listen-address=127.0.0.1:{self.port}"],
                stdout=log, stderr=log)

    def ask(self, what, **values):
        """What the HTTP API answers, or None while it does not."""
        assert self.process.poll() is None, read_file(self.folder + "/log")
        url = f"http://127.0.0.1:{self.port}/api/v1/{what}?" + \
            urllib.parse.urlencode(values)
        try:
            with urllib.request.urlopen(url, timeout=LIMIT) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def value(self, query):
        data = self.ask("query", query=query)
        result = data and data["result"]
        return float(result[0]["value"][1]) if result else None

    def stop(self):
        self.process.terminate()
        finish_process(self.process)


def serve_file(path):
    """As node_exporter would: the deliverer's file by HTTP."""
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(read_file(path).encode())

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
    nginx = Nginx(worker.socket)
    server = serve_file(deliver_once(worker))
    p = Prometheus([("worker", nginx.port, PATH + "/metrics"),
                    ("deliver", server.server_port, "/")])
    until(lambda: p.value('sum(up)') == 2, "not scraped")
    for _ in range(3):
        body = compact(issue())
        equal(nginx.post(body, signed(body)).status, 200)
    stored = HOOKS + '{resource="issue",result="stored"}'
    until(lambda: p.value(stored) == 3)
    equal(p.value('sentry_webhooks_outbox_rows{state="unmapped"}'), 3)
    equal(p.value("sentry_deliver_sink_up"), 1)
    assert p.value("histogram_quantile(0.5, "
                   "sentry_webhooks_hook_duration_seconds_bucket)") > 0
    assert p.value("time() - " + LAST) < LIMIT
    alerts = [(r["name"], r["health"], r["state"])
              for g in p.ask("rules")["groups"] for r in g["rules"]]
    equal(len(alerts), read_file(RULES).count("- alert:"))
    until(lambda: p.value('ALERTS{alertname="SentryWebhooksUnmapped"}') == 1,
          "the alert is not pending")
    for group in p.ask("rules")["groups"]:
        for rule in group["rules"]:
            equal(rule["health"], "ok", rule)
    # Every expression of the dashboard can be computed.
    board = json.loads(read_file(DASHBOARD))
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
