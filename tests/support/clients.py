"""Clients that send hooks all the time, while something is restarted."""
import os
import threading

from expect import until
from hooks import PATH, RECEIVED, compact, issue, signed
from http_client import http_post


def try_hook(port):
    """Sends a hook on a new connection: whether it was taken, and the answer
    or the error."""
    # unique() is not made for threads.
    body = compact(issue(id=int.from_bytes(os.urandom(6), "big")))
    try:
        answer = http_post(port, PATH, body, signed(body))
    except (OSError, AssertionError) as error:
        return False, error
    return answer.status == 200 and answer.body == RECEIVED, answer


def takes_hook(port):
    return try_hook(port)[0]


class Clients:
    """They go on until stop(). good, bad: the answers, or errors."""

    def __init__(self, port, count=4):
        self.port, self.stopping = port, False
        self.good, self.bad = [], []
        self.threads = [threading.Thread(target=self.send)
                        for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def send(self):
        while not self.stopping:
            taken, answer = try_hook(self.port)
            (self.good if taken else self.bad).append(answer)

    def more(self):
        """Waits until hooks were taken that were begun after this call."""
        enough = len(self.good) + len(self.threads)
        until(lambda: len(self.good) > enough, "nothing is taken any more")

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()
        print(f"# {len(self.good)} taken, {len(self.bad)} not", flush=True)
