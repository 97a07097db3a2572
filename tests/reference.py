#!/usr/bin/env python3
"""From a hook to an observation, a second time, from the rules alone.

    reference.py FILE.hook...          print each file's observation
    reference.py --write FILE.hook...  write it to FILE.exp instead (without
                                       files: all of golden/)

A .hook file is header lines, an empty line and the raw body. build/tests/
observe prints the same lines; test by test, and with differential.py, the
two are held against each other. Nothing here is fast, or shared with the C
code.
"""
import glob
import hashlib
import json
import os
import re
import sys

DEFAULT_OBSERVE = ("issue.created issue.resolved issue.assigned "
                   "error.created event_alert.triggered metric_alert.*")
TITLE_POINTS = 1000
BODY_BYTES = 65535
ERROR_VALUE_BYTES = 8192
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


def mended(value, depth=1):
    if isinstance(value, (dict, list)) and depth > DEPTH:
        raise Unreadable("too deep")
    if isinstance(value, dict):
        return {whole(k): mended(v, depth + 1) for k, v in value.items()}
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
    """The same in the plan's unguarded templates: null is printed."""
    return "null" if value is None else text(value)


def filled(value):
    """A scalar's text that is not empty, or None."""
    return text(value) or None


def string(value):
    return value if isinstance(value, str) else None


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
    if len(raw) > 128 or re.search(rb"[^\x21-\x7e]", raw):
        return "sha256-" + hashlib.sha256(raw).hexdigest()[:32]
    return s


def installation_uuid(root):
    return filled(get(root, "data", "installation", "uuid")) \
        or string(get(root, "installation", "uuid"))


def natural_event(data, event, with_rule):
    event_id = filled(get(event, "event_id"))
    if event_id is None:
        return None
    tail = "event:" + part(event_id)
    rule = string(get(data, "triggered_rule")) if with_rule else None
    alert = filled(get(data, "issue_alert", "id")) if with_rule else None
    if rule:
        tail += ":rule:" + part(rule)
    if alert:
        tail += ":alert:" + part(alert)
    return tail


def natural_key(root, resource, action):
    data = get(root, "data")
    if resource == "error":
        return natural_event(data, get(data, "error"), False)
    if resource == "event_alert":
        return natural_event(data, get(data, "event"), True)
    if resource == "issue" and action == "created":
        parts = [action, filled(get(data, "issue", "id"))]
    elif resource == "comment":
        parts = [action, filled(get(data, "comment_id")),
                 filled(get(data, "timestamp"))]
    elif resource == "metric_alert":
        parts = [action, filled(get(data, "metric_alert", "id"))]
    elif resource == "installation":
        parts = [action, installation_uuid(root)]
    else:
        return None
    if not all(parts):
        return None
    if resource == "metric_alert":
        parts.append(newest_date(get(data, "metric_alert")) or "")
    return ":".join(part(p) for p in parts)


def key_tail(hook, root, resource, action):
    key = hook.get("Idempotency-Key", "")
    if re.fullmatch("[0-9a-fA-F]{32}", key):
        return "idempotency-key:" + key.lower()
    natural = natural_key(root, resource, action)
    if natural is not None:
        return natural
    if hook.get("Request-ID"):
        return "request-id:" + part(hook["Request-ID"])
    return "signature:%s:%s" % (
        part(hook.get("Signature", "0" * 64)),
        part(hook.get("Sentry-Hook-Timestamp", "")))


