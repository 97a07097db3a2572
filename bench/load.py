"""What the bench stands on: hooks of realistic sizes, one run of wrk, and what
/proc and the disk say meanwhile."""
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests", "support"))
from expect import until  # noqa: E402
from hooks import (compact, error, event_alert,  # noqa: E402
                   issue, signed)
from process import finish_process, start_process, stop_everything  # noqa: E402
from scratch import Scratch, write_file  # noqa: E402
from sockets import connects  # noqa: E402
from tap import Skip  # noqa: E402

KIB = 1024
TICK = os.sysconf("SC_CLK_TCK")
UNLIKELY = 30       # s; a receiver that needs longer to catch up is broken


# ---- hooks ---------------------------------------------------------------

def frame(i):
    return {"function": f"step_{i}", "filename": f"shop/steps/part_{i}.py",
            "module": f"shop.steps.part_{i}", "lineno": 40 + i,
            "abs_path": f"/srv/shop/releases/current/shop/steps/part_{i}.py",
            "context_line": "    total = total + cart.price(item, rate)",
            "pre_context": ["def step(cart, rate):", "    total = 0",
                            "    for item in cart.items():"],
            "post_context": ["    return total", ""],
            "vars": {"rate": "0.19", "item": f"<Item {i}>"},
            "in_app": i % 3 == 0}


def crumb(i):
    return {"type": "default", "category": "shop.cart", "level": "info",
            "timestamp": 1768078500.5 + i, "data": {"cart": i},
            "message": f"item {i} was looked up in the cache and not found"}


