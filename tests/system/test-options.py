#!/usr/bin/env python3
"""The command line and the environment, the socket, the secrets file, and
the programs' modes that do not serve: --check and --verify."""
import hashlib
import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import time

from database import query, shell_ok
from environment import MEMORY_ERROR, PROGRAM, SLOW, WRAPPER, clean_environment
from expect import equal, until
from fastcgi import (fcgi, fcgi_answer, fcgi_request, params, post_params,
                     post_request)
from hooks import SECRET, compact, issue, sign, signed
from process import finish_process, run_program, start_process
from scratch import Scratch, write_file
from sockets import connect, free_port, listening_socket, read_all
from tap import Tap, need_program
from worker import Worker

need_program()
tap = Tap()
BODY = compact(issue())


def one_line(text):
    assert text.endswith("\n") and text.count("\n") == 1, repr(text)
    assert text.strip(), "an empty line"


def no_secret(done, *secrets):
    for secret in (SECRET, *secrets):
        assert secret not in done.stdout + done.stderr, done


# ---- the command line ----------------------------------------------------

@tap.test("--help tells every option and exits 0")
def help_lists_options():
    done = run_program("--help")
    equal((done.returncode, done.stderr), (0, ""))
    for option in ("--secret-file", "--db", "--socket", "--socket-mode",
                   "--threads", "--max-body", "--spool", "--commit-wait",
                   "--observe", "--check", "--verify", "--signature",
                   "--version", "--help", "SENTRY_CLIENT_SECRET"):
        assert option in done.stdout, option
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


@tap.test("--version names the program and exits 0")
def version_names_program():
    done = run_program("--version")
    equal((done.returncode, done.stderr), (0, ""))
    one_line(done.stdout)
    assert re.match(r"sentry-webhooks \(?\w*\)? ?\d+\.\d+", done.stdout)


@tap.table("{} wins over an environment that makes no sense", [
    ("--help",), ("--version",), ("--hel",), ("--vers",)])
def option_wins_over_bad_environment(option):
    done = run_program(option, env={
        "SENTRY_CLIENT_SECRET_FILE": "/no/such", "SENTRY_WEBHOOKS_DB": "/",
        "SENTRY_WEBHOOKS_THREADS": "x"})
    equal((done.returncode, done.stderr), (0, ""))
    assert "sentry-webhooks" in done.stdout


HERE = Scratch.new("options")
SOCKET = os.path.join(HERE, "s")
BAD_LINES = [
    ("an unknown option", ["--nonsense"]),
    ("an unknown short option", ["-z"]),
    ("an argument that is none", ["argument"]),
    ("an option without its value", ["--db"]),
    ("--help with a value", ["--help=x"]),
    ("--threads of 0", ["--threads", "0"]),
    ("--threads of -1", ["--threads", "-1"]),
    ("--threads of letters", ["--threads", "many"]),
    ("--threads of nothing", ["--threads", ""]),
    ("--threads with a tail", ["--threads", "4x"]),
    ("--threads with a blank", ["--threads", " 4"]),
    ("--threads of 20 digits", ["--threads", "9" * 20]),
    ("--threads of a million", ["--threads", "1000000"]),
    ("--threads of a fraction", ["--threads", "1.5"]),
    ("--max-body of 0", ["--max-body", "0"]),
    ("--max-body of -1", ["--max-body", "-1"]),
    ("--max-body of 8m", ["--max-body", "8m"]),
    ("--max-body of 2^64", ["--max-body", str(2**64)]),
    ("--commit-wait of -1", ["--commit-wait", "-1"]),
    ("--commit-wait of 1s", ["--commit-wait", "1s"]),
    ("--commit-wait of 2^63", ["--commit-wait", str(2**63)]),
    ("--socket-mode of 888", ["--socket-mode", "888"]),
    ("--socket-mode of rw", ["--socket-mode", "rw"]),
    ("--socket-mode of 10000", ["--socket-mode", "10000"]),
    ("--socket-mode of -1", ["--socket-mode", "-1"]),
    ("--socket-mode of nothing", ["--socket-mode", ""]),
    ("--socket of nothing", ["--socket", ""]),
    ("--db of nothing", ["--db", ""]),
    ("--spool of nothing", ["--spool", ""]),
    ("--socket of a port that is none", ["--socket", "127.0.0.1:99999"]),
    ("--observe of a name without an action", ["--observe", "issue"]),
    ("--verify without --signature", ["--verify"]),
    ("--signature without --verify", ["--signature", "0" * 64]),
    ("--check with --retry-bad", ["--check", "--retry-bad"]),
    ("--retry-bad with --check", ["--retry-bad", "--check"]),
    ("--check with --reprocess", ["--check", "--reprocess", "--all"]),
    ("--check with --verify", ["--check", "--verify", "--signature",
                               "0" * 64]),
    ("a number with a newline in it", ["--threads", "4\nx"]),
    ("an unknown option with a newline", ["--x\ny"]),
]