def dedupe_key(hook, root, resource, action):
    installation = string(get(root, "installation", "uuid")) or ""
    return ":".join((part(installation), resource,
                     key_tail(hook, root, resource, action)))


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

    def __init__(self, hook, root, resource, action):
        self.hook = hook
        self.root = root
        self.resource = resource
        self.action = action
        self.data = get(root, "data")
        self.issue = get(self.data, "issue")
        self.plan = resource == "issue"
        self.events = resource in ("error", "event_alert")
        self.alert = get(self.data, "metric_alert")
        self.envelope_actor = get(root, "actor")
        self.event = get(self.data, "error" if resource == "error"
                         else "event")
        self.release = self.release_from = None
        self.environment = text(get(self.event, "environment"))
        if self.plan or self.events:
            self.release = event_release(self.event)
            self.release_from = "event" if self.release else None
        if self.events and not self.environment:
            self.environment = tag(self.event, "environment")
        self.find_ids()
        self.find_project()
        self.rule = self.find_rule()

    def find_ids(self):
        self.short_id = self.level = None
        if self.events:
            self.issue_id = filled(get(self.event, "issue_id")) \
                or issue_in_url(get(self.event, "issue_url")) \
                or issue_in_url(get(self.event, "web_url"))
            self.level = text(get(self.event, "level"))
        else:
            self.issue_id = text(get(self.issue, "id"))
            if not is_object(self.issue):
                self.issue_id = filled(get(self.data, "issue_id")) \
                    or text(get(self.data, "group_id"))
            self.short_id = text(get(self.issue, "shortId"))
            self.level = text(get(self.issue, "level"))

    def find_project(self):
        self.project_id = self.project_slug = None
        if self.events:
            self.event_project()
        elif is_object(self.issue):
            self.project_id = text(get(self.issue, "project", "id"))
            self.project_slug = text(get(self.issue, "project", "slug"))
        else:
            projects = items(get(self.alert, "projects"))
            self.project_id = text(first(get(self.data, "project_id"),
                                         get(self.data, "projectId")))
            self.project_slug = text(first(
                get(self.data, "project_slug"),
                get(self.data, "projectSlug"),
                projects[0] if projects else None))

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
        return None

    def exceptions(self):
        return items(get(self.event, "exception", "values"))

    def raised(self):
        """The last exception with frames: Sentry lists causes first."""
        for value in reversed(self.exceptions()):
            if items(get(value, "stacktrace", "frames")):
                return value
        return GONE

    def has_stack_trace(self):
        return any(truthy(get(v, "stacktrace")) for v in self.exceptions())

    def occurred_at(self):
        candidates = []
        if self.plan:
            candidates = [moment(get(self.issue, "lastSeen"))]
        elif self.events:
            candidates = [moment(get(self.event, "datetime")),
                          moment_or_seconds(get(self.event, "timestamp"))]
        elif self.resource == "metric_alert":
            candidates = [newest_date(self.alert)]
        candidates.append(
            moment_seconds(self.hook.get("Sentry-Hook-Timestamp", "")))
        received = int(self.hook["Received"])
        candidates.append(calendar(received // 1000,
                                   ".%03d" % (received % 1000)))
        return next(c for c in candidates if c)

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
            return self.resource, filled(get(self.data, "run_id"))
        if self.resource == "preprod_artifact":
            return self.resource, filled(get(self.data, "buildId"))
        number = get(self.issue, "id")
        return "issue", shown(number) if self.plan else filled(number)


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
INSTALLATION_TITLES = {
    "created": "\U0001f50c [Installed]",
    "deleted": "\U0001f50c [Uninstalled]",
}
BEST_TITLES = (
    ("issue", "title"), ("event", "title"), ("error", "title"),
    ("description_title",), ("metric_alert", "title"), ("alert", "title"),
    ("title",), ("installation", "app", "slug"), ("appInfo", "name"),
    ("root_cause", "one_line_description"), ("root_cause", "description"),
    ("solution", "one_line_summary"), ("solution", "description"),
    ("comment",))


def best_title(s):
    for path in BEST_TITLES:
        found = filled(get(s.data, *path))
        if found:
            return found
    return None


def metric_title(s):
    return filled(get(s.data, "description_title")) \
        or filled(get(s.alert, "title"))


def emoji(s):
    return EMOJI.get(s.level, OTHER_EMOJI)


def issue_title(s):
    if s.action == "created":
        lead = emoji(s) + " [New Issue]"
    else:
        lead = ISSUE_TITLES.get(s.action, emoji(s))
    return lead, shown(get(s.issue, "title"))


