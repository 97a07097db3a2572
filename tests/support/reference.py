#!/usr/bin/env python3
"""From a hook to an observation, a second time, from docs/observation.md.

    reference.py FILE.hook...          print each file's observation
    reference.py --write FILE.hook...  write it to FILE.exp instead (without
                                       files: all of golden/)

A .hook file is header lines, an empty line and the raw body. build/tests/
observe prints the same lines; test by test, and with differential.py, the
two are held against each other. Nothing here is fast, or shared with the C
code. The redact-* goldens are left alone: no redaction is done here.

One section a chapter of the page; within it, one function a resource, found
through a table (NATURAL, TITLES, BODIES, METADATA).
"""
import glob
import hashlib
import json
import os
import re
import sys
from fractions import Fraction

DEFAULT_OBSERVE = ("issue.created issue.resolved issue.assigned "
                   "error.created event_alert.triggered metric_alert.*")
TITLE_POINTS = 1000
BODY_BYTES = 65535
ERROR_VALUE_BYTES = 8192
MESSAGE_BYTES = 8192
DAY = 86400
BLANKS = " \t\r\n"
DEPTH = 128
FRACTION_DIGITS = 40
SPACE = "\t\n\v\f\r \u00a0\u1680" + "".join(map(chr, range(0x2000, 0x200b))) \
    + "\u2028\u2029\u202f\u205f\u3000\ufeff"       # JavaScript's

EMOJI = {"fatal": "\U0001f480", "error": "\U0001f534",
         "warning": "\U0001f7e1", "info": "\U0001f535"}
OTHER_EMOJI = "\u26a0\ufe0f"


# ---- JSON -----------------------------------------------------------------

class Gone:
    """JavaScript's undefined: the member is not there."""

    def __bool__(self):
        return False


GONE = Gone()


def number_text(value):
    """As JavaScript prints a number."""
    if abs(value) == float("inf"):
        return "-Infinity" if value < 0 else "Infinity"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = ("%r" % abs(value)).partition("e")
    whole_part, _, fraction = mantissa.partition(".")
    point = len(whole_part) + int(exponent or 0)
    digits = (whole_part + fraction).rstrip("0") or "0"
    point -= len(digits) - len(digits.lstrip("0") or "0")
    digits = digits.lstrip("0") or "0"
    if digits == "0":
        return "0"
    if 0 < point <= 21:
        digits = digits.ljust(point, "0")
        tail = "." + digits[point:] if digits[point:] else ""
        return sign + digits[:point] + tail
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    tail = "." + digits[1:] if digits[1:] else ""
    return "%s%s%se%+d" % (sign, digits[0], tail, point - 1)


class Float:
    """A number with a fraction or exponent, and the text it came as."""

    def __init__(self, source):
        self.source = source
        self.value = float(source)

    def text(self):
        return number_text(self.value)


class Unreadable(Exception):
    pass


if hasattr(sys, "set_int_max_str_digits"):
    sys.set_int_max_str_digits(0)   # an integer keeps all of its digits


def no_constant(name):
    raise Unreadable(name)      # NaN, Infinity


def whole(text):
    """A lone surrogate is no character: U+FFFD."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


# Objects and lists of these names are not looked into: null stands for them.
UNREAD = set("""_meta annotations breadcrumbs contexts debug_meta errors
    evidenceData extra fingerprint grouping_config hashes modules
    post_context pre_context raw_stacktrace request sdk spans vars""".split())


def unread(name, value):
    return None if name in UNREAD and isinstance(value, (dict, list)) \
        else value


def mended(value, depth=1):
    if isinstance(value, (dict, list)) and depth > DEPTH:
        raise Unreadable("too deep")
    if isinstance(value, dict):
        return {whole(k): unread(k, mended(v, depth + 1))
                for k, v in value.items()}
    if isinstance(value, list):
        return [mended(v, depth + 1) for v in value]
    return whole(value) if isinstance(value, str) else value


def parse(body):
    try:
        root = json.loads(body.decode("utf-8"), parse_float=Float,
                          parse_constant=no_constant)
    except (ValueError, RecursionError):
        raise Unreadable("not JSON") from None
    if not isinstance(root, dict):
        raise Unreadable("not an object")
    return mended(root)


def quoted(text):
    return json.dumps(text, ensure_ascii=False)


def written(value):
    """JSON.stringify; members that are GONE are left out."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Float):
        return "null" if "Inf" in value.text() else value.text()
    if isinstance(value, list):
        return "[" + ",".join(written(v) for v in value) + "]"
    return "{" + ",".join(quoted(k) + ":" + written(v)
                          for k, v in value.items() if v is not GONE) + "}"


def get(value, *names):
    """A member of a member; GONE as soon as one is not there."""
    for name in names:
        if not isinstance(value, dict):
            return GONE
        value = value.get(name, GONE)
    return value


def items(value):
    return value if isinstance(value, list) else []


def is_object(value):
    return isinstance(value, dict)


def text(value):
    """A scalar as a template prints it; None for null and all the rest."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return value.text() if isinstance(value, Float) else None


def shown(value):
    """The same where an issue hook prints null as it stands."""
    return "null" if value is None else text(value)


def filled(value):
    """A scalar's text that is not empty, or None."""
    return text(value) or None


def first_filled(*values):
    """The page's "first of": the first text that is not empty."""
    return next((t for t in map(filled, values) if t), None)


def string(value):
    return value if isinstance(value, str) else None


def first_string(value, *names):
    return first(*(string(get(value, n)) for n in names))


def truthy(value):
    if isinstance(value, Float):
        return value.value != 0
    if isinstance(value, (dict, list)):
        return True
    return bool(value)


def nullish(value):
    return value is None or value is GONE


def first(*candidates):
    """The first that is there: what `??` does."""
    for value in candidates:
        if value is not None and value is not GONE:
            return value
    return None


def or_gone(value):
    return GONE if value is None else value


def identity(value):
    """An id is text, whether it came as a string or a number."""
    return value if value is None or value is GONE else or_gone(text(value))


def cut_points(s, limit):
    return s if len(s) <= limit else s[:limit - 1] + "\u2026"


def cut_bytes(s, limit):
    raw = s.encode()
    if len(raw) <= limit:
        return s
    return raw[:limit - 3].decode("utf-8", "ignore") + "\u2026"


# ---- time -----------------------------------------------------------------

ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(\.[0-9]+)?(?:[Zz]|([+-])([0-9]{2})(?::?([0-9]{2}))?)?")


