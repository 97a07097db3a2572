"""Processes that end when the tests end, whatever happens."""
import ctypes
import os
import signal
import subprocess

from environment import (LIMIT, MEMORY_ERROR, PROGRAM, WRAPPER,
                         clean_environment, strip_valgrind)
from expect import until

RUNNING = []        # every process that was started and not yet waited for
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1

# A shell script that starts the tests with & makes them ignore Ctrl-C, and
# the processes that they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    # Under nohup the tests ignore it, and the process would inherit that.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def start_process(argv, **how):
    """Starts a process in a group of its own, which gets SIGTERM if this
    process dies. For the main thread only: the kernel sends that signal when
    the thread that forked ends."""
    how.setdefault("stdin", subprocess.DEVNULL)
    how.setdefault("start_new_session", True)
    process = subprocess.Popen(argv, preexec_fn=die_with_parent, **how)
    RUNNING.append(process)
    return process


def finish_process(process):
    """Waits for a process that was told to end; kills it if it does not."""
    try:
        code = process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
        raise AssertionError(f"process {process.pid} did not end")
    finally:
        if process in RUNNING and process.returncode is not None:
            RUNNING.remove(process)
    return code


def stop_process(process):
    """Sends SIGTERM and waits; gives the exit status."""
    process.terminate()
    return finish_process(process)


def pause_process(process):
    """Stops all of its threads at whatever they do, until SIGCONT."""
    tasks = f"/proc/{process.pid}/task"

    def state(task):
        with open(f"{tasks}/{task}/stat") as f:
            return f.read().rpartition(")")[2].split()[0]

    process.send_signal(signal.SIGSTOP)
    for task in os.listdir(tasks):
        until(lambda: state(task) == "T", f"thread {task} does not stop")


def stop_everything():
    for process in list(RUNNING):
        try:
            stop_process(process)
        except AssertionError:
            pass
        # Children that it leaves (fcgiwrap's) keep the test's output open.
        try:
            os.killpg(process.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass


def run_program(*options, env=None, stdin=b"", cwd=None, wrapper=True):
    """Runs the worker to its end; gives CompletedProcess with text."""
    argv = (WRAPPER if wrapper else []) + [PROGRAM, *options]
    done = subprocess.run(argv, input=stdin, capture_output=True, cwd=cwd,
                          env=clean_environment(env), timeout=LIMIT)
    done.stdout = done.stdout.decode("utf-8", "replace")
    done.stderr = done.stderr.decode("utf-8", "replace")
    assert not MEMORY_ERROR.search(done.stderr), done.stderr
    done.stderr = strip_valgrind(done.stderr)
    return done


def has_open(process, path):
    """Whether it has opened the file that has this name now."""
    folder = f"/proc/{process.pid}/fd/"
    return os.path.exists(path) and any(
        os.path.exists(folder + fd) and os.path.samefile(folder + fd, path)
        for fd in os.listdir(folder))


def cpu_seconds(process):
    """Seconds of processor time that it has used."""
    with open(f"/proc/{process.pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
