"""A stand-in of Inngest's event API over real HTTP, for test-deliver.py.

It answers as the open-source server does, by what that was seen to do:
POST /e/KEY, one event or an array; {"ids":[...],"status":200} as text/plain
when it has taken them. Of an array with a bad event those before it are
taken, and the answer is a 400 whose ids say which. Any other path is its
pages': 200, and HTML. And it misbehaves on command, also as Inngest's cloud
does: 429, 5xx, 413. Every error repeats the key, as a careless proxy would.

  python3 eventapi.py [DELAY]    serves, prints its port, and what it took
"""
import email.utils
import json
import random
import socket
import sys
import threading
import time

KEY = "sup3r-s3cret-k3y"
EVENTS_MOST = 5000
EVENT_BYTES = 3145728       # of the JSON as it came
YEARS = (315532800000, 4102444800000)   # ts: 1980 to 2100, or 0

# What it can be told to do instead; those in TAKES have taken the events.
MISDEEDS = ("429", "429-date", "500", "503", "never", "close-before",
            "close-after", "close-taken", "partial", "413", "401", "403",
            "404", "slow", "truncated", "body-500", "late-500", "body-error",
            "garbage", "302", "303", "huge", "half-json", "empty", "no-ids")
TAKES = ("close-taken", "truncated", "slow", "half-json")


def expect_no_key(*texts):
    for text in texts:
        assert KEY not in (text or ""), f"the key is shown: {text[:300]!r}"


class Gone(Exception):
    """The other side hung up."""