@tap.table("{} exits 64 with one line", BAD_LINES)
def bad_usage(name, words):
    done = run_program("--socket", SOCKET, *words, cwd=HERE,
                       env={"SENTRY_CLIENT_SECRET": SECRET})
    equal((done.returncode, done.stdout), (64, ""), done.stderr)
    one_line(done.stderr)
    no_secret(done)
    equal(os.listdir(HERE), [], "left behind")


@tap.table("of {} the message names the word, and no other", [
    ("a cluster of letters behind a name", ["--erase-person", "kai@here",
                                            "-yn"], "-yn"),
    ("a cluster alone", ["-yn"], "-yn"), ("a letter", ["-y", "--yes"], "-y")])
def refused_word_is_named(_, words, named):
    done = run_program(*words, cwd=HERE)
    equal(done.returncode, 64)
    assert f"`{named}' is no option" in done.stderr, done.stderr
    assert "kai" not in done.stderr, done.stderr


@tap.table("{} in the environment exits 64 with one line", [
    ("bad THREADS", {"SENTRY_WEBHOOKS_THREADS": "x"}),
    ("bad MAX_BODY", {"SENTRY_WEBHOOKS_MAX_BODY": "8m"}),
    ("bad COMMIT_WAIT", {"SENTRY_WEBHOOKS_COMMIT_WAIT": "-5"}),
    ("bad SOCKET_MODE", {"SENTRY_WEBHOOKS_SOCKET_MODE": "999"}),
    ("bad OBSERVE", {"SENTRY_WEBHOOKS_OBSERVE": "issue"}),
])
def bad_environment(name, env):
    done = run_program("--socket", SOCKET, env={
        "SENTRY_CLIENT_SECRET": SECRET, **env}, cwd=HERE)
    equal((done.returncode, done.stdout), (64, ""), done.stderr)
    one_line(done.stderr)
    assert list(env)[0] in done.stderr or "--" in done.stderr, done.stderr
    no_secret(done)


@tap.test("without --socket and without a socket on fd 0 it says so")
def no_socket():
    done = run_program("--db", HERE + "/x.db",
                       env={"SENTRY_CLIENT_SECRET": SECRET}, cwd=HERE)
    assert done.returncode not in (0, None), done
    one_line(done.stderr.splitlines(True)[-1])
    no_secret(done)


@tap.test("an option wins over its environment variable")
def option_wins_over_environment():
    folder = Scratch.new("wins")
    w = Worker("--max-body", "100", "--threads", "2", folder=folder, env={
        "SENTRY_WEBHOOKS_DB": "/no/such/folder/o.db",
        "SENTRY_WEBHOOKS_SOCKET": "/no/such/folder/s",
        "SENTRY_CLIENT_SECRET_FILE": "/no/such/file",
        "SENTRY_WEBHOOKS_MAX_BODY": "999999",
        "SENTRY_WEBHOOKS_THREADS": "not even a number"})
    equal(w.send(BODY).status, 413)
    equal(w.send({"action": "x"}).status, 200)


@tap.test("the environment alone is enough")
def environment_is_enough():
    folder = Scratch.new("env")
    secret = write_file(folder + "/secret", SECRET)
    path = folder + "/socket"
    process = start_process(
        WRAPPER + [PROGRAM], cwd=folder, stderr=subprocess.DEVNULL,
        env=clean_environment({
            "SENTRY_CLIENT_SECRET_FILE": secret, "STATE_DIRECTORY": folder,
            "SENTRY_WEBHOOKS_SOCKET": path,
            "SENTRY_WEBHOOKS_SOCKET_MODE": "0600"}))
    until(lambda: os.path.exists(path))
    until(lambda: alive(path))
    equal(stat.S_IMODE(os.stat(path).st_mode), 0o600)
    answer = fcgi(path, post_params(BODY, signed(BODY)), BODY)
    equal(answer.status, 200)
    equal(query(folder + "/outbox.db",
                "SELECT count(*) FROM webhook")[0][0], 1)
    process.terminate()
    equal(finish_process(process), 0)


