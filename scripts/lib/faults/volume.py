"""Small file systems that can be filled, or lose their power."""

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
import sys
import time

# ext4's shutdown (FS_IOC_SHUTDOWN, also EXT4_IOC_SHUTDOWN), and its flag for not even writing the
# journal out.
SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2
# Set in a process that has a mount namespace of its own.
PRIVATE = "BCRL_FAULTS_PRIVATE"


def make_private():
    """Starts this program over in a mount namespace of its own, where the machine allows that.

    Whatever is mounted then goes away with the last process, however it ends. Who is not root
    becomes root of a user namespace, which may mount a tmpfs.
    """
    # Where file systems are made, mounted and checked from; not everybody looks there.
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    if PRIVATE in os.environ or shutil.which("unshare") is None:
        return
    flags = ["-m"] if os.geteuid() == 0 else ["-U", "-r", "-m"]
    if subprocess.run(["unshare", *flags, "true"], capture_output=True).returncode == 0:
        environment = {**os.environ, PRIVATE: "1"}
        os.execvpe(
            "unshare",
            ["unshare", *flags, sys.executable, "-B", "-m", "faults", *sys.argv[1:]],
            environment,
        )


def is_private():
    """Whether mounts are this process's own."""
    return PRIVATE in os.environ


class Tmpfs:
    """A file system in memory, of so many MiB."""

    def __init__(self, path, mebibytes):
        self.path = path
        os.makedirs(path, exist_ok=True)
        command("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=0770", "faults", path)

    def close(self):
        unmount(self.path)

    def free(self):
        """Free bytes."""
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize

    def fill(self, leave):
        """Takes up room until only `leave` bytes are free; more of it where some has come back."""
        with open(os.path.join(self.path, "filler"), "ab", buffering=0) as filler:
            with contextlib.suppress(OSError):
                while self.free() > leave:
                    filler.write(b"f" * min(1 << 20, self.free() - leave))

    def empty(self):
        """Gives the room back."""
        os.unlink(os.path.join(self.path, "filler"))


class Ext4:
    """An ext4 file system in a file, on a loop device."""

    def __init__(self, image, path, mebibytes, options):
        self.image = image
        self.path = path
        self.options = options
        os.makedirs(path, exist_ok=True)
        with open(image, "wb") as file:
            file.truncate(mebibytes << 20)
        command("mkfs.ext4", "-q", "-F", image)
        self.mount()

    def mount(self):
        command("mount", "-o", ",".join(("loop", *self.options)), self.image, self.path)

    def cut_power(self):
        """From this moment nothing reaches the disk, and what had not reached it is lost."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def come_back(self):
        """Mounts it again as after a power cut: the journal is replayed, and the file system
        checked.
        """
        unmount(self.path)
        checked = subprocess.run(["e2fsck", "-f", "-y", self.image], capture_output=True, text=True)
        if checked.returncode not in (0, 1):
            raise OSError(
                f"e2fsck ended with {checked.returncode}: {checked.stdout}{checked.stderr}"
            )
        self.mount()

    def close(self):
        unmount(self.path)


def command(*words):
    """Runs a command of the system; its last words are told where it fails."""
    ran = subprocess.run(words, capture_output=True, text=True)
    if ran.returncode != 0:
        raise OSError(f"{' '.join(words)} ended with {ran.returncode}: {ran.stderr.strip()}")


def unmount(path):
    """Unmounts, as soon as the last process has let go; by force after some seconds."""
    end = time.monotonic() + 10
    while os.path.ismount(path):
        if subprocess.run(["umount", path], capture_output=True).returncode == 0:
            return
        if time.monotonic() > end:
            subprocess.run(["umount", "-l", path], capture_output=True)
            raise OSError(f"{path} was still in use")
        time.sleep(0.02)


def lacks_tmpfs(folder):
    """Why no tmpfs can be mounted; nothing where it can."""
    return _try_out(folder, lambda path: Tmpfs(path, 1))


def lacks_ext4(folder):
    """Why no ext4 can be made, mounted and cut off; nothing where it can."""
    for name in ("mkfs.ext4", "e2fsck"):
        if shutil.which(name) is None:
            return f"{name} is missing; on Debian it is in the package e2fsprogs"

    def try_ext4(path):
        volume = Ext4(path + ".img", path, 8, ())
        volume.cut_power()
        return volume

    lack = _try_out(folder, try_ext4)
    return lack and f"a loop device with ext4 is needed, and root to mount it: {lack}"


def _try_out(folder, make):
    if not is_private():
        return "this machine allows no mount namespace (unshare -m as root, or unshare -Urm)"
    path = os.path.join(folder, f"faults-try-{os.getpid()}")
    try:
        make(path).close()
    except OSError as error:
        with contextlib.suppress(OSError):
            unmount(path)
        return str(error)
    finally:
        for left in (path, path + ".img"):
            with contextlib.suppress(OSError):
                (os.rmdir if os.path.isdir(left) else os.unlink)(left)
    return None
