"""Edits of the index that keep the rules of the protocol: whatever they add has to survive."""

import json
import os
import random
import threading
import time

from faults.rounds import until

# How long a damaged index may stay so, in seconds: a sweep, and what a busy machine may add.
MEND_PATIENCE = 15.0
# Edits of each of two scripts that change the index side by side.
BURST = 25


class EditsByRule:
    """A part of the campaign `edits`."""

    def edits_by_rule(self):
        return (
            self.add_keys,
            self.add_keys_in_place,
            self.reorder,
            self.drop,
            self.byte_order_mark,
            self.end_by_hand,
            self.two_at_once,
        )

    def change_keys(self, stage):
        """A change that adds something to an entry and something beside the jobs."""
        number = stage.dice.randrange(1 << 30)

        def change(document):
            entry = stage.dice.choice(document["jobs"])
            value = {"n": number, "text": '試験 \u2028"\\', "list": [1.5, None, True]}
            entry[f"x_{number}"] = value
            document[f"x_{number}"] = number
            stage.notes["keys"].setdefault(entry["uuid"], {})[f"x_{number}"] = value
            stage.notes["top"][f"x_{number}"] = number

        return change

    def add_keys(self, stage):
        stage.site.folder.edit(self.change_keys(stage))

    def add_keys_in_place(self, stage):
        """Truncate and write, under the lock: whoever reads without it may see half of it, and has
        to come again.
        """
        folder = stage.site.folder
        with stage.watch.blind(), folder.locked():
            document = folder.index()
            self.change_keys(stage)(document)
            data = json.dumps(document, indent=1).encode()
            with open(folder.index_path, "r+b", buffering=0) as file:
                file.truncate(0)
                half = stage.dice.randrange(len(data))
                file.write(data[:half])
                stage.sleep(0.0, 0.4)
                file.write(data[half:])

    def reorder(self, stage):
        order = []

        def change(document):
            stage.dice.shuffle(document["jobs"])
            order.extend(job["uuid"] for job in document["jobs"])

        stage.site.folder.edit(change)
        self.submit_one(stage, f"order-{self.rounds}")
        now = [uuid for uuid in stage.site.folder.entries() if uuid in set(order)]
        self.findings.expect(
            now == order,
            "foreign-kept",
            "status.json",
            "the order that somebody gave the entries was lost",
        )

    def drop(self, stage):
        """An entry is taken out; its facts bring it back."""
        gone = []

        def change(document):
            # What nobody knows of is in the index alone.
            job = stage.dice.choice(document["jobs"])
            document["jobs"].remove(job)
            gone.append(job["uuid"])

        with stage.watch.blind():
            stage.watch.distrust_index()
            stage.site.folder.edit(change)
            stage.notes["keys"].pop(gone[0], None)
            self.wait_until_mended(stage, "drop")
            stage.watch.trust_index()

    def byte_order_mark(self, stage):
        folder = stage.site.folder
        with stage.watch.blind():
            with folder.locked():
                folder.replace_index(b"\xef\xbb\xbf" + folder.read("request", "status.json"))
            self.submit_one(stage, f"mark-{self.rounds}")
            self.wait_until_mended(stage, "byte order mark")

    def end_by_hand(self, stage):
        """A third party takes a job that waits, writes its response, and says so."""
        taken = []
        folder = stage.site.folder

        def take(document):
            for job in document["jobs"]:
                if job["status"] == "pending" and "progress" not in job:
                    job["status"] = "processing"
                    taken.append(job["uuid"])
                    return

        uuid = None
        for attempt in range(20):
            # It has to be quicker than the workers.
            self.submit_one(stage, f"hand-{self.rounds}-{attempt}")
            folder.edit(take)
            if taken:
                uuid = taken[0]
                break
        if uuid is None:
            self.findings.note("ended by hand: nothing waited")
            return
        nonce = folder.document("request", f"{uuid}.json")["params"]["nonce"]
        temporary = folder.at("response", f".tmp-by-hand-{uuid}")
        lease = folder.document("lease", f"{uuid}.json")
        result = {"nonce": nonce, "by": "hand", **({"attempt": lease["attempt"]} if lease else {})}
        with open(temporary, "w") as file:
            json.dump(result, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, folder.at("response", f"{uuid}.json"))

        def finish(document):
            for job in document["jobs"]:
                if job["uuid"] == uuid and job["status"] == "processing":
                    job["status"] = "done"

        folder.edit(finish)
        stood = until(lambda: uuid in folder.ids("receipt"), MEND_PATIENCE)
        self.findings.expect(
            stood, "final-has-fact", uuid, "no receipt was written for an end by hand"
        )

    def two_at_once(self, stage):
        """Two scripts and the product change the index side by side, all by the rules: nothing is
        lost.
        """
        folder = stage.site.folder
        failures = []
        added = [{}, {}]

        def edit_again_and_again(number, dice):
            try:
                for n in range(BURST):
                    key = f"x_{self.rounds}_{number}_{n}"

                    def change(document, key=key):
                        entry = dice.choice(document["jobs"])
                        entry[key] = key
                        added[number].setdefault(entry["uuid"], {})[key] = key

                    folder.edit(change)
                    time.sleep(dice.uniform(0, 0.01))
            except Exception as error:
                failures.append(error)

        dice = [random.Random(stage.dice.random()) for _ in added]
        threads = [
            threading.Thread(target=edit_again_and_again, args=(n, dice[n]), daemon=True)
            for n in (0, 1)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        for keys in added:
            for uuid, more in keys.items():
                stage.notes["keys"].setdefault(uuid, {}).update(more)
