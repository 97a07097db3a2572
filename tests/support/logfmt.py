"""Lines of the log, in logfmt."""
import re

from environment import strip_valgrind

PAIR = re.compile(
    r'([A-Za-z_][A-Za-z0-9_.-]*)=("(?:[^"\\\x00-\x1f\x7f]|\\.)*"'
    r'|[^\s"=\x00-\x1f\x7f]*)(?: |$)')


def logfmt(line):
    """A line's pairs; an AssertionError if it is not logfmt."""
    at, out = 0, {}
    while at < len(line):
        match = PAIR.match(line, at)
        assert match, f"not logfmt at {at}: {line[:400]!r}"
        assert match[1] not in out, f"{match[1]} twice: {line[:400]!r}"
        out[match[1]] = match[2].strip('"')
        at = match.end()
    assert out, "an empty line in the log"
    return out


class LogFile:
    """A program whose standard error goes to the file self.stderr."""

    def log(self):
        with open(self.stderr, encoding="utf-8", errors="replace") as f:
            return f.read()

    def log_lines(self):
        return strip_valgrind(self.log()).splitlines()

    def log_events(self, name):
        """The lines about that event, each as a dict."""
        return [line for line in map(logfmt, self.log_lines())
                if line.get("event") == name]

    def log_count(self, words):
        """How many lines have these words in them."""
        return sum(words in line for line in self.log_lines())
