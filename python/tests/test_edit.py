"""Changes by hand: what is allowed, what is refused, and that all else stays as it was."""

from __future__ import annotations

import json
from typing import Any, Callable

from bcrl import InvalidEdit, Job, edit

from .support import FolderTest


class Edit(FolderTest):
    def setUp(self) -> None:
        super().setUp()
        self.first = self.submit(note={"b": [1, 2.50], "電": "池"})
        self.second = self.submit()

    def change(self, change: Callable[[list[dict[str, Any]]], object]) -> None:
        edit(self.root, change)

    def refuses(self, reason: str, change: Callable[[list[dict[str, Any]]], object]) -> None:
        before = self.index_file.read_bytes()
        with self.assertRaisesRegex(InvalidEdit, reason):
            self.change(change)
        self.assertEqual(self.index_file.read_bytes(), before)

    def claimed(self) -> Job:
        job = self.folder().claim_detached()
        assert job is not None
        return job

    def set_first(self, **fields: Any) -> Callable[[list[dict[str, Any]]], object]:
        return lambda jobs: jobs[0].update(fields)

    def test_a_note_changes_its_line_and_no_other_byte(self) -> None:
        text = self.index_file.read_text().replace("2.5]", "2.500]")
        self.write_index(text)
        self.change(lambda jobs: jobs[1].update(note="seen"))
        head = text[: text.index(f'{{"uuid":"{self.second}"')]
        after = self.index_file.read_text()
        self.assertTrue(after.startswith(head))
        self.assertIn('"note":"seen"}', after)
        self.change(self.set_first(seen=True))
        self.assertIn('"note":{"b": [1, 2.500], ', self.index_file.read_text())

    def test_foreign_keys_and_broken_entries_stay(self) -> None:
        doc = self.index_file.read_text()
        doc = doc.replace('{"jobs":[', '{"owner": {"x":1.0}, "jobs":[null, {"n":1.50},')
        self.write_index(doc)
        self.change(lambda jobs: jobs[0].update(note=1))
        after = self.index_file.read_text()
        self.assertIn('"owner":{"x":1.0}', after)
        self.assertIn('\nnull,\n{"n":1.50},\n', after)

    def test_nothing_is_written_where_nothing_changed(self) -> None:
        inode = self.index_file.stat().st_ino
        self.change(lambda jobs: None)
        self.assertEqual(self.index_file.stat().st_ino, inode)

    def test_nothing_is_written_where_the_change_raises(self) -> None:
        before = self.index_file.read_bytes()

        def change(jobs: list[dict[str, Any]]) -> None:
            jobs[0]["status"] = "processing"
            raise KeyError("no")

        with self.assertRaises(KeyError):
            self.change(change)
        self.assertEqual(self.index_file.read_bytes(), before)

    def test_a_life_by_hand(self) -> None:
        self.change(self.set_first(status="processing"))
        self.refuses("no JSON document", self.set_first(status="done"))
        response = self.root / "response" / f"{self.first}.json"
        response.write_text("{")
        self.refuses("no JSON document", self.set_first(status="done"))
        response.write_text("{}")
        self.change(self.set_first(status="done"))
        self.assertEqual(self.status(self.first), "done")
        self.refuses("final", self.set_first(status="pending"))

    def test_back_failed_and_canceled_by_hand(self) -> None:
        self.change(self.set_first(status="processing"))
        self.change(self.set_first(status="pending"))
        self.change(self.set_first(status="canceled"))
        failure = {"reason": "invalid_request", "message": "no cell"}
        self.change(lambda jobs: jobs[1].update(status="failed", failure=failure))
        statuses = [self.status(uuid) for uuid in (self.first, self.second)]
        self.assertEqual(statuses, ["canceled", "failed"])

    def test_never_what_has_ended_or_is_to_end(self) -> None:
        self.folder().jobs()
        start = self.set_first(status="processing")
        for name in (f"cancel/{self.first}", f"response/{self.first}.json"):
            (self.root / name).write_text("{}")
            self.refuses("a result already, or a client wants its end", start)
            (self.root / name).unlink()
        receipt = self.root / "receipt" / f"{self.first}.json"
        receipt.write_text("{}")
        self.refuses("as its receipt says", start)
        receipt.unlink()
        (self.root / "request" / f"{self.first}.json").unlink()
        self.refuses("no longer in the folder", start)

    def test_a_run_of_a_worker_is_its_own(self) -> None:
        job = self.claimed()
        for fields in ({"status": "pending"}, {"status": "canceled"}, {"status": "done"}):
            self.refuses("a worker runs it", self.set_first(**fields))
        self.refuses("token", self.set_first(token="0" * 32))
        self.refuses("token", lambda jobs: jobs[0].pop("token"))
        self.refuses("token", lambda jobs: jobs[1].update(token="0" * 32))
        self.change(self.set_first(note="mine"))
        job.finish(1)
        self.assertEqual(self.entry(self.first)["note"], "mine")

    def test_what_is_no_entry_is_refused(self) -> None:
        for fields in (
            {"status": "sleeping"},
            {"status": None},
            {"api": "add"},
            {"request_date": "yesterday"},
            {"uuid": self.second},
            {"finished_date": "yesterday"},
            {"failure": "bad"},
            {"x": float("nan")},
            {"x": {1, 2}},
            {"x": "\ud800"},
        ):
            with self.subTest(fields=fields):
                self.refuses("", self.set_first(**fields))

        def no_object(jobs: list[Any]) -> None:
            jobs[0] = None

        self.refuses("object", no_object)

    def test_entries_stay_and_stay_in_their_order(self) -> None:
        self.refuses("removed", lambda jobs: jobs.pop())
        self.refuses("removed", lambda jobs: jobs.reverse())
        self.refuses("twice", lambda jobs: jobs.append(dict(jobs[0])))
        self.refuses("no job id", lambda jobs: jobs.append({"uuid": "x"}))

    def test_a_new_entry_needs_its_request(self) -> None:
        text = self.index_file.read_text()
        third = self.submit("add")
        entry = self.entry(third)
        self.write_index(text)
        self.refuses("and the index says soc", lambda jobs: jobs.append({**entry, "api": "soc"}))
        self.refuses("pending", lambda jobs: jobs.append({**entry, "status": "done"}))
        self.change(lambda jobs: jobs.append(entry))
        self.assertEqual([entry.uuid for entry in self.index()][-1], third)
        strange = dict(json.loads(json.dumps(entry)), uuid=third[:-1] + "0")
        if strange["uuid"] != third:
            self.refuses("no longer in the folder", lambda jobs: jobs.append(strange))
