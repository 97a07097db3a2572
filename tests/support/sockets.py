"""Sockets: ports that are free, sockets to inherit, all that a peer sends."""
import fcntl
import os
import random
import socket
import sys
import termios

from environment import LIMIT


def free_port():
    """A port that was free a moment ago. It is below those that Linux gives to
    clients and to whoever asks for any port: a test may use it minutes later."""
    for _ in range(100):
        with socket.socket() as s:
            port = random.randrange(10000, 32768)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


def listening_socket(path):
    """A Unix socket that lives longer than any worker that serves it."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(path)
    os.chmod(path, 0o666)
    sock.listen(4096)
    return sock


def connect(path, timeout=None):
    """path: a Unix socket's, or the address of a TCP one."""
    s = socket.socket(socket.AF_UNIX if isinstance(path, str)
                      else socket.AF_INET, socket.SOCK_STREAM)
    s.settimeout(timeout or LIMIT)
    s.connect(path)
    return s


def connects(port):
    """Whether something listens on that port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    except OSError:
        return False


def read_all(s):
    parts = []
    while True:
        try:
            part = s.recv(65536)
        except ConnectionResetError:
            part = b""
        if not part:
            return b"".join(parts)
        parts.append(part)


def unread(s):
    """How many bytes were sent that the peer has not read yet."""
    n = bytearray(4)
    fcntl.ioctl(s, termios.TIOCOUTQ, n)
    return int.from_bytes(n, sys.byteorder)