def title_pieces(s):
    event_title = text(get(s.event, "title"))
    if s.resource == "issue":
        return issue_title(s)
    if s.resource == "error":
        return emoji(s), "[Error]", event_title
    if s.resource == "event_alert":
        return emoji(s), "[Alert]", s.rule and s.rule + ":", event_title
    if s.resource == "metric_alert" and s.action in METRIC_TITLES:
        return METRIC_TITLES[s.action], metric_title(s)
    if s.resource == "comment":
        comment = filled(get(s.data, "comment")) or ""
        return ("\U0001f4ac [Comment]",
                re.split("[\r\n]", comment, maxsplit=1)[0] or None)
    if s.resource == "installation" and s.action in INSTALLATION_TITLES:
        return (INSTALLATION_TITLES[s.action],
                filled(get(s.data, "installation", "app", "slug")))
    name = s.resource + " " + s.action if s.action else s.resource
    return OTHER_EMOJI, "[" + name + "]", best_title(s)


def title_of(s):
    pieces = (p for p in title_pieces(s) if p is not None)
    return cut_points(" ".join(pieces), TITLE_POINTS)


# ---- body -----------------------------------------------------------------

def type_line(kind, value):
    return "**%s**" % kind if value is None else "**%s**: %s" % (kind, value)


def line(form, *values):
    """A line, or none at all where one of its values is missing."""
    return None if None in values else form % values


def guarded(form, value):
    """The plan's `if (value)`."""
    return line(form, text(value)) if truthy(value) else None


def in_app(frames):
    """The newest three, newest first. Sentry writes in_app, the plan
    inApp."""
    own = [f for f in frames
           if truthy(first(get(f, "in_app"), get(f, "inApp")))]
    return own[-3:][::-1]


def frame_line(frame, location):
    function = first(text(get(frame, "function")), "(anonymous)")
    return "- `%s` at `%s`" % (function, location)


def plan_location(frame):
    filename, lineno = (shown(get(frame, n)) for n in ("filename", "lineno"))
    filename = "?" if filename is None else filename
    return filename if lineno is None else filename + ":" + lineno


def plan_frames(s):
    values = s.exceptions()
    frames = items(get(values[0], "stacktrace", "frames")) if values else []
    if not frames:
        return []
    return ["\n**Stack Trace** (top frames):"] + [
        frame_line(f, plan_location(f)) for f in in_app(frames)]


def issue_body(s):
    issue, metadata = s.issue, get(s.issue, "metadata")
    kind, title = get(metadata, "type"), shown(get(issue, "title"))
    if truthy(kind) and text(kind) is not None:
        value = get(metadata, "value")
        head = type_line(text(kind), title if nullish(value)
                         else text(value))
    else:
        head = line("**Error**: %s", title)
    return [
        head,
        guarded("\n**Location**: `%s`", get(issue, "culprit")),
        line("\n**Occurrences**: %s events affecting %s users",
             shown(get(issue, "count")), shown(get(issue, "userCount"))),
        line("**First seen**: %s", shown(get(issue, "firstSeen"))),
        line("**Last seen**: %s", shown(get(issue, "lastSeen"))),
        guarded("\n**Release**: %s", or_gone(s.release
                                             if s.release_from == "event"
                                             else None)),
        guarded("**Environment**: %s", get(s.event, "environment")),
        *plan_frames(s),
        line("\n**Platform**: %s", shown(get(issue, "platform"))),
    ]


def event_location(frame):
    filename = first(*(text(get(frame, n))
                       for n in ("filename", "abs_path", "module")), "?")
    lineno = text(get(frame, "lineno"))
    return filename if lineno is None else filename + ":" + lineno


def event_frames(s):
    frames = in_app(items(get(s.raised(), "stacktrace", "frames")))
    if not frames:
        return []
    return ["\n**Stack Trace** (top frames):"] + [
        frame_line(f, event_location(f)) for f in frames]


def event_head(s):
    title = text(get(s.event, "title"))
    exception = s.raised()
    if exception is GONE and s.exceptions():
        exception = s.exceptions()[-1]
    for source in (get(s.event, "metadata"), exception):
        kind, value = get(source, "type"), get(source, "value")
        if truthy(kind) and text(kind) is None:
            break
        if truthy(kind):
            return type_line(text(kind),
                             title if nullish(value) else text(value))
    return line("**Error**: %s", title)


def event_body(s):
    return [
        line("**Rule**: %s", s.rule if s.resource == "event_alert"
             else None),
        event_head(s),
        guarded("\n**Location**: `%s`", get(s.event, "culprit")),
        line("\n**Release**: %s", s.release),
        line("**Environment**: %s", s.environment or None),
        *event_frames(s),
        line("\n**Platform**: %s", filled(get(s.event, "platform"))),
    ]


