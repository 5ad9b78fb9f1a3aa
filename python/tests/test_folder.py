"""What a lab's script writes: ``with Folder(…)``, ``with job``, signs of life, the list."""

from __future__ import annotations

import json
import os
import signal
import threading
from typing import Any
from unittest import mock

import bcrl
from bcrl import Folder, FolderError, Job, JobCanceled, JobLost

from .support import FolderTest, python, until


class WithStatements(FolderTest):
    def opened(self, **options: Any) -> Folder:
        options = {"heartbeat": 0.02, "lease": 3.0, "name": "lab1", **options}
        return Folder(self.root, **options)

    def claimed(self, folder: Folder) -> Job:
        job = folder.claim(["soc"])
        assert job is not None
        return job

    def test_the_example(self) -> None:
        uuid = self.submit()
        with self.opened() as folder:
            job = folder.claim(apis=["soc"])
            if job:
                job.progress(40, "half")
                job.finish({"final_soc": 0.87})
        self.assertEqual(self.status(uuid), "done")
        self.assertIsInstance(self.document("receipt", uuid)["run_ms"], int)

    def test_a_loop_ends_each_job_as_it_deserves(self) -> None:
        good, bad, canceled, forgotten = (self.submit(params=str(n)) for n in range(4))
        with self.opened() as folder:
            while job := folder.claim(["soc"]):
                try:
                    with job:
                        self.work(job)
                except ZeroDivisionError:
                    pass
        self.assertEqual(
            [self.status(uuid) for uuid in (good, bad, canceled, forgotten)],
            ["done", "failed", "canceled", "failed"],
        )
        failure = self.entry(bad)["failure"]
        self.assertEqual(failure["message"], "ZeroDivisionError: division by zero")
        self.assertEqual(self.entry(forgotten)["failure"]["reason"], "no_result")
        self.assertEqual(self.names("workers"), [])

    def work(self, job: Job) -> None:
        if job.params == 0:
            job.finish([1])
        elif job.params == 1:
            job.finish(1 / 0)
        elif job.params == 2:
            self.cancel(job.uuid)
            job.progress(10)
            self.fail("a canceled job goes on")

    def test_what_is_no_result_fails_the_job(self) -> None:
        uuid = self.submit()
        with self.assertRaises(bcrl.InvalidResult), self.opened() as folder:
            self.claimed(folder).finish(float("nan"))
        self.assertEqual(self.entry(uuid)["failure"]["reason"], "invalid_output")

    def test_the_end_of_the_process_gives_jobs_back(self) -> None:
        for end in (KeyboardInterrupt, SystemExit):
            uuid = self.submit()
            with self.assertRaises(end), self.opened() as folder:
                self.claimed(folder)
                raise end
            self.assertEqual(self.status(uuid), "pending")
            with self.opened() as folder:
                self.claimed(folder).finish(1)

    def test_whose_end_cannot_be_published_is_left_for_others(self) -> None:
        uuid = self.submit()
        with self.assertRaises(bcrl.Busy), self.opened(lock_timeout=0.01) as folder:
            job = self.claimed(folder)
            other = self.folder()
            with other.store.exclusive(), self.assertLogs("bcrl"):
                job.finish(1, patience=0)
        self.assertEqual((self.status(uuid), self.names("receipt")), ("processing", []))

    def test_claiming_needs_a_with_statement(self) -> None:
        with self.assertRaisesRegex(FolderError, "within"):
            self.folder().claim()
        with self.opened() as folder:
            with self.assertRaises(FolderError), folder:
                pass
            with self.assertRaises(TypeError):
                folder.claim("soc")
            with self.assertRaises(ValueError):
                folder.claim(["../soc"])
        with self.opened() as folder:
            self.assertIsNone(folder.claim())

    def test_names_and_times_that_cannot_be(self) -> None:
        with self.assertRaises(ValueError):
            Folder(self.root, heartbeat=10, lease=20)
        for name in (".hidden", "a/b", "x" * 64):
            with self.assertRaises(ValueError), Folder(self.root, name=name):
                pass
        self.assertEqual(self.names("workers"), [])


