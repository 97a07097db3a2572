"""The service manager's end of sd_notify(3)."""
import os
import socket

from environment import LIMIT
from scratch import Scratch


class ServiceManager:
    """A socket that gets a program's messages; env tells it where it is.
    watchdog: within how many microseconds a ping has to come."""

    def __init__(self, watchdog=900000):
        path = os.path.join(Scratch.new("notify"), "socket")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.env = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": str(watchdog)}

    def expect(self, *messages):
        """These come, in that order; other pings may come between them."""
        self.socket.settimeout(LIMIT)
        for message in messages:
            while (got := self.socket.recv(4096)) != message:
                assert got == b"WATCHDOG=1", got

    def pings(self):
        """How many messages came since the last call."""
        count = 0
        self.socket.setblocking(False)
        try:
            while self.socket.recv(4096):
                count += 1
        except BlockingIOError:
            return count

    def close(self):
        self.socket.close()
