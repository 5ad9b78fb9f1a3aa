"""One folder by its descriptor: the few ways in which files come, go and are read.

A file appears whole or not at all: it is written under a temporary name (``.tmp-…``) and then
gets its own. Names are resolved beneath the folder, and links are not followed.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

#: How a temporary file's name begins. What is older than ten minutes is swept by the services.
TEMPORARY = ".tmp-"

#: Mode of what is published once and never changed.
FACT = 0o440
#: Mode of what is replaced as it comes.
RECORD = 0o660

_NO_LINKS = frozenset((errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK))


class NotAFile(OSError):
    """Something that is no plain file, or too large a one, stands where a file is due."""


class Dir:
    """A folder of the shared folder, open."""

    def __init__(self, path: str, like: os.stat_result | None = None) -> None:
        """Opens it; where it is missing it is made, with mode and group of ``like``."""
        self.path = path
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        try:
            self._fd = os.open(path, flags)
        except FileNotFoundError:
            if like is None:
                raise
            _make(path, like)
            self._fd = os.open(path, flags)
        self._close = weakref.finalize(self, os.close, self._fd)

    def close(self) -> None:
        """Lets go of the descriptor."""
        self._close()

    def at(self, name: str) -> str:
        """The path of a name in it."""
        return os.path.join(self.path, name)

    def stat(self) -> os.stat_result:
        """Mode, owner and group of the folder."""
        return os.fstat(self._fd)

    def open_file(self, name: str) -> int | None:
        """Opens a plain file for reading; None where there is no such name.

        A link, a folder, a pipe or a device is NotAFile, and nothing is waited for.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with self._naming(name):
            try:
                fd = os.open(name, flags, dir_fd=self._fd)
            except FileNotFoundError:
                return None
            except OSError as error:
                # A link, or a pipe that nobody reads.
                if error.errno in (errno.ELOOP, errno.ENXIO):
                    raise NotAFile(errno.EINVAL, "it is no plain file") from None
                raise
            if stat.S_ISREG(os.fstat(fd).st_mode):
                return fd
            os.close(fd)
            raise NotAFile(errno.EINVAL, "it is no plain file")

    def read(self, name: str, limit: int) -> bytes | None:
        """Reads a plain file of at most so many bytes; None where there is no such name."""
        fd = self.open_file(name)
        if fd is None:
            return None
        with self._naming(name), open(fd, "rb") as file:
            content = file.read(limit + 1)
            if len(content) > limit:
                raise NotAFile(errno.EFBIG, f"it is larger than {limit} bytes")
            return content

    def has(self, name: str) -> bool:
        """Whether there is something of this name, whatever it is."""
        with self._naming(name):
            try:
                os.stat(name, dir_fd=self._fd, follow_symlinks=False)
            except FileNotFoundError:
                return False
            return True

    def identity(self, name: str) -> tuple[int, int] | None:
        """Device and inode of what has this name; None where nothing has it."""
        with self._naming(name):
            try:
                found = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
            except FileNotFoundError:
                return None
            return found.st_dev, found.st_ino

    def modified(self, name: str) -> int | None:
        """When what has this name was last written to, in nanoseconds; None where nothing has."""
        with self._naming(name):
            try:
                return os.stat(name, dir_fd=self._fd, follow_symlinks=False).st_mtime_ns
            except FileNotFoundError:
                return None

    def names(self) -> list[str]:
        """All names in it."""
        return os.listdir(self._fd)

    @contextmanager
    def temporary(self, mode: int, content: bytes, sync: bool) -> Iterator[Temporary]:
        """A file under a temporary name, which goes away again unless it gets one of its own.

        With ``sync`` its content is durable. After a failure it is thrown away and never synced
        again: the kernel reports a lost write once.
        """
        name = TEMPORARY + secrets.token_hex(8)
        file = Temporary(self, name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with self._naming(name):
            fd = os.open(name, flags, 0o600, dir_fd=self._fd)
        try:
            with self._naming(name):
                _fill(fd, mode, content, sync)
            yield file
        finally:
            if not file.named:
                self._remove_quietly(name)

    def publish(self, name: str, content: bytes) -> bool:
        """Publishes a fact and makes it durable, file first; False where one is there already."""
        with self.temporary(FACT, content, sync=True) as file:
            mine = file.publish(name)
        self.sync()
        return mine

    def replace(self, name: str, content: bytes) -> None:
        """Replaces a record, whole; not durable, because it can be made again."""
        with self.temporary(RECORD, content, sync=False) as file:
            file.replace(name)

    def touch(self, name: str) -> int:
        """Makes an empty file where there is none, and opens it; it is never truncated."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with self._naming(name):
            fd = os.open(name, flags, RECORD, dir_fd=self._fd)
        try:
            # The umask may have cut the mode of a new file; whoever owns it may mend it.
            os.fchmod(fd, RECORD)
        except OSError:
            pass
        return fd

    def link_over(self, name: str, second: str) -> None:
        """Gives a file a second name, whatever had it before."""
        self.remove(second)
        with self._naming(second):
            try:
                self._link(name, second)
            except FileNotFoundError:
                pass
            except OSError as error:
                # A file system without links keeps no second generation.
                if error.errno not in _NO_LINKS:
                    raise

    def remove(self, name: str) -> bool:
        """Removes a file's name; whether it was there."""
        with self._naming(name):
            try:
                os.unlink(name, dir_fd=self._fd)
            except (FileNotFoundError, IsADirectoryError):
                return False
            return True

    def move(self, name: str, other: Dir, new: str) -> bool:
        """Moves a name, whatever has it, into another folder; False where it is gone."""
        with self._naming(name):
            try:
                os.rename(name, new, src_dir_fd=self._fd, dst_dir_fd=other._fd)
            except FileNotFoundError:
                return False
            return True

    def sync(self) -> None:
        """Makes the names in it durable."""
        with self._naming(""):
            os.fsync(self._fd)

    def sync_file(self, name: str) -> None:
        """Makes a plain file's content durable, where there is one."""
        fd = self.open_file(name)
        if fd is None:
            return
        try:
            with self._naming(name):
                os.fsync(fd)
        finally:
            os.close(fd)

    def publish_name(self, temporary: str, name: str) -> bool:
        """Gives a temporary file its name where nothing has it yet."""
        with self._naming(name):
            try:
                self._link(temporary, name)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                # Facts are published under the lock, so nobody who keeps to it comes between.
                if self.has(name):
                    return False
                self.rename(temporary, name)
                return True
            os.unlink(temporary, dir_fd=self._fd)
            return True

    def rename(self, name: str, new: str) -> None:
        """Gives a file another name, whatever had that before."""
        with self._naming(new):
            os.rename(name, new, src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def _link(self, name: str, second: str) -> None:
        here = self._fd
        os.link(name, second, src_dir_fd=here, dst_dir_fd=here, follow_symlinks=False)

    def _remove_quietly(self, name: str) -> None:
        try:
            self.remove(name)
        except OSError:
            # Whatever cannot be removed now is swept later by its age.
            pass

    @contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        """Adds the path to an error of the operating system."""
        try:
            yield
        except NotAFile as error:
            raise NotAFile(error.errno, error.strerror, self.at(name)) from None
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.at(name)) from None


class Temporary:
    """A file under a temporary name."""

    def __init__(self, folder: Dir, name: str) -> None:
        self.name = name
        #: Whether it has a name of its own by now.
        self.named = False
        self._folder = folder

    def publish(self, name: str) -> bool:
        """Gives it its name where nothing has it yet; whether it got it. The folder is not
        synced."""
        self.named = self._folder.publish_name(self.name, name)
        return self.named

    def replace(self, name: str) -> None:
        """Gives it its name, whatever had that before."""
        self._folder.rename(self.name, name)
        self.named = True

    def move(self, other: Dir, name: str) -> None:
        """Gives it a name in another folder."""
        self.named = self._folder.move(self.name, other, name)


def _fill(fd: int, mode: int, content: bytes, sync: bool) -> None:
    try:
        os.fchmod(fd, mode)
        left = memoryview(content)
        while left:
            left = left[os.write(fd, left) :]
        if sync:
            os.fsync(fd)
    except BaseException:
        os.close(fd)
        raise
    # On a network volume a lost write may show only here.
    os.close(fd)


def _make(path: str, like: os.stat_result) -> None:
    mode = stat.S_IMODE(like.st_mode)
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        return
    try:
        # The umask may have cut the mode, and changing the group drops the set-group bit.
        os.chown(path, -1, like.st_gid)
        os.chmod(path, mode)
    except PermissionError:
        pass