def leap(year):
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def month_days(year, month):
    return 29 if month == 2 and leap(year) else \
        (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


def day_number(year, month, day):
    """Days since 0000-01-01."""
    days = year * 365 + (year + 3) // 4 - (year + 99) // 100 \
        + (year + 399) // 400
    return days + sum(month_days(year, m) for m in range(1, month)) + day - 1


EPOCH = day_number(1970, 1, 1)


def calendar(seconds, fraction):
    """Seconds since 1970 as ISO 8601, or None outside the years 0-9999."""
    days, rest = divmod(seconds, 86400)
    days += EPOCH
    if not 0 <= days < day_number(10000, 1, 1):
        return None
    year = days * 400 // 146097
    while day_number(year + 1, 1, 1) <= days:
        year += 1
    while day_number(year, 1, 1) > days:
        year -= 1
    month = 1
    days -= day_number(year, 1, 1)
    while days >= month_days(year, month):
        days -= month_days(year, month)
        month += 1
    return "%04d-%02d-%02dT%02d:%02d:%02d%sZ" % (
        year, month, days + 1, rest // 3600, rest // 60 % 60, rest % 60,
        fraction[:FRACTION_DIGITS + 1])


def moment_iso(s):
    match = ISO.fullmatch(s)
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    if not (1 <= month <= 12 and 1 <= day <= month_days(year, month)
            and hour < 24 and minute < 60 and second < 60):
        return None
    offset_hours, offset_minutes = (int(g or 0) for g in match.group(9, 10))
    if offset_hours > 23 or offset_minutes > 59:
        return None
    offset = offset_hours * 3600 + offset_minutes * 60
    seconds = (day_number(year, month, day) - EPOCH) * 86400 \
        + hour * 3600 + minute * 60 + second
    seconds += offset if match.group(8) == "-" else -offset
    return calendar(seconds, match.group(7) or "")


def moment_seconds(s):
    match = re.fullmatch(r"([0-9]{1,15})(\.[0-9]+)?", s)
    if match is None:
        return None
    fraction = match.group(2) or ""
    return calendar(int(match.group(1)),
                    fraction if fraction.strip(".0") else "")


def moment(value):
    """A date as it stands in a payload; a number counts seconds."""
    if isinstance(value, Float):
        return moment_seconds(value.source)
    if isinstance(value, int) and not isinstance(value, bool):
        return moment_seconds(str(value))
    return moment_iso(string(value) or "")


def moment_or_seconds(value):
    """An event's `timestamp` may hold the seconds' digits as text."""
    return moment(value) or moment_seconds(string(value) or "")


def moment_order(iso):
    """The longer fraction of two equal ones counts as later."""
    seconds, _, fraction = iso[:-1].partition(".")
    return seconds, fraction


def newest_date(alert):
    newest = None
    for name in ("date_started", "date_detected", "date_created",
                 "date_closed"):
        date = moment(get(alert, name))
        if date and (newest is None
                     or moment_order(date) > moment_order(newest)):
            newest = date
    return newest


# ---- which resource -------------------------------------------------------

def has(*names):
    """Whether the data holds one of these."""
    return lambda data: any(text(get(data, n)) is not None for n in names)


def has_object(*names):
    return lambda data: any(is_object(get(data, n)) for n in names)


BUILDS = ("preprod_artifact", "size_analysis")
SHAPES = {
    "issue": has_object("issue"),
    "error": has_object("error"),
    "event_alert": has_object("event"),
    "metric_alert": has_object("metric_alert"),
    "comment": has("comment_id"),
    "installation": has_object("installation"),
    "activity_alert": has_object("activity", "alert"),
    "seer": has("run_id", "group_id"),
    "preprod_artifact": has("buildId"),
    "size_analysis": has("buildId"),
}
ACTIONS = {
    "issue": "created resolved assigned ignored archived unresolved",
    "error": "created",
    "event_alert": "triggered",
    "metric_alert": "critical warning resolved open",
    "comment": "created updated deleted",
    "installation": "created deleted",
}


def usable(header):
    return header if re.fullmatch("[A-Za-z0-9_.-]{1,64}", header or "") \
        else ""


def body_resource(data):
    """What the body is; in the order of ACTIONS where it is several."""
    for name in ACTIONS:
        if SHAPES[name](data):
            return name
    return None


def which_resource(header, data, action):
    """The resource, and whether a usable header was overruled."""
    header = usable(header)
    if header in SHAPES and SHAPES[header](data):
        return header, False
    found = body_resource(data)
    if found is None:
        return header, False
    if header and header not in SHAPES:
        if action is None or action not in ACTIONS[found].split():
            return header, False
    return found, header != "" and header != found


def is_observed(entries, resource, action):
    for entry in re.split(r"[\s,]+", entries):
        if entry == "*" or entry == resource + ".*":
            return True
        if action is not None and entry == resource + "." + action:
            return True
    return False


# ---- the dedupe key -------------------------------------------------------

def part(s):
    raw = s.encode()
    if len(raw) > 128 or re.search(rb"[^\x21-\x7e]|:", raw):
        return "sha256-" + hashlib.sha256(raw).hexdigest()[:32]
    return s


def installation_uuid(root):
    return filled(get(root, "data", "installation", "uuid")) \
        or string(get(root, "installation", "uuid"))


def event_key(s):
    event_id = filled(get(s.event, "event_id"))
    return event_id and "event:" + part(event_id)


def project_part(s):
    return "project:" + part(s.project_id or "") + ":"


def error_key(s):
    event = event_key(s)
    return event and project_part(s) + event


def event_alert_key(s):
    """One event can belong to several issues, and set off several rules."""
    event = event_key(s)
    if event is None:
        return None
    key = project_part(s) + "issue:" + part(s.issue_id or "") + ":" + event
    alert = filled(get(s.data, "issue_alert", "id"))
    if s.rule:
        key += ":rule:" + part(s.rule)
    if alert:
        key += ":alert:" + part(alert)
    return key


def joined_parts(*parts):
    return ":".join(map(part, parts)) if all(parts) else None


def issue_key(s):
    if s.action != "created":
        return None
    return joined_parts(s.action, filled(get(s.issue, "id")))


def installation_key(s):
    return joined_parts(s.action, installation_uuid(s.root))


def body_key(s):
    """Of what is told again and again under the same id and dates."""
    digest = hashlib.sha256(s.body).hexdigest()[:32]
    return joined_parts(s.action, s.source_id()[1], digest)


def activity_alert_key(s):
    number = first_filled(get(s.data, "alert", "id"), get(s.issue, "id"))
    digest = hashlib.sha256(s.body).hexdigest()[:32]
    return joined_parts(s.action, number, digest)


NATURAL = {
    "issue": issue_key,
    "error": error_key,
    "event_alert": event_alert_key,
    "metric_alert": body_key,
    "comment": body_key,
    "installation": installation_key,
    "activity_alert": activity_alert_key,
    "seer": body_key,
    "preprod_artifact": body_key,
    "size_analysis": body_key,
}


def key_tail(s):
    key = s.hook.get("Idempotency-Key", "")
    if re.fullmatch("[0-9a-fA-F]{32}", key):
        return "idempotency-key:" + key.lower()
    natural = NATURAL[s.resource](s) if s.resource in NATURAL else None
    if natural is not None:
        return natural
    if s.hook.get("Request-ID"):
        return "request-id:" + part(s.hook["Request-ID"])
    return "signature:%s:%s" % (
        part(s.hook.get("Signature", "0" * 64)),
        part(s.hook.get("Sentry-Hook-Timestamp", "")))


def dedupe_key(s):
    installation = string(get(s.root, "installation", "uuid")) or ""
    return ":".join((part(installation), s.resource, key_tail(s)))


# ---- what a hook is about -------------------------------------------------

def tag(event, name):
    """Tags are [key,value] pairs, or objects, or one object. Of equal keys
    the first one counts."""
    tags = get(event, "tags")
    if is_object(tags):
        return text(get(tags, name))
    for entry in items(tags):
        if is_object(entry):
            key, value = get(entry, "key"), get(entry, "value")
        else:
            key, value = (items(entry) + [GONE, GONE])[:2]
        if key == name:
            return text(value)
    return None


def event_release(event):
    release = get(event, "release")
    if isinstance(release, str) and release:
        return release
    version = get(release, "version")
    return truthy(version) and filled(version) \
        or tag(event, "release") or tag(event, "sentry:release") or None


def issue_in_url(value):
    match = re.search("/issues/([0-9]+)", string(value) or "")
    return match.group(1) if match else None


class Subject:
    """The same facts, wherever a resource keeps them; None: not there."""

    def __init__(self, hook, body, root, resource, action):
        self.hook = hook
        self.body = body
        self.root = root
        self.resource = resource
        self.action = action
        self.data = get(root, "data")
        self.issue = get(self.data, "issue")
        self.issue_hook = resource == "issue"
        self.events = resource in ("error", "event_alert")
        self.alert = get(self.data, "metric_alert")
        self.envelope_actor = get(root, "actor")
        self.event = get(self.data, "error" if resource == "error"
                         else "event")
        self.occurrence = self.find_occurrence()
        self.release = self.release_from = None
        if self.issue_hook or self.events:
            self.release = event_release(self.event)
            self.release_from = "event" if self.release else None
        self.environment = self.find_environment()
        self.find_ids()
        self.find_project()
        self.level = self.find_level()
        self.rule = self.find_rule()

    def find_occurrence(self):
        """How Sentry tells of an issue that is no error."""
        found = get(self.event, "occurrence") if self.events else GONE
        return found if is_object(found) and found else GONE

    def find_environment(self):
        named = get(self.event, "environment")
        if self.events:
            return filled(named) or tag(self.event, "environment") or None
        if self.resource == "metric_alert":
            return filled(get(self.alert, "alert_rule", "environment"))
        return text(named) if self.issue_hook else None

    def find_ids(self):
        self.short_id = None
        if self.events:
            self.issue_id = filled(get(self.event, "issue_id")) \
                or issue_in_url(get(self.event, "issue_url")) \
                or issue_in_url(get(self.event, "web_url"))
        elif is_object(self.issue):
            self.issue_id = text(get(self.issue, "id"))
            self.short_id = text(get(self.issue, "shortId"))
        else:
            self.issue_id = first_filled(get(self.data, "issue_id"),
                                         get(self.data, "group_id"))

    def find_level(self):
        if self.events:
            return first_filled(get(self.event, "level"),
                                get(self.occurrence, "level"))
        return text(get(self.issue, "level"))

    def find_project(self):
        self.project_id = self.project_slug = None
        if self.events:
            self.event_project()
        elif is_object(self.issue):
            self.project_id = text(get(self.issue, "project", "id"))
            self.project_slug = text(get(self.issue, "project", "slug"))
        else:
            projects = items(get(self.alert, "projects"))
            self.project_id = first_filled(get(self.data, "projectId"),
                                           get(self.data, "project_id"))
            self.project_slug = first_filled(
                get(self.data, "projectSlug"),
                get(self.data, "project_slug"),
                projects[0] if projects else GONE)

    def event_project(self):
        project = get(self.event, "project")
        self.project_id = text(project)
        if is_object(project):
            self.project_id = text(get(project, "id"))
            self.project_slug = text(get(project, "slug"))
        if not self.project_slug:
            match = re.search("/projects/[^/]+/([^/]+)",
                              string(get(self.event, "url")) or "")
            self.project_slug = match.group(1) if match else None

    def find_rule(self):
        if self.events:
            return string(get(self.data, "triggered_rule")) or None
        if self.resource == "metric_alert":
            return filled(get(self.alert, "alert_rule", "name"))
        if self.resource == "activity_alert":
            return filled(get(self.data, "alert", "title"))
        return None

    def app(self):
        """Of a build; its other name is that of size_analysis."""
        info = get(self.data, "appInfo")
        return info if is_object(info) else get(self.data, "app")

    def git(self):
        info = get(self.data, "gitInfo")
        return info if is_object(info) else get(self.data, "git")

    def issue_link(self):
        return first_string(self.issue, "permalink", "web_url", "webUrl")

    def occurred_at(self):
        hook_timestamp = self.hook.get("Sentry-Hook-Timestamp", "")
        candidates = []
        if self.issue_hook:
            candidates = [moment(get(self.issue, "lastSeen"))]
        elif self.events:
            candidates = [moment(get(self.event, "datetime")),
                          moment_or_seconds(get(self.event, "timestamp"))]
        elif self.resource == "metric_alert":
            # An incident's dates stay as they are while it goes on: when
            # this was sent says more, if the clock can be believed.
            candidates = [newest_date(self.alert)]
            if self.within_a_day(hook_timestamp):
                candidates.insert(0, moment_seconds(hook_timestamp))
        candidates.append(moment_seconds(hook_timestamp))
        received = int(self.hook["Received"])
        candidates.append(calendar(received // 1000,
                                   ".%03d" % (received % 1000)))
        return next(c for c in candidates if c)

    def within_a_day(self, seconds):
        if moment_seconds(seconds) is None:
            return False
        received = Fraction(int(self.hook["Received"]), 1000)
        return abs(Fraction(seconds) - received) <= DAY

    def source_id(self):
        if self.events:
            return self.resource, filled(get(self.event, "event_id"))
        if self.resource == "metric_alert":
            return self.resource, filled(get(self.alert, "id"))
        if self.resource == "comment":
            return self.resource, filled(get(self.data, "comment_id"))
        if self.resource == "installation":
            return self.resource, installation_uuid(self.root)
        if self.resource == "seer":
            return self.resource, filled(get(self.data, "run_id")) or \
                filled(get(self.data, "sentry_run_id"))
        if self.resource in BUILDS:
            return self.resource, filled(get(self.data, "buildId"))
        number = get(self.issue, "id")
        return "issue", shown(number) if self.issue_hook else filled(number)


# ---- exceptions, and the frames of one ------------------------------------

def exceptions(s):
    return items(get(s.event, "exception", "values"))


def frames_of(holder):
    return items(get(holder, "stacktrace", "frames"))


def main_exception(s):
    """Of a group, the exception that Sentry names the issue after."""
    number = text(get(s.event, "main_exception_id"))
    for value in exceptions(s):
        own = text(get(value, "mechanism", "exception_id"))
        if number is not None and own == number:
            return value
    return GONE


def last_with_frames(s):
    """Sentry lists causes first."""
    return next((v for v in reversed(exceptions(s)) if frames_of(v)), GONE)


def raised(s):
    found = main_exception(s)
    if found is GONE:
        found = last_with_frames(s)
    if found is GONE and exceptions(s):
        found = exceptions(s)[-1]
    return found


def threads(s):
    return items(get(s.event, "threads", "values"))


def thread_with_frames(s, kind):
    return next((t for t in threads(s)
                 if frames_of(t) and truthy(get(t, kind))), GONE)


def raising_thread(s):
    number = text(get(raised(s), "thread_id"))
    return next((t for t in threads(s) if number is not None
                 and frames_of(t) and text(get(t, "id")) == number), GONE)


def event_frames(s):
    """From the first of these that has any."""
    for holder in (raised(s), raising_thread(s),
                   *(thread_with_frames(s, k)
                     for k in ("crashed", "current", "main")),
                   threads(s)[0] if len(threads(s)) == 1 else GONE, s.event):
        if frames_of(holder):
            return frames_of(holder)
    return []


def has_stack_trace(s):
    holders = list(exceptions(s))
    if s.events:
        holders += items(get(s.event, "threads", "values")) + [s.event]
    return any(truthy(get(h, "stacktrace")) for h in holders)


# ---- pull requests --------------------------------------------------------

PULL_REQUESTS = 32              # that are told
PR_NAMES = {"number": ("pr_number", "number"), "id": ("pr_id", "id"),
            "url": ("pr_url", "url", "web_url")}
# Of an object that is about other things as well.
OWN_PR_NAMES = {"number": ("pr_number",), "id": ("pr_id",),
                "url": ("pr_url",)}


def pull_request(value, names, repository=GONE):
    """One as a dict of texts, or None if it has neither an id nor a URL."""
    url = first(*(string(get(value, n)) or None for n in names["url"]))
    number = first_filled(*(get(value, n) for n in names["number"]))
    behind = re.search(r"/([0-9]+)\Z", url or "")
    if number is None and behind:
        number = behind.group(1)
    found = first(number, first_filled(*(get(value, n)
                                         for n in names["id"])), url)
    if found is None:
        return None
    return {"id": found, "url": url, "number": number,
            "own_id": first_filled(*(get(value, n) for n in names["id"])),
            "repository": first_filled(repository, get(value, "repo_name"))}


def listed_pull_requests(holder):
    """The list, each itself or its `pull_request`; a single one; then the
    holder."""
    entries = items(get(holder, "pull_requests"))
    if is_object(get(holder, "pull_request")):
        entries = entries + [get(holder, "pull_request")]
    for entry in entries:
        inner = get(entry, "pull_request")
        yield pull_request(inner if is_object(inner) else entry, PR_NAMES,
                           get(entry, "repo_name"))
    yield pull_request(holder, OWN_PR_NAMES)


def candidate_pull_requests(s):
    if s.resource == "seer":
        yield from listed_pull_requests(s.data)
    elif s.resource == "activity_alert":
        details = get(s.data, "activity", "details")
        yield from listed_pull_requests(details)
    elif s.resource in BUILDS:
        git = s.git()
        number = filled(get(git, "prNumber"))
        repository = first_filled(get(git, "headRepoName"),
                                  get(git, "baseRepoName"))
        url = None
        if number and repository and get(git, "provider") == "github":
            url = "https://github.com/%s/pull/%s" % (repository, number)
        if number:
            yield {"id": number, "url": url, "number": number,
                   "own_id": None, "repository": repository}


def pull_requests(s):
    """Each once."""
    found = {}
    for request in candidate_pull_requests(s):
        if request is not None:
            found.setdefault(("url", request["url"]) if request["url"]
                             else tuple(request[n] for n in (
                                 "repository", "number", "own_id")), request)
    return list(found.values())[:PULL_REQUESTS]


# ---- title ----------------------------------------------------------------

ISSUE_TITLES = {
    "resolved": "\u2705 [Resolved]",
    "assigned": "\U0001f464 [Assigned]",
    "ignored": "\U0001f507 [Ignored]",
    "archived": "\U0001f507 [Archived]",
    "unresolved": "\U0001f504 [Reopened]",
}
METRIC_TITLES = {
    "critical": "\U0001f534 [Metric Alert Critical]",
    "warning": "\U0001f7e1 [Metric Alert Warning]",
    "resolved": "\u2705 [Metric Alert Resolved]",
}
COMMENT_WORDS = {"updated": "Edited", "deleted": "Deleted"}
INSTALLATION_TITLES = {
    "created": "\U0001f50c [Installed]",
    "deleted": "\U0001f50c [Uninstalled]",
}
FOUND_TITLES = (
    ("issue", "title"), ("event", "title"), ("error", "title"),
    ("description_title",), ("metric_alert", "title"), ("alert", "title"),
    ("title",), ("installation", "app", "slug"), ("appInfo", "name"),
    ("root_cause", "one_line_description"), ("root_cause", "description"),
    ("solution", "one_line_summary"), ("solution", "description"),
    ("comment",))


def found_title(s):
    """The first text in the data that can stand for the whole."""
    found = first_filled(*(get(s.data, *path) for path in FOUND_TITLES))
    changes = items(get(s.data, "changes"))
    if not found and changes:
        found = filled(get(changes[0], "title"))
    if not found:
        found = next(map(pull_request_title, pull_requests(s)), None)
    return found


def pull_request_title(request):
    number = "#" + request["number"] if request["number"] else ""
    return (request["repository"] or "") + number or None


def emoji(s):
    return EMOJI.get(s.level, OTHER_EMOJI)


def event_title(s):
    """An occurrence has a title of its own."""
    return filled(get(s.occurrence, "issueTitle")) \
        or filled(get(s.event, "title"))


def metric_name(s):
    return first_filled(get(s.data, "description_title"),
                        get(s.alert, "title"))


def build_name(s):
    """The app, and its version."""
    info = s.app()
    app = first_filled(get(info, "name"), get(info, "appId"),
                       get(s.data, "projectSlug"))
    return spaced(app, filled(get(info, "version")))


def build_state(s):
    return first_filled(get(s.data, "state"), get(s.data, "status"))


def spaced(*pieces):
    return " ".join(p for p in pieces if p) or None


def with_colon(piece):
    return piece and piece + ":"


def lead(s):
    name = s.resource + " " + s.action if s.action else s.resource
    return OTHER_EMOJI + " [" + name + "]"


def issue_title(s):
    if s.action == "created":
        mark = emoji(s) + " [New Issue]"
    else:
        mark = ISSUE_TITLES.get(s.action, emoji(s))
    return mark, shown(get(s.issue, "title"))


def error_title(s):
    return emoji(s), "[Error]", event_title(s)


def event_alert_title(s):
    return emoji(s), "[Alert]", with_colon(s.rule), event_title(s)


def metric_alert_title(s):
    if s.action not in METRIC_TITLES:
        return other_title(s)
    return METRIC_TITLES[s.action], metric_name(s)


def comment_title(s):
    comment = filled(get(s.data, "comment")) or ""
    first_line = re.split("[\r\n]", comment, maxsplit=1)[0] or None
    word = COMMENT_WORDS.get(s.action)
    return ("\U0001f4ac [Comment]",
            with_colon(word) if first_line else word, first_line)


def installation_title(s):
    if s.action not in INSTALLATION_TITLES:
        return other_title(s)
    return (INSTALLATION_TITLES[s.action],
            filled(get(s.data, "installation", "app", "slug")))


def activity_alert_title(s):
    kind = filled(get(s.data, "activity", "type"))
    return lead(s), ": ".join(p for p in (kind, found_title(s)) if p) or None


def preprod_artifact_title(s):
    return lead(s), ": ".join(p for p in (
        build_name(s), build_state(s)) if p) or None


def other_title(s):
    return lead(s), found_title(s)


TITLES = {
    "issue": issue_title,
    "error": error_title,
    "event_alert": event_alert_title,
    "metric_alert": metric_alert_title,
    "comment": comment_title,
    "installation": installation_title,
    "activity_alert": activity_alert_title,
    "preprod_artifact": preprod_artifact_title,
    "size_analysis": preprod_artifact_title,
}


def title_of(s):
    pieces = TITLES.get(s.resource, other_title)(s)
    return cut_points(" ".join(p for p in pieces if p is not None),
                      TITLE_POINTS)


# ---- body -----------------------------------------------------------------

def type_line(kind, value):
    return "**%s**" % kind if value is None else "**%s**: %s" % (kind, value)


def line(form, *values):
    """A line, or none at all where one of its values is missing."""
    return None if None in values else form % values


def filled_line(form, value):
    """The same; an empty text counts as missing."""
    return line(form, filled(value))


def guarded(form, value):
    """The same; all that JavaScript takes for false counts as missing."""
    return line(form, text(value)) if truthy(value) else None


def either(form, left, right):
    """`LEFT: RIGHT`, or what is there of the two."""
    pair = ": ".join(p for p in (left, right) if p)
    return line(form, pair or None)


# -- frames

def in_app(frames):
    """The newest three, newest first."""
    own = [f for f in frames
           if truthy(first(get(f, "in_app"), get(f, "inApp")))]
    return own[-3:][::-1]


def frame_line(frame, location, function):
    function = first(function, "(anonymous)")
    return "- `%s` at `%s`" % (function, location)


STACK_TRACE = "\n**Stack Trace** (top frames):"


# -- issue

def issue_location(frame):
    filename, lineno = (shown(get(frame, n)) for n in ("filename", "lineno"))
    filename = "?" if filename is None else filename
    return filename if lineno is None else filename + ":" + lineno


def issue_stack(s):
    values = exceptions(s)
    frames = frames_of(values[0]) if values else []
    if not frames:
        return []
    return [STACK_TRACE] + [frame_line(f, issue_location(f), text(get(f, "function")))
                            for f in in_app(frames)]


def issue_head(s):
    metadata = get(s.issue, "metadata")
    kind, title = get(metadata, "type"), shown(get(s.issue, "title"))
    if truthy(kind) and text(kind) is not None:
        value = get(metadata, "value")
        return type_line(text(kind), title if nullish(value)
                         else text(value))
    return line("**Error**: %s", title)


def issue_body(s):
    issue = s.issue
    return [
        issue_head(s),
        guarded("\n**Location**: `%s`", get(issue, "culprit")),
        line("\n**Occurrences**: %s events affecting %s users",
             shown(get(issue, "count")), shown(get(issue, "userCount"))),
        line("**First seen**: %s", shown(get(issue, "firstSeen"))),
        line("**Last seen**: %s", shown(get(issue, "lastSeen"))),
        guarded("\n**Release**: %s", or_gone(s.release)),
        guarded("**Environment**: %s", get(s.event, "environment")),
        *issue_stack(s),
        line("\n**Platform**: %s", shown(get(issue, "platform"))),
    ]


# -- error, event_alert

def event_location(frame):
    filename = first_filled(*(get(frame, n) for n in (
        "filename", "abs_path", "module"))) or "?"
    lineno = text(get(frame, "lineno"))
    return filename if lineno is None else filename + ":" + lineno


def event_stack(s):
    frames = in_app(event_frames(s))
    if not frames:
        return []
    return [STACK_TRACE] + [frame_line(f, event_location(f), filled(get(f, "function")))
                            for f in frames]


def event_type(s):
    """The type and the value that its head line shows; None, None where it
    has no type."""
    for source in (main_exception(s), get(s.event, "metadata"), raised(s)):
        kind, value = filled(get(source, "type")), get(source, "value")
        if kind:
            return kind, (text(get(s.event, "title")) if nullish(value)
                          else text(value))
    return None, None


def evidence(s):
    """(name, value) pairs, the important ones first."""
    shown_first, shown_last = [], []
    for entry in items(get(s.occurrence, "evidenceDisplay")):
        value = filled(get(entry, "value"))
        if value:
            important = truthy(get(entry, "important"))
            (shown_first if important else shown_last).append(
                (filled(get(entry, "name")), value))
    return shown_first + shown_last


def occurrence_head(s, subtitle):
    title = event_title(s) or None
    return ": ".join(p for p in (title and "**%s**" % title, subtitle)
                     if p) or None


def message(s, said):
    """The whole message, where the title is only its beginning and no line
    above has said it."""
    whole_text = first_filled(get(s.event, "logentry", "formatted"),
                              get(s.event, "message"),
                              get(s.event, "logentry", "message"))
    if not whole_text or whole_text in said:
        return None
    if len(whole_text.encode()) <= len((event_title(s) or "").encode()):
        return None
    return cut_bytes(whole_text, MESSAGE_BYTES)


def event_head(s):
    """Its first lines, and what they said."""
    if s.occurrence is not GONE:
        subtitle = filled(get(s.occurrence, "subtitle"))
        pairs = evidence(s)
        lines = [occurrence_head(s, subtitle)]
        lines += [either("- %s", name, value) for name, value in pairs]
        return lines, [subtitle] + [value for _, value in pairs]
    kind, value = event_type(s)
    if kind:
        return [type_line(kind, value)], [value]
    return [filled_line("**Error**: %s", get(s.event, "title"))], []


def event_body(s):
    head, said = event_head(s)
    gap = "" if s.occurrence is GONE else "\n"     # a list ends there
    return [
        line("**Rule**: %s", s.rule if s.resource == "event_alert"
             else None),
        *head,
        line(gap + "**Message**: %s", message(s, said)),
        line("\n**Location**: `%s`", first_filled(
            get(s.event, "culprit"), get(s.occurrence, "culprit"))),
        line("\n**Release**: %s", s.release),
        line(("" if s.release else gap) + "**Environment**: %s",
             s.environment),
        *event_stack(s),
        filled_line("\n**Platform**: %s", get(s.event, "platform")),
    ]


# -- metric_alert

def threshold(s):
    """Which one this hook is about."""
    rule = get(s.alert, "alert_rule")
    if get(rule, "detection_type") == "dynamic":
        return GONE
    resolve = get(rule, "resolve_threshold")
    if s.action == "resolved" and not nullish(resolve):
        return resolve
    triggers = items(get(rule, "triggers"))
    own = [t for t in triggers if s.action is not None
           and get(t, "label") == s.action]
    return get((own or triggers or [GONE])[0], "alert_threshold")


def metric_text(s):
    """Sentry leaves the text's first line out where it has no value: it then
    begins with a line break."""
    whole_text = filled(get(s.data, "description_text")) or ""
    told = whole_text.strip(BLANKS)
    if not told:
        return metric_name(s)
    before = whole_text[:len(whole_text) - len(whole_text.lstrip(BLANKS))]
    if re.search("[\r\n]", before) and metric_name(s):
        return metric_name(s) + "\n" + told
    return told


def project_names(s):
    return [p for p in map(filled, items(get(s.alert, "projects"))) if p]


def metric_alert_body(s):
    rule = get(s.alert, "alert_rule")
    return [
        line("**Metric alert**: %s", metric_text(s)),
        line("\n**Rule**: %s", s.rule),
        line("**Environment**: %s", s.environment or None),
        filled_line("**Aggregate**: %s", get(rule, "aggregate")),
        filled_line("**Query**: %s", get(rule, "query")),
        filled_line("**Threshold**: %s" + (
            " %%" if get(rule, "detection_type") == "percent" else ""),
            threshold(s)),
        filled_line("**Time window**: %s minutes", get(rule, "time_window")),
        filled_line("**Dataset**: %s", get(rule, "dataset")),
        line("\n**Projects**: %s", ", ".join(project_names(s)) or None),
    ]


# -- comment, installation

def comment_body(s):
    return [text(get(s.data, "comment"))]


def installation_body(s):
    installation = get(s.data, "installation")
    return [
        line("**Organization**: %s",
             text(get(installation, "organization", "slug"))),
        line("**App**: %s", text(get(installation, "app", "slug"))),
        line("**Status**: %s", text(get(installation, "status"))),
    ]


# -- activity_alert, seer, preprod_artifact

def pull_request_lines(s):
    lines = ["- pull request: " + (p["url"] or pull_request_title(p)
                                   or p["own_id"]) for p in pull_requests(s)]
    return ["\n" + lines[0]] + lines[1:] if lines else []


def detail_lines(details):
    """A text, or by what it is called."""
    for name, value in details.items():
        if name != "pull_request" and not name.startswith("pr_"):
            told = filled(value) or first_filled(
                *(get(value, n) for n in ("name", "title", "version", "id")))
            yield told and either("- %s", name, told)


def activity_alert_body(s):
    details = get(s.data, "activity", "details")
    details = details if is_object(details) else {}
    alert = get(s.data, "alert")
    link = s.issue_link() or first(*(string(get(alert, n)) or None
                                     for n in ("web_url", "url")))
    resolved = get(s.issue, "statusDetails")
    commit_ = get(resolved, "inCommit")
    return [
        filled_line("**Activity**: %s", get(s.data, "activity", "type")),
        either("**Issue**: %s", filled(get(s.issue, "shortId")),
               filled(get(s.issue, "title"))),
        either("**Status**: %s", filled(get(s.issue, "status")),
               filled(get(s.issue, "substatus"))),
        filled_line("**Resolved in release**: %s",
                    get(resolved, "inRelease")),
        line("**Resolved in commit**: %s",
             filled(commit_) or filled(get(commit_, "id"))),
        filled_line("**Alert**: %s", get(alert, "title")),
        *detail_lines(details),
        *code_change_lines(get(details, "code_changes")),
        *pull_request_lines(s),
        line("\n**Link**: %s", link),
    ]


def steps(values):
    """Texts, or titles with descriptions."""
    return [either("- %s", first_filled(v, get(v, "title")),
                   filled(get(v, "description"))) for v in items(values)]


def code_change_line(repository, change):
    path = filled(get(change, "path"))
    added, removed = (filled(get(change, n)) for n in ("added", "removed"))
    count = line(" (+%s -%s)", added, removed) or ""
    return line("- %s: %s" + count.replace("%", "%%"), repository, path)


def code_change_lines(changes):
    changes = changes if is_object(changes) else {}
    return [code_change_line(repository, change)
            for repository, listed in changes.items()
            for change in items(listed)]


def seer_body(s):
    cause, solution = (get(s.data, n) for n in ("root_cause", "solution"))
    reproduction = items(get(cause, "reproduction_steps"))
    return [
        filled_line("**Seer**: %s", or_gone(s.action)),
        filled_line("**Iteration**: %s", get(s.data, "iteration_index")),
        line("\n**Root cause**: %s", first_filled(
            get(cause, "one_line_description"), get(cause, "description"))),
        *steps(get(cause, "five_whys")),
        *steps(get(cause, "steps")),
        "\n**To reproduce**:" if reproduction else None,
        *steps(reproduction),
        filled_line("\n**Repository**: %s", get(cause, "relevant_repo")),
        line("\n**Solution**: %s", first_filled(
            get(solution, "one_line_summary"),
            get(solution, "description"))),
        *steps(get(solution, "steps")),
        *code_change_lines(get(s.data, "code_changes")),
        *(either("- %s", filled(get(change, "repo_name")),
                 filled(get(change, "title")))
          for change in items(get(s.data, "changes"))),
        *pull_request_lines(s),
    ]


def grown(what, diff, base, head):
    sizes = line("%s to %s bytes", filled(get(diff, base)),
                 filled(get(diff, head)))
    return ", %s: %s" % (what, sizes) if sizes else ""


def comparison_line(value):
    if not is_object(value):
        return None
    kind = filled(get(value, "metricsArtifactType"))
    head = ": ".join(p for p in (
        "- comparison" + (" of " + kind if kind else ""),
        first_filled(get(value, "state"), get(value, "status")),
        filled(get(value, "errorCode")),
        filled(get(value, "errorMessage"))) if p)
    diff = get(value, "sizeMetricDiff")
    return head + grown("download", diff, "baseDownloadSize",
                        "headDownloadSize") \
        + grown("installed", diff, "baseInstallSize", "headInstallSize")


def preprod_artifact_body(s):
    info, git = s.app(), s.git()
    number = filled(get(info, "buildNumber"))
    return [
        line("**Build**: %s", build_name(s) and spaced(
            build_name(s), number and "(%s)" % number)),
        line("**State**: %s", build_state(s)),
        either("**Failure**: %s", filled(get(s.data, "errorCode")),
               filled(get(s.data, "errorMessage"))),
        filled_line("**Platform**: %s", get(s.data, "platform")),
        filled_line("**Download size**: %s bytes",
                    get(s.data, "downloadSize")),
        filled_line("**Install size**: %s bytes",
                    get(s.data, "installSize")),
        filled_line("**Installable**: %s", get(s.data, "isInstallable")),
        filled_line("**Code signature valid**: %s",
                    get(s.data, "isCodeSignatureValid")),
        filled_line("**Install**: %s", get(s.data, "installUrl")),
        *map(comparison_line, items(get(s.data, "comparisons"))),
        comparison_line(get(s.data, "comparison")),
        filled_line("\n**Commit**: %s", get(git, "headSha")),
        filled_line("**Branch**: %s", get(git, "headRef")),
        *pull_request_lines(s),
    ]


def other_body(s):
    return [found_title(s)]


BODIES = {
    "issue": issue_body,
    "error": event_body,
    "event_alert": event_body,
    "metric_alert": metric_alert_body,
    "comment": comment_body,
    "installation": installation_body,
    "activity_alert": activity_alert_body,
    "seer": seer_body,
    "preprod_artifact": preprod_artifact_body,
    "size_analysis": preprod_artifact_body,
}


def body_of(s):
    lines = BODIES.get(s.resource, other_body)(s)
    return cut_bytes("\n".join(n for n in lines if n is not None),
                     BODY_BYTES)


# ---- actor ----------------------------------------------------------------

def assignee(s):
    """Whom it is assigned to. Where it is nobody's any more, the hook still
    says in `data` to whom it was given."""
    to = get(s.issue, "assignedTo")
    if not is_object(to) and s.action == "assigned":
        to = get(s.data, "assignee")
    return to if is_object(to) else None


def assignee_of(s):
    to = assignee(s)
    if s.action != "assigned" or to is None:
        return None
    number = first(shown(get(to, "id")), "unknown")
    if get(to, "type") == "team":
        return {"id": "sentry-team:" + number, "name": get(to, "name")}
    return {"id": "sentry:" + number, "name": get(to, "name"),
            "email": get(to, "email")}


SCRUBBED = re.compile(r"\[.*\]|<.*>|\**", re.DOTALL)


def known(value):
    """A text that tells who it is, and not what a scrubber left of it."""
    found = filled(value)
    return None if SCRUBBED.fullmatch((found or "").strip(BLANKS)) else found


def issue_user(s):
    user = get(s.event, "user")
    if not truthy(user):
        return None
    number, name, email = (get(user, n) for n in ("id", "username", "email"))
    texts = [t for t in map(text, (number, name, email)) if t is not None]
    if any(t and known(t) is None for t in texts) \
            or texts and not any(texts):
        return event_user(s)
    return {"id": "user:" + first(text(first(number, email)), "unknown"),
            "name": first(name, email, "Unknown User"),
            "email": or_gone(first(email))}


def event_user(s):
    number, email, username, name = (
        known(get(s.event, "user", n))
        for n in ("id", "email", "username", "name"))
    somebody = first(number, email, username, name)
    if somebody is None:
        return None
    return {"id": "user:" + somebody,
            "name": first(username, email, name, "Unknown User"),
            "email": or_gone(email)}


def user_of(s):
    return issue_user(s) if s.issue_hook else event_user(s)


def sender_of(s):
    actor = s.envelope_actor
    number = text(get(actor, "id"))
    if get(actor, "type") != "user" or number is None:
        return None
    return {"id": "sentry:" + number,
            "name": or_gone(text(get(actor, "name")))}


def actor_of(s):
    return or_gone(first(assignee_of(s), user_of(s), sender_of(s)))


# ---- references -----------------------------------------------------------

def commit_in(release):
    match = re.search("(?:^|[@+])([0-9a-fA-F]{40})$", release or "")
    if match is None or release.endswith("\n"):
        return None
    return match.group(1)


def sentry_issue(s):
    reference = {"type": "sentry_issue"}
    if s.events or not is_object(s.issue):
        if not s.issue_id:
            return None
        reference["id"] = s.issue_id
        if s.events:
            reference["url"] = or_gone(string(get(s.event, "web_url")))
        return reference
    reference["id"] = identity(get(s.issue, "shortId"))
    reference["url"] = or_gone(s.issue_link())
    return reference


def assignee_reference(s):
    to = assignee(s)
    if to is None:
        return None
    return {"type": "assignee", "id": identity(get(to, "id"))}


def resolved_in_commit(s):
    commit = get(s.issue, "statusDetails", "inCommit")
    sha = string(commit) or filled(get(commit, "id"))
    if not sha:
        return None
    url = filled(get(commit, "url"))
    repository = get(commit, "repository")
    provider = get(repository, "provider")
    host = string(get(provider, "id")) or string(provider) or ""
    home = string(get(repository, "url")) or ""
    if not url and re.search("github|gitlab", host) \
            and home.startswith("http"):
        url = home + "/commit/" + sha
    return {"type": "resolved_in_commit", "id": sha, "url": or_gone(url)}


def plain(kind, value):
    return {"type": kind, "id": value} if value else None


def commit(s):
    own = filled(get(s.git(), "headSha")) if s.resource in BUILDS else None
    return own or commit_in(s.release)


def alert_rule(s):
    if s.resource == "event_alert":
        return s.rule
    if s.resource == "metric_alert":
        return s.rule or filled(get(s.alert, "alert_rule", "id"))
    if s.resource == "activity_alert":
        return s.rule or filled(get(s.data, "alert", "id"))
    return s.rule


def references_of(s):
    found = [
        plain("release", s.release),
        assignee_reference(s),
        sentry_issue(s),
        plain("commit", commit(s)),
        plain("resolved_in_release",
              filled(get(s.issue, "statusDetails", "inRelease"))),
        resolved_in_commit(s),
        plain("project", s.project_slug or s.project_id),
        plain("alert_rule", alert_rule(s)),
        *({"type": "pull_request", "id": p["id"], "url": or_gone(p["url"])}
          for p in pull_requests(s)),
    ]
    return [f for f in found if f is not None]


# ---- metadata -------------------------------------------------------------

def parse_int(value):
    """parseInt(value, 10); what is no number is written as null."""
    match = re.match("[+-]?[0-9]+", (text(value) or "").lstrip(SPACE))
    return Float(match.group()) if match else None


def extra(value):
    return GONE if value is None else value


def error_value(value):
    if isinstance(value, str):
        return cut_bytes(value, ERROR_VALUE_BYTES)
    return None if value is GONE else value


def triggered_by(s):
    actor = s.envelope_actor
    if not is_object(actor):
        return GONE
    return {n: or_gone(text(get(actor, n))) for n in ("type", "id", "name")}


def nothing_as_null(value):
    return None if value is GONE else value


def issue_metadata(s):
    issue = s.issue
    release = s.release
    if release is None and get(s.event, "release", "version") == "":
        release = ""
    return {
        "issueId": identity(get(issue, "id")),
        "shortId": identity(get(issue, "shortId")),
        "permalink": get(issue, "permalink"),
        "projectSlug": get(issue, "project", "slug"),
        "projectId": identity(get(issue, "project", "id")),
        "platform": get(issue, "platform"),
        "level": get(issue, "level"),
        "status": get(issue, "status"),
        "eventCount": parse_int(get(issue, "count")),
        "userCount": parse_int(get(issue, "userCount")),
        "firstSeen": get(issue, "firstSeen"),
        "lastSeen": get(issue, "lastSeen"),
        "release": release,
        "environment": nothing_as_null(get(s.event, "environment")),
        "errorType": nothing_as_null(get(issue, "metadata", "type")),
        "errorValue": error_value(get(issue, "metadata", "value")),
        "culprit": get(issue, "culprit"),
        "hasStackTrace": has_stack_trace(s),
        "releaseFrom": or_gone(s.release_from),
        "substatus": extra(get(issue, "substatus")),
        "priority": extra(get(issue, "priority")),
        "issueType": extra(get(issue, "issueType")),
        "issueCategory": extra(get(issue, "issueCategory")),
        "resolutionType": extra(get(s.data, "resolution_type")),
    }


def event_metadata(s):
    event = s.event
    error = main_exception(s)
    if not filled(get(error, "type")):
        error = get(event, "metadata")
    return {
        "issueId": or_gone(s.issue_id),
        "permalink": or_gone(string(get(event, "web_url"))),
        "projectSlug": or_gone(s.project_slug),
        "projectId": or_gone(s.project_id),
        "platform": or_gone(text(get(event, "platform"))),
        "level": or_gone(s.level),
        "release": s.release,
        "environment": s.environment,
        "errorType": nothing_as_null(get(error, "type")),
        "errorValue": error_value(get(error, "value")),
        "culprit": extra(get(event, "culprit")),
        "hasStackTrace": has_stack_trace(s),
        "eventId": or_gone(text(get(event, "event_id"))),
        "occurrenceType": extra(get(s.occurrence, "type")),
        "releaseFrom": or_gone(s.release_from),
        "rule": or_gone(s.rule),
        "ruleId": or_gone(text(get(s.data, "issue_alert", "id"))),
    }


def metric_alert_metadata(s):
    rule = get(s.alert, "alert_rule")
    projects = get(s.alert, "projects")
    return {
        "metricAlertId": or_gone(text(get(s.alert, "id"))),
        "identifier": or_gone(text(get(s.alert, "identifier"))),
        "status": extra(get(s.alert, "status")),
        "projectSlug": or_gone(s.project_slug),
        "projects": projects if isinstance(projects, list) else GONE,
        "rule": or_gone(filled(get(rule, "name"))),
        "ruleId": or_gone(text(get(rule, "id"))),
        "environment": or_gone(s.environment),
        "aggregate": or_gone(text(get(rule, "aggregate"))),
        "query": or_gone(text(get(rule, "query"))),
        "dataset": or_gone(text(get(rule, "dataset"))),
        "threshold": extra(threshold(s)),
        "thresholdType": extra(get(rule, "threshold_type")),
        "detectionType": or_gone(text(get(rule, "detection_type"))),
        "timeWindow": extra(get(rule, "time_window")),
        "permalink": or_gone(text(get(s.data, "web_url"))),
    }


def comment_metadata(s):
    return {
        "commentId": or_gone(text(get(s.data, "comment_id"))),
        "issueId": or_gone(s.issue_id),
        "projectSlug": or_gone(s.project_slug),
        "commentedAt": or_gone(text(get(s.data, "timestamp"))),
    }


def installation_metadata(s):
    installation = get(s.data, "installation")
    return {
        "installationId": or_gone(text(get(installation, "uuid"))),
        "status": or_gone(text(get(installation, "status"))),
        "organizationSlug": or_gone(
            text(get(installation, "organization", "slug"))),
        "appSlug": or_gone(text(get(installation, "app", "slug"))),
    }


def other_metadata(s):
    return {
        "issueId": or_gone(s.issue_id),
        "shortId": or_gone(s.short_id),
        "permalink": or_gone(s.issue_link()),
        "projectSlug": or_gone(s.project_slug),
        "projectId": or_gone(s.project_id),
        "level": or_gone(s.level),
        "groupId": or_gone(text(get(s.data, "group_id"))),
        "runId": or_gone(text(get(s.data, "run_id"))),
        "buildId": or_gone(text(get(s.data, "buildId"))),
    }


def activity_alert_metadata(s):
    alert = get(s.data, "alert")
    return {
        **other_metadata(s),
        "activityType": or_gone(text(get(s.data, "activity", "type"))),
        "status": or_gone(text(get(s.issue, "status"))),
        "substatus": or_gone(text(get(s.issue, "substatus"))),
        "rule": or_gone(text(get(alert, "title"))),
        "ruleId": or_gone(text(get(alert, "id"))),
        "alertUrl": or_gone(first(*(string(get(alert, n)) or None
                                    for n in ("web_url", "url")))),
    }


def seer_metadata(s):
    return {**other_metadata(s),
            "iteration": extra(get(s.data, "iteration_index"))}


def preprod_artifact_metadata(s):
    info = s.app()
    return {
        **other_metadata(s),
        "state": or_gone(build_state(s)),
        **{n: or_gone(text(get(s.data, n)))
           for n in ("errorCode", "errorMessage", "platform")},
        "appName": or_gone(text(get(info, "name"))),
        "appVersion": or_gone(text(get(info, "version"))),
    }


METADATA = {
    "issue": issue_metadata,
    "error": event_metadata,
    "event_alert": event_metadata,
    "metric_alert": metric_alert_metadata,
    "comment": comment_metadata,
    "installation": installation_metadata,
    "activity_alert": activity_alert_metadata,
    "seer": seer_metadata,
    "preprod_artifact": preprod_artifact_metadata,
    "size_analysis": preprod_artifact_metadata,
}


def metadata_of(s):
    return {**METADATA.get(s.resource, other_metadata)(s),
            "triggeredBy": triggered_by(s)}


# ---- the observation ------------------------------------------------------

def source_event(s):
    kind, number = s.source_id()
    name = s.resource + "." + s.action if s.action else s.resource
    return {
        "source": "sentry",
        "sourceType": name,
        "sourceId": s.resource if number is None else kind + ":" + number,
        "title": title_of(s),
        "body": body_of(s),
        "actor": actor_of(s),
        "occurredAt": s.occurred_at(),
        "references": references_of(s),
        "metadata": metadata_of(s),
    }


def unreadable(hook, body):
    resource = usable(hook.get("Sentry-Hook-Resource"))
    key = dedupe_key(Subject(hook, body, GONE, resource, None))
    return [("resource", resource or None), ("outcome", "unreadable"),
            *keys(key)]


def keys(key):
    return [("dedupe_key", key), ("event_id", "sentry-" + hashlib.sha256(
        key.encode()).hexdigest()[:32])]


def learn(s):
    """An issue hook without a release takes the one learned for it."""
    learned = s.hook.get("Learned-Release")
    if s.issue_hook and s.release is None and s.issue_id and learned:
        s.release, s.release_from = learned, "issue"


def columns(s, event):
    return [
        ("source_type", event["sourceType"]),
        ("source_id", event["sourceId"]),
        ("title", event["title"]),
        ("occurred_at", event["occurredAt"]),
        ("project_id", s.project_id),
        ("project_slug", s.project_slug),
        ("issue_id", s.issue_id),
        ("short_id", s.short_id),
        ("level", s.level),
        ("release", s.release),
        ("environment", s.environment),
    ]


def observe(hook, body):
    """The fields as (name, text) pairs, and the source event or None."""
    try:
        root = parse(body)
    except Unreadable:
        return unreadable(hook, body), None
    action = string(get(root, "action"))
    resource, mismatch = which_resource(
        hook.get("Sentry-Hook-Resource"), get(root, "data"), action)
    observed = is_observed(hook.get("Observe", DEFAULT_OBSERVE), resource,
                           action)
    subject = Subject(hook, body, root, resource, action)
    fields = [
        ("resource", resource or None),
        ("action", action),
        ("mismatch", "1" if mismatch else None),
        ("installation", string(get(root, "installation", "uuid"))),
        ("outcome", "observed" if observed else "ignored"),
        *keys(dedupe_key(subject)),
    ]
    if not observed:
        return fields, None
    learn(subject)
    event = source_event(subject)
    return fields + columns(subject, event), event


def split(data):
    """A .hook file's headers and body."""
    head, _, body = data.partition(b"\n\n")
    hook = {}
    for header in head.decode().split("\n"):
        name, _, value = header.partition(": ")
        hook[name] = value
    return hook, body


def report(data):
    """The lines for a .hook file's bytes."""
    fields, event = observe(*split(data))
    lines = ["%s: %s" % (name, quoted(value.replace("\0", "\ufffd")))
             for name, value in fields if value is not None]
    if event is not None:
        lines.append("source_event: " + written(event))
    return "\n".join(lines) + "\n"


def read(path):
    with open(path, "rb") as f:
        return f.read()


def golden():
    """Without what only the C program can do: redaction."""
    here = os.path.dirname(os.path.abspath(__file__))
    return sorted(path for path in glob.glob(
        os.path.join(os.path.dirname(here), "golden", "*.hook"))
        if not os.path.basename(path).startswith("redact-"))


def main(arguments):
    if arguments[:1] == ["--write"]:
        for path in arguments[1:] or golden():
            with open(path[:-len(".hook")] + ".exp", "wb") as f:
                f.write(report(read(path)).encode())
        return 0
    if not arguments or arguments[0].startswith("-"):
        sys.stderr.write("usage: reference.py [--write] FILE.hook...\n")
        return 64
    for path in arguments:
        if len(arguments) > 1:
            sys.stdout.buffer.write(
                b"== " + os.path.basename(path).encode() + b"\n")
        sys.stdout.buffer.write(report(read(path)).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
