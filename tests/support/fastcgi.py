"""FastCGI by hand: records, requests, answers; and plain CGI's answer."""
import re
import socket
import struct

from expect import equal
from hooks import PATH
from http_client import Answer, header_pairs, parse_head
from sockets import connect, read_all

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES, \
    GET_VALUES_RESULT, UNKNOWN_TYPE = range(1, 12)


def record(kind, content=b"", request=1, version=1, padding=0, length=None):
    """One record. length: what its head says, if not the content's."""
    length = len(content) if length is None else length
    return struct.pack("!BBHHBx", version, kind, request, length,
                       padding) + content + b"\0" * padding


def stream(kind, content, size=65000, request=1):
    """A stream of records, closed by an empty one."""
    out = b"".join(record(kind, content[i:i + size], request)
                   for i in range(0, len(content), size))
    return out + record(kind, b"", request)


def begin_request(role=1, flags=0, request=1):
    return record(BEGIN, struct.pack("!HB5x", role, flags), request)


def pair_length(n):
    return struct.pack("!B", n) if n < 128 else struct.pack(
        "!I", n | 0x80000000)


def pairs(values):
    """FastCGI's form of names and values."""
    out = b""
    for pair in header_pairs(values):
        name, value = (x if isinstance(x, bytes) else x.encode() for x in pair)
        out += pair_length(len(name)) + pair_length(len(value)) + name + value
    return out


def params(method, path=PATH, more=None):
    """What nginx's fastcgi_params gives, in short."""
    out = {
        "QUERY_STRING": "", "REQUEST_METHOD": method,
        "SCRIPT_NAME": path, "REQUEST_URI": path,
        "SERVER_PROTOCOL": "HTTP/1.1", "GATEWAY_INTERFACE": "CGI/1.1",
        "REMOTE_ADDR": "127.0.0.1", "SERVER_NAME": "test",
    }
    out.update(more or {})
    return out


def post_params(body, headers=(), length=None, path=PATH, **more):
    """The same of a POST. length: what CONTENT_LENGTH says; False: it is not
    there."""
    for name, value in header_pairs(headers):
        more["HTTP_" + name.upper().replace("-", "_")] = value
    if length is not False:
        more["CONTENT_LENGTH"] = str(len(body)) if length is None else length
    return params("POST", path, more)


def fcgi_request(values, body=b"", flags=0):
    return begin_request(flags=flags) + stream(PARAMS, pairs(values)) + \
        stream(STDIN, body)


def post_request(body, headers=(), flags=0):
    return fcgi_request(post_params(body, headers), body, flags)


def fcgi_raw(path, data, timeout=None, close_write=False):
    """Sends bytes, reads until the worker hangs up; gives them all."""
    with connect(path, timeout) as s:
        try:
            s.sendall(data)
            if close_write:
                s.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return read_all(s)


def fcgi(path, values, body=b"", timeout=None):
    return fcgi_answer(fcgi_raw(path, fcgi_request(values, body), timeout))


def fcgi_records(raw):
    out = []
    while raw:
        assert len(raw) >= 8, f"half a record: {raw!r}"
        version, kind, request, length, padding = struct.unpack(
            "!BBHHBx", raw[:8])
        equal(version, 1, "FastCGI version")
        assert len(raw) >= 8 + length + padding, "half a record"
        out.append((kind, request, raw[8:8 + length]))
        raw = raw[8 + length + padding:]
    return out


def fcgi_answer(raw):
    """One whole answer to request 1, as HTTP would have it."""
    records = fcgi_records(raw)
    out = b"".join(c for k, r, c in records if k == STDOUT and r == 1)
    error = b"".join(c for k, r, c in records if k == STDERR and r == 1)
    ends = [c for k, r, c in records if k == END and r == 1]
    if not ends:
        raise ConnectionError(f"no end of the request: {raw[:200]!r}")
    equal(len(ends), 1, "END_REQUEST records")
    equal(ends[0][4], 0, "protocol status")
    return cgi_answer(out, error)


def read_answer(s):
    """All that comes on a connection, as one answer."""
    return fcgi_answer(read_all(s))


def cgi_answer(out, error=b""):
    head, found, body = out.partition(b"\r\n\r\n")
    assert found, f"no CGI head: {out[:300]!r}"
    headers = parse_head(head)
    status = headers.pop("status", "200 OK")
    assert re.fullmatch(r"\d{3} [ -~]+", status), status
    return Answer(int(status[:3]), headers, body, error, out)
