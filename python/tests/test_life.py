"""A job's life: claimed, finished, failed, given back, and what keeps each from happening."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from unittest import mock

from bcrl import Busy, Folder, FolderError, IndexDamaged, InvalidResult, Job, JobLost, NotAFolder

from .support import FolderTest, until

TOKEN = "0" * 31 + "1"


class Claims(FolderTest):
    def claim(self, *apis: str) -> Job | None:
        return self.folder().claim_detached(apis or None)

    def test_top_to_bottom_of_the_apis_that_are_asked_for(self) -> None:
        jobs = [self.submit(api) for api in ("add", "soc", "add", "soc")]
        claimed = [self.claim("soc"), self.claim("soc"), self.claim("soc"), self.claim()]
        self.assertEqual([job and job.uuid for job in claimed], [jobs[1], jobs[3], None, jobs[0]])

    def test_entry_and_lease_hold_the_token(self) -> None:
        uuid = self.submit(params='{"n": 1.50}', note="ours")
        job = self.claim()
        assert job is not None
        entry, lease = self.entry(uuid), self.document("lease", uuid)
        self.assertRegex(job.token, r"\A[0-9a-f]{32}\Z")
        self.assertEqual((entry["status"], entry["token"]), ("processing", job.token))
        self.assertEqual(entry["note"], "ours")
        self.assertEqual(
            list(lease), ["worker", "attempt", "lost", "failed", "token", "claimed", "pid"]
        )
        self.assertEqual((lease["attempt"], lease["token"]), (1, job.token))
        self.assertRegex(lease["claimed"], r"\A20\d\d-.*\.\d{3}\+09:00\Z")
        self.assertEqual((job.body, job.params, job.attempt), (b'{"n": 1.50}', {"n": 1.5}, 1))
        beat = self.document("workers", str(job.worker))
        self.assertEqual(beat["jobs"], [{"uuid": uuid, "token": job.token}])

    def test_never_what_has_ended_or_is_to_end(self) -> None:
        facts = ("receipt/{}.json", "response/{}.json", "cancel/{}")
        self.folder().jobs()
        for fact in facts:
            (self.root / fact.format(self.submit())).write_text("{}")
        before = self.index_file.read_bytes()
        self.assertIsNone(self.claim())
        self.assertEqual(self.index_file.read_bytes(), before)
        last = self.submit()
        job = self.claim()
        assert job is not None
        self.assertEqual(job.uuid, last)

    def test_a_job_without_a_sound_request_has_failed(self) -> None:
        missing, broken, foreign, linked, last = (self.submit() for _ in range(5))
        request = self.root / "request"
        (request / f"{missing}.json").unlink()
        (request / f"{broken}.json").chmod(0o600)
        (request / f"{broken}.json").write_text("{")
        os.replace(request / f"{linked}.json", self.home / "elsewhere.json")
        (request / f"{linked}.json").symlink_to(self.home / "elsewhere.json")
        text = (request / f"{last}.json").read_text()
        (request / f"{foreign}.json").chmod(0o600)
        (request / f"{foreign}.json").write_text(text)
        with self.assertLogs("bcrl", "ERROR"):
            job = self.claim()
        assert job is not None
        self.assertEqual(job.uuid, last)
        for uuid in (missing, broken, foreign, linked):
            receipt = self.document("receipt", uuid)
            self.assertEqual((self.status(uuid), receipt["status"]), ("failed", "failed"))
            reason = "request_missing" if uuid == missing else "invalid_request"
            self.assertEqual(receipt["failure"]["reason"], reason)

    def test_a_request_that_may_not_be_read_fails_no_job(self) -> None:
        uuid = self.submit()
        folder = self.folder()
        read = folder.store.request.read

        def forbidden(name: str, limit: int) -> bytes | None:
            if name != "status.json" and name.startswith(uuid):
                raise PermissionError(13, "Permission denied", name)
            return read(name, limit)

        forbidding = mock.patch.object(folder.store.request, "read", forbidden)
        with forbidding, self.assertRaises(PermissionError):
            folder.claim_detached()
        self.assertEqual(self.status(uuid), "pending")

    def test_the_catalogs_limit_counts_over_all_workers(self) -> None:
        api = {"name": "soc", "limits": {"concurrency": 2}}
        (self.root / "catalog" / "app1.json").write_text(json.dumps({"version": 1, "apis": [api]}))
        for _ in range(3):
            self.submit("soc")
        other = self.submit("add")
        claimed = [self.claim(), self.claim(), self.claim(), self.claim()]
        self.assertEqual([job and job.api for job in claimed], ["soc", "soc", "add", None])
        self.assertEqual(self.status(other), "processing")

    def test_a_job_that_waits_for_a_retry_is_passed_over(self) -> None:
        uuid = self.submit()
        (self.root / "lease").mkdir(exist_ok=True)
        lease = {"worker": "w-1", "attempt": 1, "lost": 1, "failed": 1, "pid": 7}
        lease["claimed"] = "2023-10-01T00:00:00.000+09:00"
        run = {"attempt": 1, "worker": "w-1", "outcome": "exit_code"}
        run.update(started_date=lease["claimed"], ended_date=lease["claimed"])
        lease["attempts"] = [run]
        now, minute = datetime.now(timezone.utc), timedelta(minutes=1)
        file = self.root / "lease" / f"{uuid}.json"
        file.write_text(json.dumps({**lease, "retry_date": (now + minute).isoformat()}))
        self.assertIsNone(self.claim())
        for due in (now - minute, now + 1000 * minute):
            # The second one is from a clock that was wrong, and holds up nothing.
            file.write_text(json.dumps({**lease, "retry_date": due.isoformat()}))
            self.write_index(self.index_file.read_text().replace("processing", "pending"))
            job = self.claim()
            self.assertEqual(job and job.attempt, 2)
        after = self.document("lease", uuid)
        self.assertEqual((after["lost"], after["failed"], len(after["attempts"])), (1, 1, 1))
        self.assertNotIn("retry_date", after)

    def test_a_lease_that_is_none_is_put_aside(self) -> None:
        uuid = self.submit()
        self.folder().jobs()
        (self.root / "lease" / f"{uuid}.json").write_text('{"worker": "../x"}')
        with self.assertLogs("bcrl", "ERROR"):
            job = self.claim()
        assert job is not None
        self.assertEqual(job.attempt, 1)
        aside = self.names("quarantine")
        self.assertEqual(len(aside), 3, aside)
        self.assertTrue(aside[0].endswith(f"{uuid}.json") and aside[1] == aside[0] + ".reason")

    def test_a_damaged_index_is_named_and_left_alone(self) -> None:
        self.submit()
        for damage in (b"", b'{"jobs":[', b"\xff"):
            self.index_file.write_bytes(damage)
            with self.assertRaisesRegex(IndexDamaged, r"status\.json cannot be used.*bcrl fsck"):
                self.claim()
            with self.assertRaises(IndexDamaged):
                self.folder().edit(lambda jobs: None)
            self.assertEqual(self.index_file.read_bytes(), damage)
        self.index_file.unlink()
        with self.assertRaisesRegex(IndexDamaged, "missing"):
            self.claim()
        self.index_file.symlink_to(self.home / "nowhere")
        with self.assertRaises(IndexDamaged):
            self.claim()

    def test_no_folder_is_made_by_a_mistyped_path(self) -> None:
        with self.assertRaisesRegex(NotAFolder, "no shared folder"):
            Folder(self.home / "shard").jobs()
        self.assertFalse((self.home / "shard").exists())


class Ends(FolderTest):
    def setUp(self) -> None:
        super().setUp()
        self.uuid = self.submit(params="[1]", note="theirs")
        job = self.folder().claim_detached()
        assert job is not None
        self.job: Job = job

    def takeover(self) -> None:
        """Another one runs the job now."""
        text = self.index_file.read_text().replace(self.job.token, TOKEN)
        self.write_index(text)

    def test_done(self) -> None:
        self.job.progress(40, "half")
        progress = self.document("progress", self.uuid)
        self.assertEqual((progress["percent"], progress["message"]), (40.0, "half"))
        document = b' {"soc": 0.1000, "big": 12345678901234567890123}\n'
        self.job.finish_json(document)
        self.assertEqual((self.root / "response" / f"{self.uuid}.json").read_bytes(), document)
        entry, receipt = self.entry(self.uuid), self.document("receipt", self.uuid)
        self.assertEqual(
            list(entry), ["uuid", "api", "status", "request_date", "finished_date", "note"]
        )
        self.assertEqual(entry["status"], "done")
        self.assertEqual(
            list(receipt),
            "uuid api status request_date started_date finished_date attempt attempts worker "
            "sha256".split(),
        )
        request = (self.root / "request" / f"{self.uuid}.json").read_bytes()
        self.assertEqual(receipt["sha256"]["request"], hashlib.sha256(request).hexdigest())
        self.assertEqual(receipt["sha256"]["response"], hashlib.sha256(document).hexdigest())
        self.assertEqual([run["outcome"] for run in receipt["attempts"]], ["done"])
        for fact in ("response", "receipt"):
            mode = (self.root / fact / f"{self.uuid}.json").stat().st_mode
            self.assertEqual(stat.S_IMODE(mode), 0o440)
        for left in ("lease", "progress", "workers"):
            self.assertEqual(self.names(left), [], left)
        self.assertEqual(self.job.ended, "done")
        with self.assertRaisesRegex(FolderError, "already: it is done"):
            self.job.finish(1)
        with self.assertRaisesRegex(FolderError, "already: it is done"), self.job:
            self.job.progress(99)
        self.assertEqual(self.names("progress"), [])

    def test_no_result_is_published_that_the_services_would_not_read(self) -> None:
        for result in (float("nan"), {"x": float("inf")}, {1, 2}, "\ud800", object()):
            with self.assertRaises(InvalidResult):
                self.job.finish(result)
        for document in (b"", b"[" * 200, b"\xff", b"1 2", b" " * (64 << 20) + b"1"):
            with self.assertRaises(InvalidResult):
                self.job.finish_json(document)
        self.assertEqual((self.status(self.uuid), self.names("response")), ("processing", []))
        self.job.finish({"ok": "電池"})
        response = (self.root / "response" / f"{self.uuid}.json").read_bytes()
        self.assertEqual(response, '{"ok":"電池"}'.encode())

    def test_failed(self) -> None:
        with self.assertRaises(ValueError):
            self.job.fail("x", reason="bored")
        self.job.fail("the sensor\nis off \ud800", reason="invalid_request", exit_code=2)
        failure = self.document("receipt", self.uuid)["failure"]
        self.assertEqual(
            failure,
            {"reason": "invalid_request", "message": "the sensor\nis off ?", "exit_code": 2},
        )
        self.assertEqual(self.entry(self.uuid)["failure"], failure)
        self.assertEqual((self.status(self.uuid), self.names("response")), ("failed", []))

    def test_a_long_message_is_whole_in_the_receipt_and_brief_in_the_index(self) -> None:
        message = "電" * 301
        self.job.fail(message)
        self.assertEqual(self.document("receipt", self.uuid)["failure"]["message"], message)
        self.assertEqual(self.entry(self.uuid)["failure"]["message"], "電" * 300 + "…")

    def test_of_very_many_runs_the_first_and_the_latest_are_remembered(self) -> None:
        lease = self.document("lease", self.uuid)
        run = {"attempt": 1, "worker": "w-1", "outcome": "given_back"}
        run.update(started_date=lease["claimed"], ended_date=lease["claimed"])
        lease.update(attempt=101, attempts=[{**run, "attempt": n} for n in range(1, 101)])
        (self.root / "lease" / f"{self.uuid}.json").write_text(json.dumps(lease))
        self.folder().resume(self.uuid, self.job.token).give_back()
        runs = [run["attempt"] for run in self.document("lease", self.uuid)["attempts"]]
        self.assertEqual(runs, [1, *range(3, 102)])

    def test_an_index_that_nobody_could_read_is_not_written(self) -> None:
        before = self.index_file.read_bytes()
        with self.assertRaisesRegex(FolderError, "would have"):
            self.folder().edit(lambda jobs: jobs[0].update(note="x" * (64 << 20)))
        self.assertEqual(self.index_file.read_bytes(), before)

    def test_given_back_it_waits_at_its_old_place_and_nothing_is_counted(self) -> None:
        self.submit()
        self.assertEqual(self.job.give_back(), "pending")
        self.assertEqual(next(iter(self.index())).uuid, self.uuid)
        self.assertNotIn("token", self.entry(self.uuid))
        lease = self.document("lease", self.uuid)
        self.assertEqual((lease["lost"], lease["failed"], lease["attempt"]), (0, 0, 1))
        self.assertEqual([run["outcome"] for run in lease["attempts"]], ["given_back"])
        again = self.folder().claim_detached()
        assert again is not None
        self.assertEqual((again.uuid, again.attempt), (self.uuid, 2))
        again.finish(1)
        runs = self.document("receipt", self.uuid)["attempts"]
        self.assertEqual([run["outcome"] for run in runs], ["given_back", "done"])

    def test_given_back_on_a_clients_wish_it_is_canceled(self) -> None:
        self.cancel(self.uuid)
        self.assertEqual(self.job.give_back(), "canceled")
        self.assertEqual(self.document("receipt", self.uuid)["status"], "canceled")
        self.assertEqual((self.status(self.uuid), self.names("cancel")), ("canceled", []))

    def test_a_job_that_finishes_first_stays_done(self) -> None:
        self.cancel(self.uuid)
        self.job.finish(1)
        self.assertEqual((self.status(self.uuid), self.names("cancel")), ("done", []))

    def test_a_late_result_is_kept_and_not_published(self) -> None:
        self.takeover()
        with self.assertRaisesRegex(JobLost, "quarantine/late/"):
            self.job.finish({"late": True})
        self.assertEqual((self.names("response"), self.names("receipt")), ([], []))
        late = [name for name in self.names("quarantine/late") if not name.endswith(".reason")]
        text = (self.root / "quarantine" / "late" / late[0]).read_text()
        self.assertEqual((len(late), text), (1, '{"late":true}'))
        self.assertEqual(self.entry(self.uuid)["token"], TOKEN)

    def test_a_late_failure_changes_nothing(self) -> None:
        self.takeover()
        before = self.index_file.read_bytes()
        job = self.folder().resume(self.uuid, self.job.token)
        with self.assertRaises(JobLost):
            self.job.fail("too late")
        with self.assertRaises(JobLost):
            job.give_back()
        self.assertEqual(self.index_file.read_bytes(), before)
        self.assertEqual(self.names("receipt"), [])

    def test_a_published_receipt_wins_over_whatever_comes(self) -> None:
        receipt = {
            "uuid": self.uuid,
            "api": "soc",
            "status": "canceled",
            "request_date": "2023-10-01T00:00:01.000+09:00",
            "finished_date": "2023-10-01T00:00:09.000+09:00",
        }
        file = self.root / "receipt" / f"{self.uuid}.json"
        file.write_text(json.dumps(receipt))
        with self.assertRaises(JobLost):
            self.job.finish(1)
        self.assertEqual(json.loads(file.read_text()), receipt)
        self.assertEqual(self.status(self.uuid), "canceled")
        self.assertEqual(self.names("response"), [])

    def test_a_valid_response_of_somebody_else_is_the_result(self) -> None:
        file = self.root / "response" / f"{self.uuid}.json"
        file.write_text('{"theirs": 1}')
        with self.assertRaises(JobLost):
            self.job.finish({"mine": 1})
        self.assertEqual(file.read_text(), '{"theirs": 1}')
        self.assertEqual(self.status(self.uuid), "done")
        self.assertEqual(self.document("receipt", self.uuid)["status"], "done")

    def test_a_broken_response_makes_way(self) -> None:
        file = self.root / "response" / f"{self.uuid}.json"
        file.write_text('{"half')
        with self.assertLogs("bcrl", "ERROR"):
            self.job.finish({"mine": 1})
        self.assertEqual(file.read_text(), '{"mine":1}')

    def test_a_pipe_in_its_place_makes_way_and_is_not_waited_for(self) -> None:
        file = self.root / "response" / f"{self.uuid}.json"
        os.mkfifo(file)
        with self.assertLogs("bcrl", "ERROR"):
            self.job.finish({"mine": 1})
        self.assertEqual(file.read_text(), '{"mine":1}')

    def test_an_end_whose_commit_failed_is_published_by_the_next_try(self) -> None:
        for call in ("link_over", "rename"):
            folder = self.folder()
            job = folder.resume(self.uuid, self.job.token)
            failing = mock.patch.object(folder.store.request, call, side_effect=OSError(28, "full"))
            with failing, self.assertRaises(OSError):
                job.finish({"n": 1}, patience=0)
            self.assertEqual(self.status(self.uuid), "processing")
            folder.resume(self.uuid, self.job.token).finish({"n": 1})
            self.assertEqual(self.status(self.uuid), "done")
            self.assertEqual(self.names("quarantine/late"), [])
            self.setUp()

    def test_a_receipt_that_could_not_be_written_is_written_by_the_next_try(self) -> None:
        folder = self.folder()
        job = folder.resume(self.uuid, self.job.token)
        full = mock.patch.object(folder.store.receipt, "publish", side_effect=OSError(28, "full"))
        with full, self.assertRaises(OSError):
            job.finish({"n": 1}, patience=0)
        folder.resume(self.uuid, self.job.token).finish({"n": 1})
        self.assertEqual(self.status(self.uuid), "done")
        self.assertEqual(self.document("receipt", self.uuid)["attempt"], 1)
        self.assertEqual(self.names("quarantine"), ["late"], "the response that was there is ours")
        self.assertEqual(self.names("quarantine/late"), [])

    def test_on_a_full_disk_the_reserve_is_given_up(self) -> None:
        (self.root / ".reserve").write_bytes(b"x")
        folder = self.folder()
        publish, tries = folder.store.receipt.publish, []

        def full_once(name: str, content: bytes) -> bool:
            tries.append(name)
            if len(tries) == 1:
                raise OSError(28, "No space left on device")
            return publish(name, content)

        job = folder.resume(self.uuid, self.job.token)
        full = mock.patch.object(folder.store.receipt, "publish", full_once)
        with full, self.assertLogs("bcrl", "ERROR"):
            job.finish(1)
        self.assertEqual(self.status(self.uuid), "done")
        self.assertFalse((self.root / ".reserve").exists())

    def test_the_end_waits_for_the_lock(self) -> None:
        folder = self.folder(lock_timeout=0.01)
        job = folder.resume(self.uuid, self.job.token)
        ending = threading.Thread(target=job.finish, args=(1,))
        with self.assertLogs("bcrl", "WARNING") as logs:
            with self.folder().store.exclusive():
                with self.assertRaises(Busy):
                    folder.resume(self.uuid, self.job.token).finish(1, patience=0)
                ending.start()
                until("it says that it waits", lambda: logs.output)
            ending.join()
        self.assertIn("is published later", logs.output[0])
        self.assertEqual((self.status(self.uuid), job.ended), ("done", "done"))

    def test_nothing_temporary_is_left(self) -> None:
        self.job.finish({"n": [1] * 1000})
        self.assertEqual(list(Path(self.root).rglob(".tmp-*")), [])
        previous = (self.root / "request" / ".status.prev.json").read_text()
        self.assertIn('"status":"processing"', previous)