class SignsOfLife(FolderTest):
    def opened(self, lease: float = 3.0) -> Folder:
        return Folder(self.root, heartbeat=0.02, lease=lease, name="lab1")

    def beat(self) -> dict[str, Any]:
        (name,) = (name for name in self.names("workers") if name.endswith(".json"))
        text = (self.root / "workers" / name).read_text()
        found: dict[str, Any] = json.loads(text)
        return found

    def test_the_counter_grows_and_tells_of_the_job(self) -> None:
        uuid = self.submit()
        with self.opened() as folder:
            first = self.beat()
            self.assertEqual((first["jobs"], first["problems"]), ([], []))
            job = folder.claim(["soc"])
            assert job is not None
            claimed = self.beat()
            self.assertEqual(claimed["jobs"], [{"uuid": uuid, "token": job.token}])
            self.assertEqual((claimed["apis"], claimed["slots"]), (["soc"], 1))
            self.assertRegex(claimed["worker"], r"\Alab1-[0-9a-f-]{36}\Z")
            self.assertEqual(claimed["worker"], self.document("lease", uuid)["worker"])
            self.assertEqual(claimed["pid"], os.getpid())
            last = until("some beats", lambda: (b := self.beat())["counter"] > 5 and b)
            self.assertEqual(last["jobs"], claimed["jobs"])
            job.finish(1)
            until("the job is told of no longer", lambda: self.beat()["jobs"] == [])
        self.assertEqual(self.names("workers"), [])

    def test_the_lock_tells_that_the_process_lives(self) -> None:
        with self.opened():
            (lock,) = (name for name in self.names("workers") if name.endswith(".lock"))
            self.assertEqual(self.locked_elsewhere(self.root / "workers" / lock), "yes")
        process = python(
            "import bcrl, os, sys, time\n"
            "with bcrl.Folder(sys.argv[1]) as folder:\n"
            "    if os.fork() == 0:\n"
            "        sys.stdin.read()\n"
            "        os._exit(0)\n"
            "    print('open', flush=True)\n"
            "    time.sleep(60)\n",
            str(self.root),
        )
        assert process.stdout is not None and process.stdin is not None
        self.assertEqual(process.stdout.readline(), "open\n")
        (lock,) = (name for name in self.names("workers") if name.endswith(".lock"))
        self.assertEqual(self.locked_elsewhere(self.root / "workers" / lock), "yes")
        process.send_signal(signal.SIGKILL)
        process.wait()
        # The child that was forked off lives on, and must not look like the worker.
        self.assertEqual(self.locked_elsewhere(self.root / "workers" / lock), "no")
        process.stdin.close()
        process.stdout.close()

    def locked_elsewhere(self, path: Any) -> str:
        process = python(
            "import fcntl, sys\n"
            "try:\n"
            "    fcntl.flock(open(sys.argv[1], 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
            "    print('no')\n"
            "except BlockingIOError:\n"
            "    print('yes')\n",
            str(path),
        )
        return process.communicate()[0].strip()

    def test_a_job_whose_token_is_gone_is_lost(self) -> None:
        uuid = self.submit()
        with self.opened() as folder:
            job = folder.claim()
            assert job is not None
            self.assertTrue(job.still_mine())
            self.write_index(self.index_file.read_text().replace(job.token, "0" * 32))
            until("the heartbeat finds out", lambda: job.lost)
            with self.assertRaises(JobLost):
                job.progress(50)
            self.assertEqual(self.names("progress"), [])
            with self.assertLogs("bcrl", "WARNING"), job:
                job.check()
        self.assertEqual((self.status(uuid), self.entry(uuid)["token"]), ("processing", "0" * 32))

    def test_a_worker_that_cannot_beat_has_lost_its_jobs(self) -> None:
        self.submit()
        with self.opened(lease=0.3) as folder:
            job = folder.claim()
            assert job is not None
            trouble = OSError(5, "Input/output error")
            silent = mock.patch.object(folder.store.workers, "replace", side_effect=trouble)
            with silent, self.assertLogs("bcrl", "ERROR"):
                until("its lease is over", lambda: job.lost)
            with self.assertRaises(JobLost):
                job.check()

    def test_a_wish_to_cancel_is_seen_at_once(self) -> None:
        uuid = self.submit()
        with self.opened() as folder:
            job = folder.claim()
            assert job is not None
            self.assertFalse(job.cancel_requested)
            self.cancel(uuid)
            self.assertTrue(job.cancel_requested)
            with self.assertRaises(JobCanceled):
                job.check()
        self.assertEqual(self.status(uuid), "canceled", "by whoever closed the folder")

    def test_detached_jobs_live_by_their_beats(self) -> None:
        uuid = self.submit()
        folder = self.folder()
        job = folder.claim_detached(["soc"])
        assert job is not None
        beats = [self.beat()["counter"]]
        for percent in (10, 20):
            folder.beat(folder.resume(uuid, job.token), percent)
            beats.append(self.beat()["counter"])
        self.assertEqual(beats, [1, 2, 3])
        self.assertNotIn("boot", self.beat(), "no process stands for it")
        self.assertEqual(self.document("progress", uuid)["percent"], 20)
        self.cancel(uuid)
        with self.assertRaises(JobCanceled):
            folder.beat(job)
        self.assertEqual(self.beat()["counter"], 4)
        self.write_index(self.index_file.read_text().replace(job.token, "0" * 32))
        with self.assertRaises(JobLost):
            folder.beat(folder.resume(uuid, job.token), 99)
        self.assertEqual(self.document("progress", uuid)["percent"], 20)

    def test_a_forked_child_does_not_claim_for_its_parent(self) -> None:
        self.submit()
        with self.opened() as folder:
            claimed: list[Any] = []
            pid = os.fork()
            if pid == 0:
                try:
                    folder.claim()
                except FolderError:
                    os._exit(7)
                os._exit(0)
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 7)
            thread = threading.Thread(target=lambda: claimed.append(folder.claim()))
            thread.start()
            thread.join()
            self.assertIsNotNone(claimed[0])


