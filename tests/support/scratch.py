"""Folders of this run, and files in them."""
import os
import shutil
import tempfile


def mounted_in(folder):
    """Whether something is mounted in it: those files are not ours."""
    with open("/proc/self/mountinfo") as f:
        return any((line.split()[4] + "/").startswith(folder + "/")
                   for line in f)


class Scratch:
    """Folders that are removed at the end, unless a test failed."""
    made = []

    @classmethod
    def new(cls, name="t"):
        folder = tempfile.mkdtemp(prefix=f"sentry-{name}-")
        os.chmod(folder, 0o755)
        cls.made.append(folder)
        return folder

    @classmethod
    def remove_all(cls):
        for folder in cls.made:
            if not mounted_in(folder):
                shutil.rmtree(folder, ignore_errors=True)


def write_file(path, content, mode=None):
    """Writes text or bytes; gives the path."""
    with open(path, "wb") as f:
        f.write(content.encode() if isinstance(content, str) else content)
    if mode is not None:
        os.chmod(path, mode)
    return path


def read_file(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()
