"""The lock keeps others out, by the same kind of lock that the services take."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import threading
from pathlib import Path

from bcrl import Busy, _lock

from .support import FolderTest, python

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "a+b")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.readline()
"""


class Lock(FolderTest):
    def setUp(self) -> None:
        super().setUp()
        self.lock_file = self.root / "request" / "status.json.lock"

    def hold(self, path: Path) -> subprocess.Popen[str]:
        """Another process that holds a lock until it is told to let go."""
        process = python(HOLD, str(path))
        assert process.stdout is not None
        self.assertEqual(process.stdout.readline(), "held\n")
        self.addCleanup(self.end, process)
        return process

    def end(self, process: subprocess.Popen[str]) -> None:
        process.kill()
        process.communicate()

    def test_a_holder_of_either_file_keeps_everybody_out(self) -> None:
        for path in (self.lock_file, self.index_file):
            holder = self.hold(path)
            store = self.folder(lock_timeout=0.05).store
            with self.assertRaisesRegex(Busy, rf"{path.name} .* process {holder.pid} \(python"):
                with store.exclusive():
                    self.fail("two hold it")
            holder.communicate("go\n")
            with store.exclusive():
                pass

    def test_a_holder_that_stands_still_is_named(self) -> None:
        holder = self.hold(self.lock_file)
        holder.send_signal(signal.SIGSTOP)
        os.waitpid(holder.pid, os.WUNTRACED)
        with self.assertRaisesRegex(Busy, "which is stopped"):
            with self.folder(lock_timeout=0.05).store.exclusive():
                pass
        holder.send_signal(signal.SIGCONT)

    def test_a_killed_holder_holds_nothing(self) -> None:
        self.end(self.hold(self.lock_file))
        self.end(self.hold(self.index_file))
        with self.folder(lock_timeout=0.0).store.exclusive():
            pass

    def test_both_are_held_and_let_go(self) -> None:
        store = self.folder().store
        with store.exclusive():
            for path in (self.lock_file, self.index_file):
                with open(path, "rb") as file, self.assertRaises(BlockingIOError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A child that is forked off meanwhile holds nothing once we let go.
            read, write = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(write)
                os.read(read, 1)
                os._exit(0)
        for path in (self.lock_file, self.index_file):
            with open(path, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(write)
        os.waitpid(pid, 0)
        os.close(read)

    def test_threads_keep_each_other_out(self) -> None:
        store, count, inside, most = self.folder().store, [0], [0], [0]

        def work() -> None:
            for _ in range(50):
                with store.exclusive():
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    count[0] += 1
                    inside[0] -= 1

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((count[0], most[0]), (200, 1))

    def test_an_index_that_is_replaced_meanwhile_is_locked_anew(self) -> None:
        with open(self.index_file, "rb") as old:
            fcntl.flock(old, fcntl.LOCK_EX)
            self.write_index('{"jobs":[]}\n')
            with self.folder(lock_timeout=0.2).store.exclusive():
                with open(self.index_file, "rb") as new, self.assertRaises(BlockingIOError):
                    fcntl.flock(new, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def test_readers_share_and_keep_writers_out(self) -> None:
        store = self.folder(lock_timeout=0.02).store
        with store.exclusive():
            with _lock.shared(store.request, 0.0) as alone:
                self.assertFalse(alone)
        with _lock.shared(store.request, 0.0) as one, _lock.shared(store.request, 0.0) as two:
            self.assertTrue(one and two)
            with self.assertRaises(Busy), store.exclusive():
                pass

    def test_the_lock_file_is_empty_and_stays(self) -> None:
        store = self.folder().store
        with store.exclusive():
            inode = self.lock_file.stat().st_ino
        for _ in range(3):
            self.folder().edit(lambda jobs: None)
        self.assertEqual((self.lock_file.stat().st_ino, self.lock_file.stat().st_size), (inode, 0))
