"""`diskfull`: the disk of the shared folder runs out of room, down to the last byte."""

import os

from faults.load import cancel, look, submit
from faults.rounds import Campaign, until
from faults.site import CALM_BEAT
from faults.volume import Tmpfs, lacks_tmpfs

MIB = 1 << 20
# The product keeps 256 MiB free on a small volume.
SIZE = 320
KEPT_FREE = 256 * MIB
PATIENCE = 30.0
SLOTS = 3


class DiskFull(Campaign):
    """One round goes through all: nearly full, not a byte left, a worker's start without room, and
    room again.
    """

    name = "diskfull"
    quick = 2
    full = 100
    per_site = 1
    what = "full disks"

    def missing(self):
        return lacks_tmpfs(self.options.folder)

    def make_site(self, home, dice):
        self.volume = Tmpfs(os.path.join(home, "volume"), SIZE)
        return self.site(
            home, slots=SLOTS, shared=os.path.join(self.volume.path, "bcrlapi"), settings=CALM_BEAT
        )

    def make_load(self, site, seed):
        return None

    def close(self, stage):
        self.volume.close()

    def round(self, stage):
        # Jobs end when their gate is opened: three that run, and those that wait for a slot.
        *gates, last = [stage.site.at(f"gate{n}") for n in range(SLOTS + 1)]
        self.submit(stage, 4)
        running = [self.submit(stage, 1, gate=gate)[0] for gate in gates]
        text = "not started"
        if not self.expect_soon(
            lambda: self.all_are(stage, running, "processing"), "all-ended", running[0], text
        ):
            return
        waiting = self.submit(stage, SLOTS + 2, gate=last)
        self.nearly_full(stage, running[0], gates[0])
        self.volume.fill(0)
        # Nothing is free now but the reserve that the product keeps for this moment.
        steps = [
            lambda: self.cancel_waiting(stage, waiting.pop()),
            lambda: self.restart_worker(stage),
        ]
        stage.dice.shuffle(steps)
        for step in steps:
            step()
            stage.site.check_services()
        self.check_refused(stage, f"{stage.seed}-no-byte")
        if stage.dice.random() < 0.5:
            self.end_all(stage, running[1:] + waiting, [*gates, last])
        else:
            self.fill_up_again(stage, waiting[-1])
        self.room_again(stage)
        for gate in (*gates, last):
            open_gate(gate)

    def nearly_full(self, stage, uuid, gate):
        """Less is free than is kept for results: submissions are refused, and what runs ends."""
        self.volume.fill(stage.dice.randrange(40 * MIB, KEPT_FREE - MIB))
        for n in range(3):
            self.check_refused(stage, f"{stage.seed}-full-{n}")
        open_gate(gate)
        text = "not done on a nearly full disk"
        self.expect_soon(lambda: self.all_are(stage, [uuid], "done"), "full-ends", uuid, text)

    def cancel_waiting(self, stage, uuid):
        """The job at the end of the queue is canceled where it waits."""
        stage.site.ledger.note("cancel without room", free=self.volume.free())
        answer = cancel(stage.site, uuid, stage.site.address())
        holds = answer.status == 200 and answer.json()["status"] == "canceled"
        self.findings.expect(holds, "full-cancels", uuid, f"{answer.status} {answer.text()}")

    def restart_worker(self, stage):
        stage.site.ledger.note("restart without room", free=self.volume.free())
        worker = stage.site.workers[0]
        if stage.dice.random() < 0.5:
            worker.kill()
        else:
            code = worker.end()
            text = f"it ended with {code} on a full disk"
            self.findings.expect(code == 0, "service-up", worker.name, text)
        stage.site.up(worker)

    def end_all(self, stage, uuids, gates):
        """What runs and what waits comes to its end while there is no room."""
        stage.site.ledger.note("end without room", free=self.volume.free())
        for gate in gates:
            open_gate(gate)
        for uuid in uuids:
            self.expect_soon(
                lambda uuid=uuid: self.all_are(stage, [uuid], "done"),
                "full-ends",
                uuid,
                "not done without a byte left",
            )

    def fill_up_again(self, stage, uuid):
        """Even the reserve is taken away: what is answered is true, and no service ends."""
        self.volume.fill(0)
        answer = cancel(stage.site, uuid, stage.site.address())
        text = f"a cancel without room: {answer.status} {answer.text()}"
        self.findings.expect(answer.status in (200, 507), "answers-expected", uuid, text)
        look(stage.site, uuid, stage.site.address())
        stage.sleep(0.1, 2.0)
        stage.site.check_services()
        self.findings.note("disks filled again after the reserve was freed")

    def room_again(self, stage):
        """Room comes back, and nobody has to do anything else."""
        self.volume.empty()
        tries = []

        def accepted():
            nonce = f"{stage.seed}-room-{len(tries)}"
            tries.append(submit(stage.site, nonce, {"nonce": nonce}, (202, 507, 503)))
            return tries[-1] is not None and tries[-1].status == 202

        def reserve_is_back():
            return ".reserve" in os.listdir(stage.site.shared)

        text = "not accepted although there is room"
        self.expect_soon(accepted, "room-again", "a submission", text, pause=0.3)
        self.expect_soon(reserve_is_back, "room-again", ".reserve", "not made again")

    def check_refused(self, stage, nonce):
        """A submission gets 507, and leaves no trace in the folder."""
        folder = stage.site.folder
        before = set(folder.names("request"))
        answer = submit(stage.site, nonce, {"nonce": nonce, "pad": 1}, (507,))
        # The job that is being finished may replace the index, and has its temporary file there for
        # a moment.
        made = {
            name for name in set(folder.names("request")) - before if not name.startswith(".tmp-")
        }
        holds = answer is not None and answer.status == 507 and not made
        self.findings.expect(
            holds, "full-refused", nonce, f"{answer and answer.status}, and {made} were made"
        )

    def submit(self, stage, count, **fields):
        """Submits so many jobs, and returns their ids."""
        uuids = []
        for _ in range(count):
            nonce = f"{stage.seed}-{len(stage.site.ledger.submissions)}"
            answer = submit(
                stage.site, nonce, {"nonce": nonce, "pad": stage.dice.randrange(20_000), **fields}
            )
            uuids.append(answer.json()["uuid"])
        return uuids

    def all_are(self, stage, uuids, status):
        """Whether these jobs are shown in this status."""
        return all(look(stage.site, uuid, stage.site.address()) == status for uuid in uuids)

    def expect_soon(self, look_again, check, subject, text, pause=0.05):
        return self.findings.expect(
            until(look_again, PATIENCE, pause), check, subject, f"{text} after {PATIENCE:.0f} s"
        )


def open_gate(gate):
    with open(gate, "w"):
        pass