class EventApi:
    """misdeed: a function of a request's events that names a misdeed, or
    gives None; poison: a function of an event that gives the words it is
    refused with, or None."""

    def __init__(self, retry_after="1", delay=0.0, port=0):
        self.misdeed = lambda events: None
        self.poison = lambda event: \
            "bad event" if "poison" in event["id"] else None
        self.retry_after = retry_after
        self.delay = delay
        self.large = 400                # how it refuses a long event, and
        self.event_bytes = EVENT_BYTES  # what that is
        self.lock = threading.Lock()    # of all below
        self.taken = {}                 # event id -> how often
        self.last = {}                  # event id -> the event
        self.keep_events = False
        self.requests = []              # (monotonic, events, what it did)
        self.connections = 0
        self.open = set()
        self.stopping = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/e/{KEY}"

    def count(self):
        with self.lock:
            return len(self.taken)

    def seen(self, what=None):
        with self.lock:
            return [r for r in self.requests if what in (None, r[2])]

    def stop(self):
        self.stopping.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for s in self.open:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def accept(self):
        while not self.stopping.is_set():
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.open.add(s)
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while self.one(s):
                pass
        except (OSError, Gone):
            pass
        finally:
            with self.lock:
                self.open.discard(s)
            s.close()

    @staticmethod
    def read_head(s):
        data = b""
        while b"\r\n\r\n" not in data:
            part = s.recv(65536)
            if not part:
                raise Gone
            data += part
        head, _, rest = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        fields = dict((k.lower(), v.strip()) for k, _, v in
                      (line.partition(":") for line in lines[1:]))
        return lines[0].split(" "), fields, rest

    def one(self, s):
        """A request and its answer; whether the connection stays."""
        (method, path, _), fields, body = self.read_head(s)
        parts, missing = [body], int(fields["content-length"]) - len(body)
        while missing > 0:
            part = s.recv(min(missing, 1 << 20))
            if not part:
                raise Gone
            parts.append(part)
            missing -= len(part)
        body = b"".join(parts)
        if method != "POST" or path.partition("?")[0] != f"/e/{KEY}":
            return self.elsewhere(s, method, path.partition("?")[0])
        events, sizes, broken = read_events(body)
        if self.delay:
            time.sleep(self.delay)
        return self.act(s, events, self.misdeed(events), path, sizes, broken)

    def elsewhere(self, s, method, path):
        """Its pages take any path that is nothing else's."""
        parts = path.split("/")[1:]
        if path == "/v1/events":
            self.note([], "405")
            return self.answer(s, 405, "")
        if parts[0] == "e" and len(parts) == 3 and parts[2] == "":
            self.note([], "303")
            return self.answer(s, 303, "", f"Location: {path[:-1]}\r\n")
        if parts[0] == "e" and len(parts) == 2 and parts[1] and \
                "." not in parts[1]:
            self.note([], "401")
            return self.answer(s, 401, json.dumps({
                "status": 401, "message": "",
                "error": "Event key not found"}))
        if parts[-2:-1] == ["e"] and parts[-1]:
            # A base URL with a path, a key with a dot.
            self.note([], "empty")
            return self.answer(s, 200, "", type=None)
        self.note([], "html")
        return self.answer(s, 200, "<!DOCTYPE html><html>Inngest</html>",
                           type="text/html; charset=utf-8")

    def note(self, events, what):
        with self.lock:
            self.requests.append((time.monotonic(), len(events), what))

    def take(self, events):
        with self.lock:
            for event in events:
                id = event.get("id") or f"none-{len(self.taken)}"
                self.taken[id] = self.taken.get(id, 0) + 1
                if self.keep_events:
                    self.last[id] = event

    def answer(self, s, status, body, more="", length=None,
               type="application/json"):
        body = body if isinstance(body, bytes) else body.encode()
        length = len(body) if length is None else length
        more += f"Content-Type: {type}\r\n" if type else ""
        s.sendall((f"HTTP/1.1 {status} Whatever\r\n{more}"
                   f"Content-Length: {length}\r\n\r\n").encode() + body)
        return True

    def error(self, s, status, words, what=None, more="", **members):
        self.note([], what or str(status))
        return self.answer(s, status, json.dumps(
            {"error": f"{words} (asked for /e/{KEY})", "status": status,
             **members}), more)

    def fault(self, i, event, size, infinite):
        """What is wrong with an event, and how many of those before it are
        taken: where it is about sizes and counts one less."""
        if i >= EVENTS_MOST:
            return "Too many events", i - 1
        if size > self.event_bytes:
            return (f"Event is over the max size: Max {self.event_bytes} "
                    f"bytes / Size {size} bytes"), i - 1
        if not isinstance(event, dict) or \
                not isinstance(event.get("name"), str) or not event["name"]:
            return "event name is required", i
        ts = event.get("ts", 0)
        if not isinstance(ts, (int, float)) or ts and \
                not YEARS[0] <= ts <= YEARS[1]:
            return "ts is out of range", i
        if infinite:
            return "a number is out of range", i
        return self.poison(event), i

    def answer_events(self, s, events, sizes=None, broken=False):
        """What the real one does."""
        sizes = sizes or [(0, False) for _ in events]
        for i, event in enumerate(events):
            words, taken = self.fault(i, event, *sizes[i])
            if words is None:
                continue
            taken = max(0, taken)
            self.take(events[:taken])
            if self.large != 400 and sizes[i][0] > self.event_bytes:
                return self.error(s, self.large, words)
            return self.error(s, 400, words, ids=ids_of(events[:taken]))
        if broken:
            taken = max(0, len(events) - 1)
            self.take(events[:taken])
            return self.error(s, 400, "Unable to process event payload",
                              ids=ids_of(events[:taken]))
        self.take(events)
        self.note(events, "taken")
        return self.answer(s, 200, self.good(events), type="text/plain")

    @staticmethod
    def good(events, status=200):
        return json.dumps({"ids": ids_of(events), "status": status})

    def never_answers(self, word):
        """Requests with an event whose id has this word in it."""
        self.misdeed = lambda events: "never" if any(
            word in e["id"] for e in events) else None

    def act(self, s, events, misdeed, path, sizes=None, broken=False):
        if misdeed is None or (misdeed in TAKES and
                               any(map(self.poison, events))):
            return self.answer_events(s, events, sizes, broken)
        if misdeed in TAKES:
            self.take(events)
        self.note(events, misdeed)
        return self.misbehave(s, events, misdeed, path)

    def misbehave(self, s, events, misdeed, path):
        words = json.dumps({"error": f"{misdeed}, says {path}"})
        if misdeed.isdigit():
            more = f"Retry-After: {self.retry_after}\r\n" \
                if misdeed in ("429", "503") else ""
            more += f"Location: http://127.0.0.1:{self.port}{path}\r\n" \
                if misdeed[0] == "3" else ""
            return self.answer(s, int(misdeed), words, more)
        if misdeed == "429-date":
            date = email.utils.formatdate(
                time.time() + float(self.retry_after), usegmt=True)
            return self.answer(s, 429, words, f"Retry-After: {date}\r\n")
        if misdeed == "partial":
            self.take(events[:len(events) // 2])
            return self.answer(s, 400, words)
        if misdeed == "never":
            s.recv(1)               # until the other side gives up
            raise Gone
        if misdeed.startswith("close"):
            raise Gone              # all was read, and no word said
        if misdeed == "slow":
            self.stopping.wait(0.5)
            return self.answer(s, 200, self.good(events))
        if misdeed == "truncated":
            body = self.good(events)
            self.answer(s, 200, body[:-5], length=len(body))
            raise Gone
        type = "text/html" if misdeed == "garbage" else "text/plain"
        return self.answer(s, 500 if misdeed == "huge" else 200, {
            "body-500": self.good(events, 500),
            "late-500": self.good(events, 500).replace(
                "01HZ", "0" * (200000 // len(events))),
            "body-error": words,
            "garbage": f"<html>Welcome to nginx! {path}</html>",
            "half-json": self.good(events)[:-3],
            "huge": f"{path} " * 100000,
            "empty": "",
            "no-ids": "{}",
        }[misdeed], type=type)


def ids_of(events):
    """ULIDs, fresh ones each time."""
    return ["01HZ%022x" % random.getrandbits(88) for _ in events]


def read_events(body):
    """The events of a body; of each its size and whether a number in it is out
    of range; and whether it breaks off in a way that is refused: an end that
    is missing, or rubbish behind it, is not."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return [], [], True
    decode = json.JSONDecoder().raw_decode
    events, sizes = [], []
    at = len(text) - len(text.lstrip())
    many = text[at:at + 1] == "["
    at += many
    while at < len(text) and text[at] != "]":
        try:
            event, end = decode(text, at)
        except ValueError:
            return events, sizes, True
        events.append(event)
        source = text[at:end]
        sizes.append((len(source) if source.isascii() else
                      len(source.encode()), "1e400" in source))
        at = end
        while many and text[at:at + 1] in (",", " ", "\n"):
            at += 1
        if not many:
            break
    return events, sizes, False


class Rude(EventApi):
    """Hangs up on some connections before it has read anything."""

    def __init__(self, every=0, **more):
        self.every = every
        super().__init__(**more)

    def read_head(self, s):
        with self.lock:
            rude = self.every and self.connections % self.every == 0
        if rude:
            s.recv(1)
            self.note([], "close-before")
            raise Gone
        return super().read_head(s)


def main():
    api = EventApi(delay=float(sys.argv[1]) if len(sys.argv) > 1 else 0)
    print(api.url, flush=True)
    sys.stdin.read()                # until our parent has enough
    print(api.count(), flush=True)


if __name__ == "__main__":
    main()
