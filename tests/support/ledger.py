"""The ledger of the fault tests: which hooks were sent and answered, and
whether each of those that were answered 200 is kept, once."""
from database import query, query_value
from expect import equal, until
from hooks import compact, issue, signed


def print_fault(name, sent, answered, kept, doubled):
    """A line of the table of faults, which make check-faults prints."""
    print(f"# fault: {name} sent={sent} answered={answered} kept={kept} "
          f"doubled={doubled}", flush=True)


def kept_once(w, ids, exactly=False, name=None, sent=None):
    """Asserts that each of these ids, of hooks that were answered 200, is in
    webhook and in outbox once, and that the spool gets empty. exactly: and
    that there is no other. name, sent: for a line of the fault table."""
    until(w.spool_is_empty, f"{len(w.spooled())} files in the spool")
    found, states, webhooks = {}, set(), 0
    # One statement: hooks of clients that are gone may still come in.
    for source, hook, state, webhooks in w.rows(
            "SELECT source_id, webhook_id, state, (SELECT count(*) "
            "FROM webhook) FROM outbox"):
        found.setdefault(source.removeprefix("error:"), []).append(hook)
        states.add(state)
    lost = [i for i in ids if i not in found]
    twice = [i for i, n in found.items() if len(n) != 1]
    if name:
        print_fault(name, int(sent), len(ids), len(ids) - len(lost),
                    len(twice))
    assert not lost, f"{len(lost)} of {len(ids)} lost: {lost[:3]}"
    assert not twice, f"{len(twice)} doubled: {twice[:3]}"
    assert states <= {"pending"}, states
    equal(len({n[0] for n in found.values()}), len(found))
    equal(webhooks, len(found), "webhook rows")
    if exactly:
        equal(len(found), len(set(ids)), "rows")
    equal(w.value("PRAGMA integrity_check"), "ok")


class Ledger:
    """Hooks that are sent once and never again."""

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
        """Sends an issue, with those members; gives the status."""
        body = issue(**more)
        raw = compact(body)
        try:
            status = w.post(raw, signed(raw)).status
        except OSError:
            status = None
        return self.add("issue:" + body["data"]["issue"]["id"], status)

    def post_all(self, w, count, status=200, **more):
        """Sends so many, each of which is answered with that status."""
        for n in range(count):
            equal(self.post(w, **more), status, f"hook {n}")

    def load(self, hammer):
        """Ends a hammer and enters its hooks; gives its figures."""
        figures = hammer.result()
        self.sent += int(figures["sent"])
        self.ids += hammer.ids()
        return figures

    def recovers(self, w):
        """The worker gets ready by itself, and takes all that was spooled."""
        w.gets_ready()
        self.post_all(w, 3)
        until(w.spool_is_empty, "the spool stays full")
        equal(w.metric("writer_up"), 1)

    def close(self, w, exactly=False):
        kept_once(w, self.ids, exactly, self.name, self.sent)

    def close_over(self, w, *old):
        """The same over the worker's database and those that were in its
        place: no hook is missing in all of them, none is twice in one. (A
        hook that was spooled because its commit took too long may be in the
        old and in the new one, with the same event id.)"""
        until(w.spool_is_empty, f"{len(w.spooled())} files in the spool")
        found, doubled, paths = set(), 0, (w.db, *old)
        for path in paths:
            ids = [row[0].removeprefix("error:") for row in
                   query(path, "SELECT source_id FROM outbox")]
            found |= set(ids)
            doubled += len(ids) - len(set(ids))
        lost = [i for i in self.ids if i not in found]
        print_fault(self.name, self.sent, len(self.ids),
                    len(self.ids) - len(lost), doubled)
        equal((lost[:3], doubled), ([], 0), f"{len(lost)} lost")
        for path in paths:
            equal(query_value(path, "PRAGMA integrity_check"), "ok", path)
