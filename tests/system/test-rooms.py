"""The structure of the code: which folder may use which, which file alone
includes which library, what is pure, and how long files and functions are.

A folder uses another when one of its files names a function, type, constant or
macro that a header of the other one declares, by whatever way that header was
included. A use that is not in the table is a decision: add it to the table, or
do without.
"""
import glob
import os
import re

from environment import SRC
from expect import equal
from tap import Tap

# ROOM: the rooms that it may use, besides itself.
ARROWS = {
    "lib/base": "",
    "lib/hook": "lib/base",
    "lib/store": "lib/base lib/hook",
    "lib/sink": "lib/base",
    "lib/deliver": "lib/base lib/store lib/sink",
    "lib/backfill": "lib/base lib/hook lib/store",
    "cgi/server": "lib/base",
    "cgi/worker": "lib/base lib/hook lib/store cgi/server",
    "cgi/page": "lib/base lib/store cgi/server",
    "tools": "lib/base lib/sink lib/deliver lib/backfill",
}

# A library's header: who alone may include it.
DOORS = {
    "json-c/json.h": "lib/base/json.c",
    "sodium.h": "lib/hook/secrets.c lib/hook/signature.c",
    "sqlite3.h": "lib/store/checkpoint.h lib/store/db_private.h "
                 "lib/store/migrate.h lib/store/sql.h",
    "curl/curl.h": "lib/backfill/api.c lib/sink/http_sink.c "
                   "lib/sink/http_url.c",
    "fcgiapp.h": "cgi/server/fcgi.c",
    "nats/nats.h": "lib/sink/nats_options.h lib/sink/nats_stream.c",
}

# Their results depend on their arguments alone.
PURE = ("lib/hook/*", "lib/base/ascii*", "lib/base/json*", "lib/base/span*",
        "lib/base/text*", "lib/base/timestamp*", "lib/base/log_limit*",
        "lib/sink/envelope*", "lib/sink/retry*", "lib/sink/row*",
        "lib/sink/http_batch*", "lib/sink/http_response*",
        "lib/sink/nats_subject*",
        "lib/deliver/in_flight*", "lib/backfill/api_headers*",
        "lib/backfill/change*", "lib/backfill/failures*",
        "lib/backfill/hook_body*", "lib/backfill/match*")
IMPURE = re.compile(
    r"(?<![\w>.])(fopen|open|read|write|stat|time|clock_\w+|gettimeofday"
    r"|getenv|pthread_\w+|printf|fprintf|syslog|rand|random)\(")

# What a file uses: types with their tag, other names where they could not be
# a variable's.
USED = re.compile(
    r"\b(?:(?:struct|enum|union)\s+\w+|[A-Z]\w+|\w+_\w+|\w+(?=\())")
# What a header declares: a type, a macro, a function, a constant of an enum.
DECLARED = re.compile(
    r"^((?:struct|enum|union)\s+\w+)\s*\{"
    r"|^#define\s+(\w+)"
    r"|^[a-z][\w \t*]*?[\s*](\w+)\("
    r"|^\t([A-Z]\w+)\b", re.M)

tap = Tap()


def sources(pattern="*/*/*", suffixes=".ch"):
    return sorted(p for p in glob.glob(pattern, root_dir=SRC, recursive=True)
                  if re.search(r"\.[%s]$" % suffixes.strip("."), p))


def read(path, code=False):
    """A file's text; as code, without comments and strings."""
    with open(os.path.join(SRC, path), encoding="utf-8") as f:
        text = f.read()
    if not code:
        return text
    return re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"', " ", text, flags=re.S)


def room_of(path):
    return os.path.dirname(path)


def files(room):
    return sources(room + "/*")


def declared_in(path):
    return {"".join(found)
            for found in DECLARED.findall(read(path, code=True))}


def names_of(room):
    """What the room's headers declare."""
    return set().union(*(declared_in(path) for path in files(room)
                         if path.endswith(".h")))


@tap.test("every file of ours stands in a room of the table")
def every_file_has_a_room():
    equal([p for p in sources("lib/**") + sources("cgi/**")
           if room_of(p) not in ARROWS], [])


def add_arrow_test(room, declared):
    @tap.test(f"{room} uses no more rooms than it may")
    def uses_what_it_may():
        strange = {}
        for path in files(room):
            words = set(USED.findall(read(path, code=True)))
            for other, names in declared.items():
                used = words & (names - declared[room])
                if other != room and other not in ARROWS[room].split() \
                        and used:
                    strange[path, other] = sorted(used)
        equal(strange, {})


DECLARATIONS = {room: names_of(room) for room in ARROWS}
for each in ARROWS:
    add_arrow_test(each, DECLARATIONS)


@tap.test("one file alone opens each library")
def one_door_a_library():
    equal({header: " ".join(
        p for p in sources("lib/*/*") + sources("cgi/*/*") + sources("tools/*")
        if f"#include <{header}>" in read(p)) for header in DOORS}, DOORS)


@tap.test("what is pure has no files, clocks, environment or locks")
def pure_files_are_pure():
    equal([pattern for pattern in PURE if not sources(pattern)], [])
    equal([(path, call) for pattern in PURE for path in sources(pattern)
           for call in IMPURE.findall(read(path, code=True))], [])


@tap.test("no name of a type, macro or function stands for two things")
def no_name_twice():
    seen, twice = {}, []
    for room in ARROWS:
        for path in files(room):
            if path.endswith(".c"):
                continue
            for name in declared_in(path):
                if seen.setdefault(name, path) != path:
                    twice.append((name, seen[name], path))
    equal(twice, [])


@tap.test("of the Python tests tests/support/outbox.py alone writes hooks and "
          "their rows into a database")
def one_file_writes_rows():
    equal([p for p in glob.glob("tests/*/*.py", root_dir=SRC) if re.search(
        r"INSERT INTO (webhook|outbox) ?\(", read(p))], [])


@tap.test("no file, function or line is too long")
def nothing_is_too_long():
    found = []
    for path in sources("lib/*/*") + sources("cgi/*/*") + sources("tools/*") \
            + sources("tests/*/*") + sources("fuzz/*"):
        begin = 0
        lines = read(path).split("\n")
        for number, line in enumerate(lines, 1):
            if len(line.expandtabs(8)) > 80:
                found.append((path, number, "wider than 80 columns"))
            if line.startswith("{"):
                begin = number
            if line.startswith("}") and begin:
                if number - begin > 61:
                    found.append((path, begin, "a function of over 60 lines"))
                begin = 0
        if len(lines) > 501 and not path.startswith(("tests", "fuzz")):
            found.append((path, "over 500 lines"))
    equal(found, [])


tap.run()
