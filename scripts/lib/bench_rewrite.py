"""What one status change costs a script that keeps the queue as one JSON file and rewrites it whole.

usage: bench_rewrite.py FOLDER JOBS

Prints the median seconds of: reading the file, changing one entry and writing all of it back in
place; and of the same made durable by a temporary file, fsync and rename.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path


def main(folder: Path, jobs: int) -> None:
    path = folder / f"rewrite-{jobs}.json"
    entry = {"api": "soc", "status": "done", "request_date": "2026-11-20T12:00:00+09:00"}
    queue = {"jobs": [{"uuid": str(uuid.uuid4()), **entry} for _ in range(jobs)]}
    path.write_text(json.dumps(queue, indent=4, ensure_ascii=False), encoding="utf-8")

    def changed() -> str:
        document = json.loads(path.read_text(encoding="utf-8"))
        document["jobs"][jobs // 2]["status"] = "processing"
        return json.dumps(document, indent=4, ensure_ascii=False)

    def in_place() -> None:
        path.write_text(changed(), encoding="utf-8")

    def durable() -> None:
        temporary = path.with_suffix(".tmp")
        with temporary.open("w", encoding="utf-8") as file:
            file.write(changed())
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        fd = os.open(folder, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)

    rounds = 5 if jobs > 5000 else 15
    print(f"{median(in_place, rounds):.6f} {median(durable, rounds):.6f}")
    path.unlink()


def median(change: Callable[[], None], rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        change()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