def project_names(s):
    return [p for p in map(filled, items(get(s.alert, "projects"))) if p]


def metric_body(s):
    rule = get(s.alert, "alert_rule")
    return [
        line("**Metric alert**: %s",
             filled(get(s.data, "description_text")) or metric_title(s)),
        line("\n**Rule**: %s", filled(get(rule, "name"))),
        line("**Aggregate**: %s", filled(get(rule, "aggregate"))),
        line("**Query**: %s", filled(get(rule, "query"))),
        line("**Time window**: %s minutes", filled(get(rule,
                                                       "time_window"))),
        line("\n**Projects**: %s", ", ".join(project_names(s)) or None),
    ]


def installation_body(s):
    installation = get(s.data, "installation")
    return [
        line("**Organization**: %s",
             text(get(installation, "organization", "slug"))),
        line("**App**: %s", text(get(installation, "app", "slug"))),
        line("**Status**: %s", text(get(installation, "status"))),
    ]


def body_of(s):
    if s.plan:
        lines = issue_body(s)
    elif s.events:
        lines = event_body(s)
    elif s.resource == "metric_alert":
        lines = metric_body(s)
    elif s.resource == "comment":
        lines = [text(get(s.data, "comment"))]
    elif s.resource == "installation":
        lines = installation_body(s)
    else:
        lines = [best_title(s)]
    return cut_bytes("\n".join(n for n in lines if n is not None),
                     BODY_BYTES)


# ---- actor ----------------------------------------------------------------

def assignee_of(s):
    assignee = get(s.issue, "assignedTo")
    if s.action != "assigned" or not is_object(assignee):
        return None
    return {"id": "sentry:" + first(shown(get(assignee, "id")), "unknown"),
            "name": get(assignee, "name"), "email": get(assignee, "email")}


def user_of(s):
    user = get(s.event, "user")
    if not truthy(user):
        return None
    number, name, email = (get(user, n) for n in ("id", "username", "email"))
    return {"id": "user:" + first(text(first(number, email)), "unknown"),
            "name": first(name, email, "Unknown User"),
            "email": or_gone(first(email))}


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
    reference["url"] = or_gone(first(string(get(s.issue, "permalink")),
                                     string(get(s.issue, "web_url"))))
    return reference


def assignee_reference(s):
    assignee = get(s.issue, "assignedTo")
    if not is_object(assignee):
        return None
    return {"type": "assignee", "id": identity(get(assignee, "id"))}


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


def alert_rule(s):
    if s.resource == "event_alert":
        return s.rule
    return s.rule or filled(get(s.alert, "alert_rule", "id"))


def references_of(s):
    found = [
        plain("release", s.release),
        assignee_reference(s),
        sentry_issue(s),
        plain("commit", commit_in(s.release)),
        plain("resolved_in_release",
              filled(get(s.issue, "statusDetails", "inRelease"))),
        resolved_in_commit(s),
        plain("project", s.project_slug or s.project_id),
        plain("alert_rule", alert_rule(s)),
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
        "hasStackTrace": s.has_stack_trace(),
        "releaseFrom": or_gone(s.release_from),
        "substatus": extra(get(issue, "substatus")),
        "priority": extra(get(issue, "priority")),
        "issueType": extra(get(issue, "issueType")),
        "issueCategory": extra(get(issue, "issueCategory")),
        "resolutionType": extra(get(s.data, "resolution_type")),
        "triggeredBy": triggered_by(s),
    }


def event_metadata(s):
    event = s.event
    return {
        "issueId": or_gone(s.issue_id),
        "permalink": or_gone(string(get(event, "web_url"))),
        "projectSlug": or_gone(s.project_slug),
        "projectId": or_gone(s.project_id),
        "platform": or_gone(text(get(event, "platform"))),
        "level": or_gone(s.level),
        "release": s.release,
        "environment": s.environment,
        "errorType": nothing_as_null(get(event, "metadata", "type")),
        "errorValue": error_value(get(event, "metadata", "value")),
        "culprit": extra(get(event, "culprit")),
        "hasStackTrace": s.has_stack_trace(),
        "eventId": or_gone(text(get(event, "event_id"))),
        "releaseFrom": or_gone(s.release_from),
        "rule": or_gone(s.rule),
        "ruleId": or_gone(text(get(s.data, "issue_alert", "id"))),
        "triggeredBy": triggered_by(s),
    }