@tap.test("the credentials directory gives the secret file when nothing does")
def credentials_directory():
    folder = Scratch.new("credentials")
    write_file(folder + "/sentry-client-secret", SECRET + "\n")
    w = Worker(secret=None, env={"CREDENTIALS_DIRECTORY": folder})
    equal(w.send(BODY).status, 200)
    w = Worker(secret=None, env={"CREDENTIALS_DIRECTORY": folder,
                                 "SENTRY_CLIENT_SECRET": "the-next"})
    equal(w.send(BODY).status, 200)
    equal(w.send(BODY, secret="the-next").status, 200)
    w = Worker(secret=None, env={"CREDENTIALS_DIRECTORY": "/no/such"})
    equal(w.send(BODY).status, 500)


def alive(path):
    try:
        return fcgi(path, params("GET"), timeout=2).status == 200
    except OSError:
        return False


# ---- the socket ----------------------------------------------------------

@tap.test("a stale socket file is replaced")
def stale_socket_is_replaced():
    folder = Scratch.new("stale")
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(folder + "/socket")
    stale.close()
    w = Worker(folder=folder)
    equal(w.get().status, 200)
    w.kill()                    # leaves its own behind
    assert os.path.exists(w.socket)
    w.start()
    equal(w.get().status, 200)


def refuses(folder, *options):
    """The worker must end with one clear line; gives it."""
    write_file(folder + "/secret", SECRET)
    done = run_program("--secret-file", folder + "/secret", "--db",
                       folder + "/second.db", *options)
    assert done.returncode not in (0, None), done
    assert done.stderr.strip(), "no word about it"
    no_secret(done)
    return done.stderr


@tap.test("a live socket is refused, and goes on answering")
def live_socket_is_refused():
    w = Worker()
    said = refuses(w.folder, "--socket", w.socket)
    assert w.socket in said, said
    equal(w.get().status, 200)
    w.stop()


@tap.test("a busy live socket with a full backlog is refused too")
def busy_socket_is_refused():
    folder = Scratch.new("busy")
    live = socket.socket(socket.AF_UNIX)
    live.bind(folder + "/socket")
    live.listen(0)
    crowd = []
    for _ in range(4):
        s = socket.socket(socket.AF_UNIX)
        s.setblocking(False)
        try:
            s.connect(folder + "/socket")
        except BlockingIOError:
            pass
        crowd.append(s)
    refuses(folder, "--socket", folder + "/socket")
    assert stat.S_ISSOCK(os.stat(folder + "/socket").st_mode)
    for s in crowd + [live]:
        s.close()


@tap.table("{} in the socket's place is refused and untouched", [
    ("a file", lambda p: write_file(p, "precious")),
    ("an empty file", lambda p: write_file(p, "")),
    ("a folder", os.mkdir),
    ("a link to a file", lambda p: os.symlink(write_file(
        p + "-real", "precious"), p)),
    ("a fifo", os.mkfifo),
])
def other_file_is_refused(name, make):
    folder = Scratch.new("way")
    path = folder + "/socket"
    make(path)
    before = os.lstat(path)
    said = refuses(folder, "--socket", path)
    assert path in said, said
    after = os.lstat(path)
    equal((after.st_ino, after.st_mode, after.st_size),
          (before.st_ino, before.st_mode, before.st_size))


@tap.test("a socket in a folder that is missing is refused with its path")
def missing_folder_is_refused():
    folder = Scratch.new("missing")
    assert folder in refuses(folder, "--socket", folder + "/no/socket")


@tap.test("a socket's path that is too long is refused, never cut")
def long_path_is_refused():
    folder = Scratch.new("long")
    refuses(folder, "--socket", folder + "/" + "s" * 200)
    equal(sorted(f for f in os.listdir(folder) if f.startswith("s")
                 and not f.startswith("sec")), [])