class Lists(FolderTest):
    def test_the_oldest_first_and_only_what_is_wanted(self) -> None:
        jobs = [self.submit(api) for api in ("soc", "add", "soc")]
        folder = self.folder()
        job = folder.claim_detached(["soc"])
        assert job is not None
        self.assertEqual([listed.uuid for listed in folder.jobs()], jobs)
        found = folder.jobs(apis=["soc"], statuses=["pending"])
        self.assertEqual([(listed.uuid, listed.status) for listed in found], [(jobs[2], "pending")])
        self.assertEqual(folder.jobs()[0].request_date, "2023-10-01T00:00:01.000+09:00")

    def test_no_end_is_listed_without_its_receipt(self) -> None:
        uuid = self.submit()
        folder = self.folder()
        text = self.index_file.read_text()
        self.write_index(text.replace("pending", "done"))
        self.assertEqual(folder.jobs()[0].status, "processing")
        self.write_index(text)
        job = folder.claim_detached()
        assert job is not None
        job.fail("no")
        self.write_index(text)
        listed = folder.jobs()[0]
        self.assertEqual((listed.uuid, listed.status), (uuid, "failed"))
        self.assertEqual(listed.finished_date, self.document("receipt", uuid)["finished_date"])

    def test_an_index_that_changes_while_it_is_read_is_read_again(self) -> None:
        self.submit()
        before = self.index_file.read_bytes()
        self.submit()
        after = self.index_file.read_bytes()
        self.index_file.write_bytes(before)
        fstat, calls = os.fstat, []

        def changing(fd: int) -> os.stat_result:
            calls.append(fd)
            # Once when it is opened, before it is read, and after that.
            if len(calls) == 3:
                self.index_file.write_bytes(after)
            return fstat(fd)

        folder = self.folder()
        store = folder.store
        with mock.patch("bcrl._store.os.fstat", changing):
            self.assertEqual(len(store.snapshot()), 2)
        self.assertGreater(len(calls), 3)

    def test_an_index_that_is_edited_in_place_is_waited_for(self) -> None:
        self.submit()
        folder = self.folder()
        whole = self.index_file.read_bytes()
        self.index_file.write_bytes(whole[:20])
        timer = threading.Timer(0.03, lambda: self.index_file.write_bytes(whole))
        timer.start()
        self.assertEqual(len(folder.jobs()), 1)
        timer.join()
