"""A small HTTP client, which sends bytes as they are given."""
import re
import socket

from environment import LIMIT
from expect import equal
from hooks import compact
from sockets import read_all


class Answer:
    """status, headers (lower-case names), body; error: what came on FastCGI's
    error stream; raw: all bytes."""

    def __init__(self, status, headers, body, error=b"", raw=b""):
        self.status = status
        self.headers = headers
        self.body = body
        self.error = error
        self.raw = raw

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:300]!r}>"


def expect_json(answer, status, body):
    """Asserts the whole answer: status, bytes, and the three headers. body:
    bytes, or a value."""
    if not isinstance(body, bytes):
        body = compact(body)
    equal((answer.status, answer.body), (status, body), answer)
    headers = answer.headers
    equal(headers.get("content-type"), "application/json", answer)
    equal(headers.get("content-length"), str(len(body)), answer)
    equal(headers.get("cache-control"), "no-store", answer)
    equal(answer.error, b"", "FastCGI's error channel")


def expect_error(answer, status, text):
    expect_json(answer, status, {"error": text})


def parse_head(head):
    headers = {}
    for line in head.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        assert colon, f"no header: {line!r}"
        name = name.decode("ascii").lower()
        assert name not in headers, f"{name} twice"
        headers[name] = value.strip().decode("latin-1")
    return headers


def header_pairs(headers):
    """The pairs of a dict, or of a list, in which a name may stand twice."""
    return list(headers.items() if isinstance(headers, dict) else headers)


def http_request(port, method, path, headers=(), body=b"", timeout=None):
    """One request on one connection."""
    head = f"{method} {path} HTTP/1.1\r\nHost: test\r\n".encode()
    for name, value in header_pairs(headers):
        value = value if isinstance(value, bytes) else value.encode()
        head += name.encode() + b": " + value + b"\r\n"
    head += b"Connection: close\r\n\r\n"
    return http_raw(port, head + body, method == "HEAD", timeout)


def http_post(port, path, body, headers=(), length=None, timeout=None):
    """length: what Content-Length says; False: it is not there."""
    more = header_pairs(headers)
    if length is not False:
        more.append(("Content-Length",
                     str(len(body)) if length is None else length))
    return http_request(port, "POST", path, more, body, timeout)


def http_raw(port, data, head_only=False, timeout=None):
    with socket.create_connection(("127.0.0.1", port), timeout or LIMIT) as s:
        try:
            s.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass                    # refused before its end: read the answer
        raw = read_all(s)
    head, found, rest = raw.partition(b"\r\n\r\n")
    assert found, f"no HTTP answer: {raw!r}"
    first, _, fields = head.partition(b"\r\n")
    match = re.fullmatch(rb"HTTP/1\.1 (\d{3})( .*)?", first)
    assert match, f"no status line: {first!r}"
    headers = parse_head(fields)
    if "content-length" in headers and not head_only:
        equal(len(rest), int(headers["content-length"]), "Content-Length")
    return Answer(int(match[1]), headers, rest, raw=raw)