@tap.table("the socket's mode is {}", [
    ("0660 by default", [], None, 0o660),
    ("what --socket-mode says", ["--socket-mode", "0600"], None, 0o600),
    ("octal without a zero", ["--socket-mode", "666"], None, 0o666),
    ("what the environment says", [], "0606", 0o606),
])
def socket_mode(name, options, env, mode):
    old = os.umask(0o077)
    try:
        w = Worker(*options, env=env and {"SENTRY_WEBHOOKS_SOCKET_MODE": env})
    finally:
        os.umask(old)
    equal(stat.S_IMODE(os.stat(w.socket).st_mode), mode)
    w.stop()


@tap.test("HOST:PORT listens on TCP")
def tcp_socket():
    folder = Scratch.new("tcp")
    secret = write_file(folder + "/secret", SECRET)
    port = free_port()
    process = start_process(
        WRAPPER + [PROGRAM, "--db", folder + "/o.db", "--secret-file",
                   secret, "--socket", f"127.0.0.1:{port}"],
        env=clean_environment(), stderr=subprocess.DEVNULL)

    def answer():
        assert process.poll() is None, "it ended"
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as s:
                s.sendall(fcgi_request(params("GET")))
                return fcgi_answer(read_all(s)).status == 200
        except OSError:
            return False
    until(answer)
    process.terminate()
    equal(finish_process(process), 0)


@tap.test("a socket file that another worker took over is not removed")
def foreign_socket_is_not_removed():
    first = Worker()
    os.unlink(first.socket)
    second = Worker(folder=first.folder)
    equal(first.stop(), 0)
    equal(second.get().status, 200)
    second.stop()
    assert not os.path.exists(second.socket)


@tap.table("{} takes the socket's path away, then serves what waits", [
    (s.name, s) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)])
def end_signal_closes_socket_first(_name, number):
    w = Worker("--threads", "1")
    data = post_request(BODY, signed(BODY))
    with connect(w.socket) as served, connect(w.socket) as waits:
        served.sendall(data[:-200])
        waits.sendall(data)
        w.expected = True
        w.process.send_signal(number)
        until(lambda: not os.path.exists(w.socket), "the path stays")
        served.sendall(data[-200:])
        for s in (served, waits):
            equal(fcgi_answer(read_all(s)).status, 200)
    equal(finish_process(w.process), 0)