def grow(hook, items, make, size):
    """Adds to a list inside of the hook until it is as long as wanted."""
    each = len(compact(make(100))) + 1
    items += [make(i) for i in range(
        max(0, (size - len(compact(hook))) // each))]
    return compact(hook)


def sized_issue(size):
    notes = []
    return grow(issue(annotations=notes), notes, lambda i: {
        "displayName": f"TICKET-{i}",
        "url": f"https://tracker.example.com/browse/TICKET-{i}"}, size)


def long_issue():
    """Whose observation, not only whose hook, takes 2 KiB: the value stands
    in the observation's body and in its metadata."""
    return compact(issue(metadata={
        "type": "ValueError", "value": ("the café is closed, " * 22)}))


def eventful(hook, event, size):
    frames, crumbs = [], []
    event["exception"]["values"][0]["stacktrace"]["frames"] = frames
    event["breadcrumbs"] = {"values": crumbs}
    grow(hook, frames, frame, size * 2 // 3)
    return grow(hook, crumbs, crumb, size)


def sized_alert(size):
    hook = event_alert()
    return eventful(hook, hook["data"]["event"], size)


def sized_error(size):
    hook = error()
    return eventful(hook, hook["data"]["error"], size)


# Name: resource, size, maker.
HOOKS = {
    "issue-2k": ("issue", 2 * KIB, sized_issue),
    "alert-20k": ("event_alert", 20 * KIB, sized_alert),
    "error-200k": ("error", 200 * KIB, sized_error),
    "error-1m": ("error", 1024 * KIB, sized_error),
}
_requests = {}


def request_file(name, target):
    """A whole HTTP request; @KEY@ is where hooks.lua puts the key."""
    if (name, target.path) in _requests:
        return _requests[name, target.path]
    resource_, size, make = HOOKS[name]
    body = make(size)
    headers = signed(body, resource_)
    # A trace id in a body of adnanh/webhook's would be no HTTP header; the
    # rest is what Sentry sends.
    headers["User-Agent"] = "sentry/26.9.0 (https://sentry.io)"
    headers["Idempotency-Key"] = "@KEY@"
    head = f"POST {target.path} HTTP/1.1\r\nHost: bench\r\n" + "".join(
        f"{k}: {v}\r\n" for k, v in headers.items())
    head += f"Content-Length: {len(body)}\r\n\r\n"
    path = os.path.join(Scratch.new("request"), "request")
    write_file(path, head.encode() + body)
    return _requests.setdefault((name, target.path), path)


# ---- /proc ---------------------------------------------------------------

def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(word) for word in f.read().split()]


def cpu(pids):
    """Seconds of CPU of processes and of their children that have ended."""
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as f:
            ticks += sum(map(int, f.read().rpartition(")")[2].split()[11:15]))
    return ticks / TICK


def memory(pid, what="VmRSS"):
    """MiB; VmHWM is the most that it ever was."""
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(what + r":\s+(\d+)", f.read())[1]) / 1024


# ---- the disk ------------------------------------------------------------

def sync_times(folder, count=200):
    """Milliseconds that each fdatasync of 4 KiB takes, over a laid-out file,
    as SQLite's log is once it has been round."""
    path = os.path.join(folder, "sync-probe")
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.write(fd, b"\0" * 4096 * count)
        os.fsync(fd)
        times = []
        for i in range(count):
            begin = time.perf_counter()
            os.pwrite(fd, b"x" * 4096, i * 4096)
            os.fdatasync(fd)
            times.append((time.perf_counter() - begin) * 1e3)
        return times
    finally:
        os.close(fd)
        os.unlink(path)


def file_system(folder):
    return subprocess.run(["stat", "-f", "-c", "%T", folder], text=True,
                          capture_output=True).stdout.strip()


def size(path):
    try:
        return os.path.getsize(path)
    except FileNotFoundError:
        return 0


def wait_for_port(port, process):
    def listens():
        assert process.poll() is None, f"{process.args[0]} has ended"
        return connects(port)
    until(listens, f"{process.args[0]} does not listen")


# ---- one run of wrk ------------------------------------------------------

def settled_count(target, run, answered):
    """What it kept, once that has come to rest."""
    end = time.monotonic() + UNLIKELY
    last = None
    while time.monotonic() < end:
        got = target.count(run)
        if got is None or (got == last and got >= answered):
            break
        last = got
        time.sleep(0.2)
    return got


def drive(bench, target, hook, clients, seconds):
    """One run; a dict with what came of it. An answer of 200 without its row
    ends the bench. Hooks that were on their way when wrk hung up are stored
    too: there may be up to one row more a client."""
    key = os.urandom(4).hex()
    argv = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "10s",
            "-s", os.path.join(HERE, "hooks.lua"),
            bench.url(target), "--", request_file(hook, target), key]
    target.mark()
    spooled = target.spooled()
    nginx = bench.nginx.pids()
    before = cpu([target.pid]), cpu(nginx), children_cpu()
    process = start_process(argv, stdout=subprocess.PIPE, text=True)
    text = process.communicate(timeout=seconds + 60)[0]
    finish_process(process)
    spent = [b - a for a, b in zip(before, (
        cpu([target.pid]), cpu(nginx), children_cpu()))]
    found = re.search(r"^figures (.*)$", text, re.M)
    assert found, f"wrk said {text!r}"
    out = {k: float(v) for k, v in
           (pair.split("=") for pair in found[1].split())}
    good = int(out["answers"] - out["refused"])
    kept = settled_count(target, key, good)
    if kept is not None:
        most = good + clients + int(out["refused"] + out["broken"])
        assert good <= kept <= most, \
            f"{target.name}: {kept} rows, but {good} times 200: {found[1]}"
    out.update(target=target.name, hook=hook, clients=clients, good=good,
               spooled=target.spooled() - spooled,
               rows="" if kept is None else kept,
               rate=good / out["seconds"], rss_mib=memory(target.pid))
    for name, s in zip(("cpu", "nginx_cpu", "wrk_cpu"), spent):
        out[name + "_s_1000"] = s / max(good, 1) * 1000
    return out


def children_cpu():
    r = resource.getrusage(resource.RUSAGE_CHILDREN)
    return r.ru_utime + r.ru_stime


def median(values):
    return statistics.median(list(values) or [float("nan")])


# ---- the whole -----------------------------------------------------------

def guarded(main):
    """Runs main() and ends every process by its pid, whatever happens."""
    def stop(number, _):
        raise SystemExit(128 + number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    try:
        return main()
    except KeyboardInterrupt:
        return 130
    except (Skip, AssertionError) as why:
        print(f"bench: {why}", file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        stop_everything()
        Scratch.remove_all()
