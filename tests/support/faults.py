"""What the fault tests share: a site that takes load, books of what was
sent, answered, kept and doubled, and a strace that breaks system calls."""
import json
import os
import re
import shutil
import struct
import subprocess

import harness as h
from harness import equal, signed, until

SECOND = 1          # Sentry's


class Site:
    """nginx, an inherited socket, and a worker with everything mapped."""

    def __init__(self, *options, config=None, **more):
        self.folder = h.Scratch.new("site")
        self.listen = h.listening_socket(os.path.join(self.folder, "s"))
        self.worker = h.Worker(*h.BRIEF, *options, folder=self.folder,
                               listen=self.listen, **more)
        h.map_everything(self.worker.db)
        self.nginx = h.Nginx.__new__(h.Nginx)
        self.nginx.__init__(self.listen.getsockname(),
                            config and (lambda: config(self)))

    def hammer(self, seconds=None, **more):
        return h.Hammer(self.nginx.port, seconds, **more)

    def close(self):
        equal(self.worker.stop(), 0, "exit status")
        assert os.path.exists(self.worker.socket), "the socket is gone"
        self.nginx.stop()
        self.listen.close()


class Calendar:
    """What a program takes for the time of day; in seconds from the real."""

    def __init__(self):
        self.path = h.write(os.path.join(h.Scratch.new("clock"), "ahead"),
                            struct.pack("q", 0))
        shim = os.path.join(h.BUILD, "tests", "support",
                            "shim.so")
        if not os.path.exists(shim) or h.SLOW > 1:
            raise h.Skip("no shim that works here")
        self.env = {"LD_PRELOAD": shim, "SHIM_CLOCK": self.path}

    def jump(self, seconds):
        with open(self.path, "r+b") as f:
            f.write(struct.pack("q", seconds))


def hooks(w):
    return w.value("SELECT count(*) FROM webhook")


def spool_is_empty(w):
    """Nothing waits there. What a kill left half written (.tmp) was
    answered to nobody, and is swept later."""
    return not [name for name in w.spooled() if not name.endswith(".tmp")]


def post(w, body=None):
    raw = h.compact(body or h.issue())
    return w.post(raw, signed(raw)), raw


def ready(w):
    answer = w.get(h.PATH + "/ready")
    assert answer.status in (200, 503), answer
    json.loads(answer.body)
    return answer


def metric(w, name, label=""):
    """The sum of its samples, or of those with that label."""
    text = w.get(h.PATH + "/metrics").body.decode()
    found = re.findall(rf"^sentry_webhooks_{name}(\{{\S*\}})? (\S+)$", text,
                       re.M)
    assert found, f"no {name} in: {text}"
    return sum(float(value) for labels, value in found if label in labels)


def no_answer_but_200(figures):
    equal((figures["status_other"], figures["broken"]), (0, 0), figures)
    assert figures["ok"] > 0


def held(w):
    """The write lock, until ROLLBACK."""
    shell = h.open_db(w.db, write=True)
    shell.execute("BEGIN IMMEDIATE")
    return shell


# ---- the books -----------------------------------------------------------

def table_line(name, sent, answered, kept, doubled):
    print(f"# fault: {name} sent={sent} answered={answered} kept={kept} "
          f"doubled={doubled}", flush=True)


def kept_once(w, ids, exactly=False, name=None, sent=None, db=None):
    """Every id that was answered 200 is in webhook and in outbox once, and
    nothing else waits. name, sent: for a line of the fault table; db: where
    the rows are, if not in the worker's file."""
    until(lambda: spool_is_empty(w),
          f"{len(w.spooled())} files in the spool")
    db = db or w.db
    found, states, webhooks = {}, set(), 0
    # At one instant: hooks whose clients are gone may still come in.
    for source, hook, state, webhooks in h.rows(
            db, "SELECT source_id, webhook_id, state, (SELECT count(*) "
                "FROM webhook) FROM outbox"):
        found.setdefault(source.removeprefix("error:"), []).append(hook)
        states.add(state)
    lost = [i for i in ids if i not in found]
    twice = [i for i, n in found.items() if len(n) != 1]
    if name:
        table_line(name, int(sent), len(ids), len(ids) - len(lost),
                   len(twice))
    assert not lost, f"{len(lost)} of {len(ids)} lost: {lost[:3]}"
    assert not twice, f"{len(twice)} doubled: {twice[:3]}"
    assert states <= {"pending"}, states
    equal(len({n[0] for n in found.values()}), len(found))
    equal(webhooks, len(found), "webhook rows")
    if exactly:
        equal(len(found), len(set(ids)), "rows")
    equal(h.rows(db, "PRAGMA integrity_check")[0][0], "ok")