def ticks(process):
    with open(f"/proc/{process.pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


@tap.table("an inherited socket that {} costs no time while nothing comes", [
    ("is non-blocking", lambda s: s.setblocking(False)),
    ("was shut down", lambda s: s.shutdown(socket.SHUT_RD))])
def idle_inherited_socket(name, spoil):
    listen = listening_socket(Scratch.new("idle") + "/socket")
    first = Worker(listen=listen)
    spoil(listen)
    w = Worker(listen=listen, wait=False)
    first.stop()
    if "non" in name:
        until(w.answers)
    else:
        until(lambda: "event=start" in w.log())
    before = ticks(w.process)
    time.sleep(1)
    assert ticks(w.process) - before < 20 * SLOW, "it spins"
    equal(w.stop(), 0)
    listen.close()


@tap.test("with nothing but fd 0, as FastCGI starts it, no log goes astray")
def only_fd_0():
    folder = Scratch.new("bare")
    secret = write_file(folder + "/secret", SECRET)
    listen = listening_socket(folder + "/socket")
    process = start_process(
        ["sh", "-c", 'exec "$@" 1>&- 2>&-', "sh", PROGRAM, "--db",
         folder + "/o.db", "--secret-file", secret], stdin=listen.fileno(),
        env=clean_environment())
    answer = fcgi(folder + "/socket", post_params(BODY, signed(BODY)), BODY)
    equal(answer.status, 200)
    for fd in "12":
        equal(os.readlink(f"/proc/{process.pid}/fd/{fd}"), "/dev/null")
    process.terminate()
    equal(finish_process(process), 0)
    listen.close()


@tap.test("a terminal that hangs up is nothing to it under nohup")
def nohup_keeps_it():
    w = Worker()
    w.stop()
    w.argv.insert(0, "nohup")
    w.start()
    w.process.send_signal(signal.SIGHUP)
    equal(w.stop(), 0)
    # It is the first of two signals that it would have heard of.
    assert "Terminated" in w.log() and "Hangup" not in w.log(), w.log()


# ---- --check -------------------------------------------------------------

def check(*options, secret=SECRET, folder=None, env=None):
    folder = folder or Scratch.new("check")
    write_file(folder + "/secret", secret)
    done = run_program("--check", "--db", folder + "/o.db", "--secret-file",
                       folder + "/secret", "--socket", folder + "/s",
                       *options, env=env)
    if secret.strip():
        no_secret(done, secret.strip())
    lines = (done.stdout + done.stderr).strip().splitlines()
    assert 1 <= len(lines) <= 30, lines
    return done


@tap.test("--check of a good set-up says a few lines and exits 0")
def check_good_setup():
    done = check()
    equal(done.returncode, 0, done)
    assert len(done.stdout.splitlines()) >= 2, done


@tap.table("--check exits 1 with {}", [
    ("no secret", dict(secret="")),
    ("a secret file of comments", dict(secret="# x\n")),
    ("a database in a missing folder", dict(options=[
        "--db", "/no/such/folder/o.db"])),
    ("a spool that is a file", dict(options=["--spool", "/etc/passwd"])),
    ("a secret file that is missing", dict(options=[
        "--secret-file", "/no/such/secret"])),
    ("a database that is a folder", dict(options=["--db", "/tmp"])),
])
def check_bad_setup(name, how):
    done = check(*how.get("options", []), secret=how.get("secret", SECRET))
    equal(done.returncode, 1, done)


@tap.test("--check takes an empty file for a database to be made")
def check_empty_database():
    folder = Scratch.new("check-empty")
    write_file(folder + "/o.db", "")
    equal(check(folder=folder).returncode, 0)
    equal(os.path.getsize(folder + "/o.db"), 0)


@tap.test("--check exits 1 where another listens, on a path or a port")
def check_busy_socket():
    w = Worker()
    equal(check("--socket", w.socket).returncode, 1)
    with socket.create_server(("127.0.0.1", 0)) as other:
        place = "127.0.0.1:%d" % other.getsockname()[1]
        equal(check("--socket", place).returncode, 1)
    equal(check("--socket", place).returncode, 0)
    w.stop()


@tap.test("--check exits 1 for a database that is none")
def check_bad_database():
    folder = Scratch.new("garbage")
    write_file(folder + "/o.db", os.urandom(8192))
    equal(check(folder=folder).returncode, 1)


# ---- --verify ------------------------------------------------------------

SECRETS = f"old 0ld5ecret0ld5ecret\ncurrent {SECRET}\n"


def verify(signature, data, *options, secrets=SECRETS, by_file=True):
    folder = Scratch.new("verify")
    path = write_file(folder + "/secret", secrets)
    words = ["--secret-file", path, "--verify", "--signature", signature,
             *options]
    if by_file:
        words.append(write_file(folder + "/body", data))
    done = run_program(*words, stdin=b"" if by_file else data, cwd=folder)
    no_secret(done, "0ld5ecret0ld5ecret", SECRET.upper())
    equal(sorted(os.listdir(folder)),
          ["body", "secret"] if by_file else ["secret"])
    return done


def said(done, code, *words):
    text = (done.stdout + done.stderr).lower()
    equal(done.returncode, code, text)
    assert text.strip(), "nothing was said"
    for word in words:
        assert re.search(word, text), (word, text)


@tap.test("--verify names the secret that matches, from a file or a pipe")
def verify_names_secret():
    said(verify(sign(BODY), BODY), 0, "current")
    said(verify(sign(BODY), BODY, by_file=False), 0, "current")
    said(verify(sign(BODY).upper(), BODY), 0, "current")
    said(verify(sign(BODY, "0ld5ecret0ld5ecret"), BODY), 0, "old")


PRETTY = json.dumps(json.loads(BODY), indent=2).encode()
UTF8 = json.dumps(json.loads(BODY), separators=(",", ":"),
                  ensure_ascii=False).encode()


@tap.table("--verify tells {}", [
    ("a final newline that was added", sign(BODY), BODY + b"\n",
     "newline"),
    ("a final newline that is missing", sign(BODY + b"\n"), BODY,
     "newline"),
    ("JSON that was printed prettily", sign(BODY), PRETTY, "json"),
    ("JSON printed prettily with a newline", sign(BODY),
     PRETTY + b"\n", "json"),
    ("JSON that was written again as UTF-8", sign(BODY), UTF8, "json"),
    ("a secret that was decoded from hex", __import__("hmac").new(
        bytes.fromhex(SECRET), BODY, "sha256").hexdigest(), BODY, "hex"),
    ("a secret in upper case", sign(BODY, SECRET.upper()), BODY,
     "upper"),
    ("a secret with a newline after it", sign(BODY, SECRET + "\n"),
     BODY, "white ?space|newline|blank"),
    ("a secret with a blank after it", sign(BODY, SECRET + " "), BODY,
     "white ?space|space|blank"),
])
def verify_explains(name, signature, data, word):
    said(verify(signature, data), 1, word)


@tap.table("--verify says that nothing matches for {}", [
    ("another secret", sign(BODY, "nobody's"), BODY),
    ("another body", sign(b"{}"), BODY),
    ("a signature of zeros", "0" * 64, BODY),
    ("an empty body", "0" * 64, b""),
    ("a body of 9 MB", "0" * 64, b"x" * 9000000),
    ("a body that is no JSON", "0" * 64, b"\xff\0{"),
])
def verify_finds_nothing(name, signature, data):
    said(verify(signature, data), 1)


@tap.table("--verify refuses a signature of {}", [
    ("63 digits", "0" * 63), ("no digits", "g" * 64), ("nothing", "")])
def verify_refuses_signature(name, signature):
    done = verify(signature, BODY)
    assert done.returncode in (1, 64), done
    assert done.stderr.strip() or done.stdout.strip()


@tap.test("--verify of a file that is missing, or without secret, exits 1")
def verify_without_file():
    done = run_program("--verify", "--signature", "0" * 64, "/no/such/file",
                       env={"SENTRY_CLIENT_SECRET": SECRET})
    assert done.returncode not in (0, None), done
    assert "/no/such/file" in done.stderr
    done = run_program("--verify", "--signature", "0" * 64, stdin=BODY)
    assert done.returncode not in (0, None), done
    assert done.stderr.strip()


# ---- the secrets file ----------------------------------------------------

def accepts(w, secret):
    status = w.send(secret=secret).status
    assert status in (200, 401), status
    return status == 200


def in_place(path, text):
    write_file(path, text)


def renamed(path, text):
    write_file(path + ".new", text)
    os.rename(path + ".new", path)


@tap.table("a secrets file changed {} is read with no restart", [
    ("in place", in_place), ("by rename", renamed)])
def changed_secrets_are_read(name, change):
    w = Worker(secret="one1one1one1")
    for old, new in (("one1one1one1", "two2two2two2"),
                     ("two2two2two2", "longer-secret-3"),
                     ("longer-secret-3", "one1one1one1")):
        assert accepts(w, old) and not accepts(w, new)
        change(w.secret_file, f"# rotated\n{new}\n")
        until(lambda: accepts(w, new), f"{new} is never good")
        assert not accepts(w, old), old
    change(w.secret_file, "a one1one1one1\nb two2two2two2\n")
    until(lambda: accepts(w, "two2two2two2"))
    assert accepts(w, "one1one1one1")
    w.stop()


@tap.test("a secrets file behind a link that is moved is read again")
def moved_link_is_read():
    folder = Scratch.new("link")
    for n in "12":
        os.mkdir(folder + "/" + n)
        write_file(f"{folder}/{n}/secret", f"secret-{n}\n")
    os.symlink(folder + "/1", folder + "/now")
    w = Worker("--secret-file", folder + "/now/secret", secret=None)
    assert accepts(w, "secret-1")
    os.symlink(folder + "/2", folder + "/next")
    os.rename(folder + "/next", folder + "/now")
    until(lambda: accepts(w, "secret-2"))
    assert not accepts(w, "secret-1")
    w.stop()


def emptied(path):
    write_file(path, "")


def only_comments(path):
    write_file(path, "# nothing\n\n")


def a_folder(path):
    os.unlink(path)
    os.mkdir(path)


def binary(path):
    write_file(path, b"\0\0\0\0\n")


def chance(path):
    write_file(path, os.urandom(4096))


def too_short(path):
    write_file(path, "x\n")


def swapped(path):
    write_file(path, f"{SECRET} production\n")


def in_part(path):
    write_file(path, "another-good-secret\nx\n")


def a_fifo(path):
    os.unlink(path)
    os.mkfifo(path)


@tap.table("a secrets file that is {} keeps the last good secrets", [
    ("emptied", emptied), ("removed", os.unlink), ("made a folder",
                                                   a_folder),
    ("nothing but comments", only_comments), ("binary", binary),
    ("bytes of chance", chance), ("one byte", too_short),
    ("good in part", in_part), ("a FIFO", a_fifo),
    ("swapped, the secret before its name", swapped)])
def bad_secrets_keep_last(name, spoil):
    w = Worker(secret="good-secret")
    assert accepts(w, "good-secret")
    spoil(w.secret_file)
    end = time.monotonic() + 1.5        # long enough to notice the change
    while time.monotonic() < end:
        assert accepts(w, "good-secret")
        assert not accepts(w, "production")
        time.sleep(0.05)
    assert SECRET not in w.log(), "a secret is in the log"
    if os.path.isdir(w.secret_file):
        os.rmdir(w.secret_file)
    elif spoil is a_fifo:
        os.unlink(w.secret_file)
    write_file(w.secret_file, "next-secret\n")
    until(lambda: accepts(w, "next-secret"))
    assert not accepts(w, "good-secret")
    w.stop()


@tap.test("a secrets file that comes later is read with no restart")
def late_secrets_are_read():
    folder = Scratch.new("later")
    path = folder + "/secret"
    w = Worker("--secret-file", path, secret=None)
    equal(w.send(BODY).status, 500)
    write_file(path, SECRET + "\n")
    until(lambda: w.send(BODY).status == 200)
    w.stop()


# ---- databases that are not ours -----------------------------------------

def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def not_ours(folder, word):
    """The file stays as it is, --check exits 1, serving says why."""
    path = folder + "/o.db"
    before = digest(path)
    done = check(folder=folder)
    equal(done.returncode, 1, done)
    text = done.stdout + done.stderr
    assert re.search(word, text, re.I), text
    write_file(folder + "/secret", SECRET)
    log = open(folder + "/log", "wb")
    process = start_process(
        WRAPPER + [PROGRAM, "--db", path, "--secret-file",
                   folder + "/secret", "--socket", folder + "/s"],
        env=clean_environment(), stderr=log)
    until(lambda: process.poll() is not None or re.search(
        word, open(folder + "/log").read(), re.I), "nothing was said")
    if process.poll() is None:
        process.terminate()
        finish_process(process)
    else:
        finish_process(process)
        assert process.returncode != 0
    text = open(folder + "/log").read()
    assert re.search(word, text, re.I), text
    assert not MEMORY_ERROR.search(text), text
    equal(digest(path), before, "the file was touched")


@tap.test("a database of a newer version is refused and untouched")
def newer_database_is_refused():
    w = Worker()
    w.send(BODY)
    w.stop()
    folder = Scratch.new("newer")
    shell_ok(w.db, "PRAGMA wal_checkpoint(TRUNCATE);PRAGMA user_version = 999")
    shell_ok(w.db, f"VACUUM INTO '{folder}/o.db'")
    equal(shell_ok(folder + "/o.db", "PRAGMA user_version"), "999\n")
    not_ours(folder, "newer|version")


@tap.test("another application's database is refused and untouched")
def foreign_database_is_refused():
    for pragma in ("application_id = 1", "user_version = 1",
                   "user_version = 0"):
        folder = Scratch.new("other")
        db = sqlite3.connect(folder + "/o.db")
        db.execute("CREATE TABLE precious (x)")
        db.execute("INSERT INTO precious VALUES (1)")
        db.execute("PRAGMA " + pragma)
        db.commit()
        db.close()
        not_ours(folder, "o\\.db|database")


@tap.test("a file that is no database is refused and untouched")
def not_a_database_is_refused():
    folder = Scratch.new("text")
    write_file(folder + "/o.db", "Dear diary, this is no database.\n" * 200)
    not_ours(folder, "o\\.db|database")


@tap.test("an empty file becomes a database")
def empty_file_becomes_database():
    folder = Scratch.new("empty")
    write_file(folder + "/outbox.db", "")
    w = Worker(folder=folder)
    equal(w.send(BODY).status, 200)
    equal(w.value("SELECT count(*) FROM webhook"), 1)
    w.stop()


@tap.test("a restart keeps the rows, and needs no migration")
def restart_keeps_rows():
    w = Worker()
    w.send(BODY)
    w.stop()
    w.start()
    equal(w.send(BODY).status, 200)
    equal([tuple(r) for r in w.rows("SELECT seen FROM webhook")], [(2,)])
    equal(w.stop(), 0)


tap.run()
