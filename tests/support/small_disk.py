"""File systems of few bytes, for tests that may mount one."""
import os
import shutil
import subprocess

from scratch import Scratch
from tap import Skip


def write_until_full(file, *sizes):
    """Writes blocks of each size until none fits."""
    for size in sizes:
        try:
            while file.write(b"x" * size):
                pass
        except OSError:
            pass


class Disk:
    """A tmpfs."""

    def __init__(self, size="2m"):
        self.folder = Scratch.new("disk")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}",
                               "none", self.folder], capture_output=True)
        if done.returncode != 0:
            raise Skip("cannot mount a small disk")
        self.ballast = os.path.join(self.folder, "ballast")

    def remount(self, options):
        subprocess.run(["mount", "-o", "remount," + options, self.folder],
                       check=True)

    def fill(self):
        """Until not a byte fits."""
        with open(self.ballast, "wb", 0) as f:
            write_until_full(f, 4096, 1)

    def empty(self):
        os.unlink(self.ballast)
        self.remount("size=256m")

    def close(self):
        subprocess.run(["umount", "-l", self.folder], check=True)


class Ext4(Disk):
    """ext4 with blocks smaller than a page of memory, as mkfs makes it on
    small disks: a file may have a hole in the middle of a page."""
    BLOCK = 1024                        # bytes
    BLOCKS = 16 << 10

    def __init__(self):
        self.folder = Scratch.new("disk")
        self.ballast = os.path.join(self.folder, "ballast")
        image = self.folder + ".ext4"
        with open(image, "wb") as f:
            f.truncate(self.BLOCKS * self.BLOCK)
        for argv in (["mkfs.ext4", "-q", "-b", str(self.BLOCK), "-m", "0",
                      image], ["mount", "-o", "loop", image, self.folder]):
            if not shutil.which(argv[0]) or subprocess.run(
                    argv, capture_output=True, check=False).returncode != 0:
                os.unlink(image)
                raise Skip("cannot mount an ext4 of its own")
        os.unlink(image)

    def leave(self, spare):
        """Until that many blocks are left."""
        with open(self.ballast, "ab", 0) as f:
            write_until_full(f, 1 << 16, self.BLOCK)
            os.fsync(f.fileno())
            f.truncate((f.tell() // self.BLOCK - spare) * self.BLOCK)
            os.fsync(f.fileno())

    def empty(self):
        os.unlink(self.ballast)
