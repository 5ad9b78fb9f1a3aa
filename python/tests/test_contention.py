"""Many writers at once lose nothing, and readers see nothing half."""

from __future__ import annotations

import json
from typing import Any

from bcrl import Folder

from .support import PATIENCE, FolderTest, python, until

# Changes one field of its own in one entry, again and again.
EDIT = """
import sys
from bcrl import edit
root, place, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
def change(jobs):
    job, name = jobs[place % len(jobs)], "n" + sys.argv[2]
    job[name] = job.get(name, 0) + 1
for _ in range(times):
    edit(root, change, lock_timeout=60)
print("done", flush=True)
"""

# The same, by a script that knows only of a lock on status.json itself.
EDIT_WITH_ITS_OWN_LOCK = """
import fcntl, json, os, sys, tempfile
path = os.path.join(sys.argv[1], "request", "status.json")
place, times = sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(times):
    while True:
        file = open(path)
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_ino == os.stat(path).st_ino:
            break
        file.close()
    doc = json.load(file)
    doc["jobs"][0]["n" + place] = doc["jobs"][0].get("n" + place, 0) + 1
    fd, tmp = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".tmp-")
    with os.fdopen(fd, "w") as new:
        json.dump(doc, new)
    os.rename(tmp, path)
    file.close()
print("done", flush=True)
"""

# Claims and finishes until nothing is left.
WORK = """
import sys
from bcrl import Folder
print("ready", flush=True)
sys.stdin.readline()
with Folder(sys.argv[1], lock_timeout=60, name="w" + sys.argv[2]) as folder:
    while job := folder.claim():
        if job.attempt == 1 and job.params % 5 == 0:
            job.give_back()
        else:
            job.finish([job.params, job.attempt])
print("done", flush=True)
"""


class Contention(FolderTest):
    def together(self, *programs: tuple[str, int]) -> int:
        """Runs programs at the same time; how often the index was read whole meanwhile."""
        processes = [
            python(code, str(self.root), str(place), str(times))
            for place, (code, times) in enumerate(programs)
        ]
        for process in processes:
            self.addCleanup(process.communicate)
            self.addCleanup(process.kill)
        pipes = [(process.stdin, process.stdout) for process in processes]
        for _, out in pipes:
            assert out is not None
            self.assertEqual(out.readline(), "ready\n")
        for into, _ in pipes:
            assert into is not None
            into.write("go\n")
            into.flush()
        reads = [0]

        def all_ended() -> bool:
            for _ in range(20):
                json.loads(self.index_file.read_bytes())
                reads[0] += 1
            return all(process.poll() is not None for process in processes)

        until("the end of all writers", all_ended, 4 * PATIENCE)
        self.assertEqual([process.returncode for process in processes], [0] * len(processes))
        return reads[0]

    def counted(self, jobs: list[dict[str, Any]]) -> dict[str, int]:
        return {name: job[name] for job in jobs for name in job if name in {"n0", "n1", "n2", "n3"}}

    def test_four_writers_with_500_changes_each_lose_none(self) -> None:
        for _ in range(3):
            self.submit()
        reads = self.together(*[(EDIT, 500)] * 4)
        self.assertGreater(reads, 0)
        jobs = json.loads(self.index_file.read_bytes())["jobs"]
        self.assertEqual(self.counted(jobs), {"n0": 500, "n1": 500, "n2": 500, "n3": 500})

    def test_a_script_that_locks_the_index_itself_loses_none_and_makes_none_lost(self) -> None:
        self.submit()
        self.together((EDIT, 200), (EDIT_WITH_ITS_OWN_LOCK, 200), (EDIT, 200))
        jobs = json.loads(self.index_file.read_bytes())["jobs"]
        self.assertEqual(self.counted(jobs), {"n0": 200, "n1": 200, "n2": 200})

    def test_each_job_is_done_once(self) -> None:
        uuids = [self.submit(params=str(number)) for number in range(60)]
        self.together(*[(WORK, 0)] * 4)
        self.assertEqual([job.status for job in Folder(self.root).jobs()], ["done"] * 60)
        for number, uuid in enumerate(uuids):
            runs = 2 if number % 5 == 0 else 1
            self.assertEqual(self.document_text("response", uuid), f"[{number},{runs}]")
            self.assertEqual(len(self.document("receipt", uuid)["attempts"]), runs)
        self.assertEqual(self.names("quarantine/late"), [])
        self.assertEqual([self.names(name) for name in ("lease", "workers")], [[], []])

    def document_text(self, folder: str, job: str) -> str:
        return (self.root / folder / f"{job}.json").read_text()