class Books:
    """Single hooks, each sent once and never again."""

    def __init__(self, name):
        self.name, self.sent, self.ids, self.refused = name, 0, [], []

    def add(self, id, status):
        """status: None for a hook that got no answer."""
        self.sent += 1
        if status == 200:
            self.ids.append(id)
        else:
            self.refused.append(status)
        return status

    def post(self, w, **more):
        body = h.issue(**more)
        try:
            status = post(w, body)[0].status
        except OSError:
            status = None
        return self.add("issue:" + body["data"]["issue"]["id"], status)

    def load(self, load):
        figures = load.result()
        self.sent += int(figures["sent"])
        self.ids += load.ids()
        return figures

    def close(self, w, exactly=False, db=None):
        kept_once(w, self.ids, exactly, self.name, self.sent, db)


# ---- strace --------------------------------------------------------------

def need_strace():
    works = shutil.which("strace") and subprocess.run(
        ["strace", "-o", os.devnull, "true"], check=False,
        stderr=subprocess.DEVNULL).returncode == 0
    if not works or h.SLOW > 1:
        raise h.Skip("no strace that works here")


class Strace:
    """Watches the running worker, and breaks its system calls: inject is
    what strace's -e inject= takes. path: only calls about that file."""

    def __init__(self, w, *inject, calls=None, path=None):
        self.worker = w
        self.log = os.path.join(w.folder, f"trace-{h.unique()}")
        argv = ["strace", "-f", "-qq", "-y", "-s", "4096", "-o", self.log,
                "-p", str(w.process.pid), "-e", "signal=none"]
        names = [i.split(":")[0] for i in inject] + (calls or [])
        if names:
            argv += ["-e", "trace=" + ",".join(names)]
        for i in inject:
            argv += ["-e", "inject=" + i]
        if path:
            argv += ["-P", path]
        self.process = h.start(argv, stderr=subprocess.DEVNULL)
        until(self.attached, "strace does not start")

    def attached(self):
        if self.process.poll() is not None:
            # Together with the worker, killed in the middle of nothing.
            until(lambda: self.worker.process.poll() is not None,
                  "strace ended")
            return True
        pid = self.worker.process.pid
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/status") as f:
                    if re.search(r"^TracerPid:\t0$", f.read(), re.M):
                        return False
        except OSError:             # it is about to die
            return False
        return True

    def lines(self):
        with open(self.log, errors="replace") as f:
            return f.readlines()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            self.process.kill()     # it may wait for one who is dead
        h.finish(self.process)


# ---- small disks ---------------------------------------------------------

class Disk:
    """A file system of few bytes, for those who may mount one."""

    def __init__(self, size="2m"):
        self.folder = h.Scratch.new("disk")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}",
                               "none", self.folder], capture_output=True)
        if done.returncode != 0:
            raise h.Skip("cannot mount a small disk")
        self.ballast = os.path.join(self.folder, "ballast")

    def remount(self, options):
        subprocess.run(["mount", "-o", "remount," + options, self.folder],
                       check=True)

    def fill(self):
        """Until not a byte fits."""
        with open(self.ballast, "wb", 0) as f:
            for size in (4096, 1):
                try:
                    while f.write(b"x" * size):
                        pass
                except OSError:
                    pass

    def empty(self):
        os.unlink(self.ballast)
        self.remount("size=256m")

    def close(self):
        subprocess.run(["umount", "-l", self.folder], check=True)


class Ext4(Disk):
    """ext4 with blocks smaller than a page of memory, as mkfs makes it on
    small disks: a file may have a hole in the midst of a page."""
    blocks = 16 << 10

    def __init__(self):
        self.folder = h.Scratch.new("disk")
        self.ballast = os.path.join(self.folder, "ballast")
        image = self.folder + ".ext4"
        with open(image, "wb") as f:
            f.truncate(self.blocks << 10)
        for argv in (["mkfs.ext4", "-q", "-b", "1024", "-m", "0", image],
                     ["mount", "-o", "loop", image, self.folder]):
            if not shutil.which(argv[0]) or subprocess.run(
                    argv, capture_output=True, check=False).returncode != 0:
                os.unlink(image)
                raise h.Skip("cannot mount an ext4 of its own")
        os.unlink(image)

    def leave(self, spare):
        """Until that many blocks are left."""
        with open(self.ballast, "ab", 0) as f:
            for size in (1 << 16, 1 << 10):
                try:
                    while f.write(b"x" * size):
                        pass
                except OSError:
                    pass
            os.fsync(f.fileno())
            f.truncate((f.tell() // 1024 - spare) * 1024)
            os.fsync(f.fileno())

    def empty(self):
        os.unlink(self.ballast)