def metric_metadata(s):
    rule = get(s.alert, "alert_rule")
    projects = get(s.alert, "projects")
    return {
        "metricAlertId": or_gone(text(get(s.alert, "id"))),
        "identifier": or_gone(text(get(s.alert, "identifier"))),
        "status": extra(get(s.alert, "status")),
        "projectSlug": or_gone(s.project_slug),
        "projects": projects if isinstance(projects, list) else GONE,
        "rule": or_gone(text(get(rule, "name"))),
        "ruleId": or_gone(text(get(rule, "id"))),
        "aggregate": or_gone(text(get(rule, "aggregate"))),
        "query": or_gone(text(get(rule, "query"))),
        "timeWindow": extra(get(rule, "time_window")),
        "permalink": or_gone(text(get(s.data, "web_url"))),
        "triggeredBy": triggered_by(s),
    }


def comment_metadata(s):
    return {
        "commentId": or_gone(text(get(s.data, "comment_id"))),
        "issueId": or_gone(s.issue_id),
        "projectSlug": or_gone(s.project_slug),
        "commentedAt": or_gone(text(get(s.data, "timestamp"))),
        "triggeredBy": triggered_by(s),
    }


def installation_metadata(s):
    installation = get(s.data, "installation")
    return {
        "installationId": or_gone(text(get(installation, "uuid"))),
        "status": or_gone(text(get(installation, "status"))),
        "organizationSlug": or_gone(
            text(get(installation, "organization", "slug"))),
        "appSlug": or_gone(text(get(installation, "app", "slug"))),
        "triggeredBy": triggered_by(s),
    }


def other_metadata(s):
    return {
        "issueId": or_gone(s.issue_id),
        "shortId": or_gone(s.short_id),
        "permalink": or_gone(first(string(get(s.issue, "permalink")),
                                   string(get(s.issue, "web_url")))),
        "projectSlug": or_gone(s.project_slug),
        "projectId": or_gone(s.project_id),
        "level": or_gone(s.level),
        "groupId": or_gone(text(get(s.data, "group_id"))),
        "runId": or_gone(text(get(s.data, "run_id"))),
        "buildId": or_gone(text(get(s.data, "buildId"))),
        "triggeredBy": triggered_by(s),
    }


METADATA = {
    "issue": issue_metadata,
    "error": event_metadata,
    "event_alert": event_metadata,
    "metric_alert": metric_metadata,
    "comment": comment_metadata,
    "installation": installation_metadata,
}


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
        "metadata": METADATA.get(s.resource, other_metadata)(s),
    }


def unreadable(hook):
    resource = usable(hook.get("Sentry-Hook-Resource"))
    key = dedupe_key(hook, GONE, resource, None)
    return [("resource", resource or None), ("outcome", "unreadable"),
            *keys(key)]


def keys(key):
    return [("dedupe_key", key), ("event_id", "sentry-" + hashlib.sha256(
        key.encode()).hexdigest()[:32])]


def learn(s):
    """An issue hook without a release takes the one learned for it."""
    learned = s.hook.get("Learned-Release")
    if s.plan and s.release is None and s.issue_id and learned:
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
        return unreadable(hook), None
    action = string(get(root, "action"))
    resource, mismatch = which_resource(
        hook.get("Sentry-Hook-Resource"), get(root, "data"), action)
    observed = is_observed(hook.get("Observe", DEFAULT_OBSERVE), resource,
                           action)
    fields = [
        ("resource", resource or None),
        ("action", action),
        ("mismatch", "1" if mismatch else None),
        ("installation", string(get(root, "installation", "uuid"))),
        ("outcome", "observed" if observed else "ignored"),
        *keys(dedupe_key(hook, root, resource, action)),
    ]
    if not observed:
        return fields, None
    subject = Subject(hook, root, resource, action)
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
    here = os.path.dirname(os.path.abspath(__file__))
    return sorted(glob.glob(os.path.join(here, "golden", "*.hook")))


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
