"""Wherever a claimer is killed, the folder stays sound, and nobody has to clean up."""

from __future__ import annotations

import json
import stat
from typing import Callable

from bcrl import Folder, JobLost, _json

from .crashes import claim_and_fail, claim_and_finish, claim_and_give_back, claims_until_killed
from .support import FolderTest


class Crash(FolderTest):
    def crash_everywhere(self, work: Callable[[Folder], None]) -> list[str]:
        """Kills the work at each of its effects, each time on a new job."""
        self.folder().jobs()
        jobs: list[str] = []
        facts: dict[str, bytes] = {}
        crashed = True
        while crashed:
            jobs.append(self.submit(params=str(len(jobs))))
            crashed = claims_until_killed(self.root, len(jobs), work)
            self.check_soundness(jobs, facts)
            if self.status(jobs[-1]) == "pending":
                # So that the next one claims a job of its own.
                self.folder().edit(lambda shown: shown[-1].update(status="processing"))
        self.assertGreater(len(jobs), 20, "it was killed at every step")
        return jobs

    def check_soundness(self, jobs: list[str], facts: dict[str, bytes]) -> None:
        index = self.index()
        self.assertEqual([entry.uuid for entry in index], jobs)
        self.assertEqual(index.to_text().encode(), self.index_file.read_bytes())
        with self.folder(lock_timeout=0.0).store.exclusive():
            pass
        for folder in ("request", "response", "receipt"):
            for path in (self.root / folder).glob("*-*.json"):
                if path.name.startswith("."):
                    continue
                content = path.read_bytes()
                _json.check(content)
                self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o440)
                key = f"{folder}/{path.name}"
                self.assertEqual(facts.setdefault(key, content), content, "a fact has changed")
        for uuid in jobs:
            has_receipt = (self.root / "receipt" / f"{uuid}.json").exists()
            has_response = (self.root / "response" / f"{uuid}.json").exists()
            if self.status(uuid) in ("done", "failed"):
                self.assertTrue(has_receipt, "no end without its fact")
            if has_receipt and self.document("receipt", uuid)["status"] == "done":
                self.assertTrue(has_response, "the response comes before the receipt")

    def test_killed_between_claim_and_result(self) -> None:
        jobs = self.crash_everywhere(claim_and_finish)
        self.assertEqual(self.status(jobs[-1]), "done")
        # The same run tries again, as a script does that calls `finish` once more.
        for number, uuid in enumerate(jobs):
            token = self.entry(uuid).get("token")
            if token is not None:
                self.folder().resume(uuid, token).finish({"number": number})
                self.assertEqual(self.status(uuid), "done")
                response = (self.root / "response" / f"{uuid}.json").read_text()
                self.assertEqual(json.loads(response), {"number": number})
        self.assertEqual(self.names("quarantine/late"), [])

    def test_killed_between_claim_and_failure(self) -> None:
        jobs = self.crash_everywhere(claim_and_fail)
        self.assertEqual(self.status(jobs[-1]), "failed")
        self.assertEqual(self.names("response"), [])

    def test_killed_between_claim_and_giving_back(self) -> None:
        jobs = self.crash_everywhere(claim_and_give_back)
        for uuid in jobs:
            token = self.entry(uuid).get("token")
            if token is not None:
                try:
                    self.folder().resume(uuid, token).give_back()
                except JobLost:
                    self.fail("its token stands in the index")
            self.assertNotIn(self.status(uuid), ("done", "failed", "canceled"))
