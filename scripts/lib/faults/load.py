"""Clients: they submit, look, fetch results and cancel, wherever an API is at the moment."""

import json
import random
import threading
import time

from faults.client import NoAnswer, ask
from faults.folder import digest
from faults.ledger import FINAL


class Mix:
    """What the clients do, in shares between 0 and 1."""

    def __init__(
        self,
        bad=0.04,
        cancel=0.06,
        orphan=0.1,
        progress=0.1,
        fail=0.05,
        pad=0.1,
        naps=((0.0, 0.2),),
    ):
        # Submissions that are to be refused.
        self.bad = bad
        # Looks at a job that end with its being canceled.
        self.cancel = cancel
        # Jobs that leave a process behind, show progress, fail by themselves, print a lot.
        self.orphan = orphan
        self.progress = progress
        self.fail = fail
        self.pad = pad
        # How long the first, second, … run of a job takes, each between two numbers of seconds.
        self.naps = naps


class Load:
    """Threads that play clients until they are told to stop."""

    def __init__(
        self, site, seed, mix=None, submitters=3, lookers=2, pause=0.15, allowed=(202, 503)
    ):
        self.site = site
        self.ledger = site.ledger
        self.findings = site.findings
        self.seed = seed
        self.mix = mix or Mix()
        self.pause = pause
        # The answers that a sound submission may have.
        self.allowed = allowed
        self.stopping = threading.Event()
        self.running = threading.Event()
        self.running.set()
        self.failure = None
        self.after_202 = None
        self.threads = [
            threading.Thread(target=self._again, args=(step, number), daemon=True)
            for number, step in enumerate([self.submit] * submitters + [self.look] * lookers)
        ]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        """Stops all clients; whatever was on its way is answered, or its connection broken."""
        self.stopping.set()
        self.running.set()
        for thread in self.threads:
            thread.join()
        if self.failure is not None:
            raise self.failure

    def hold(self):
        """Lets the clients pause before their next steps."""
        self.running.clear()

    def go_on(self):
        self.running.set()

    def _again(self, step, number):
        dice = random.Random(f"{self.seed} client {number}")
        count = 0
        try:
            while not self.stopping.is_set():
                self.running.wait()
                step(dice, f"{self.seed}-{number}-{count}")
                count += 1
                self.stopping.wait(self.pause * dice.uniform(0.2, 1.8))
        except Exception as error:
            self.failure = error

    def body(self, dice, nonce):
        mix = self.mix
        body = {"nonce": nonce, "naps": [round(dice.uniform(*nap), 3) for nap in mix.naps]}
        for name, share, value in (
            ("orphan", mix.orphan, True),
            ("progress", mix.progress, True),
            ("fail", mix.fail, True),
            ("pad", mix.pad, dice.randrange(1, 40_000)),
        ):
            if dice.random() < share:
                body[name] = value
        return body

    def submit(self, dice, nonce):
        """Submits one job, now and then one that is to be refused."""
        body = self.body(dice, nonce)
        if dice.random() < self.mix.bad:
            return self.submit_bad(dice, nonce, body)
        return submit(self.site, nonce, body, self.allowed, dice, self.after_202)

    def submit_bad(self, dice, nonce, body):
        """Submits something that is no job; it is to be refused and forgotten."""
        kind = dice.choice(("half", "schema", "api"))
        text, path, due = json.dumps(body), f"/api/v1/jobs/{self.site.app}", 400
        if kind == "half":
            text = text[:-1]
        elif kind == "schema":
            text, due = json.dumps({**body, "naps": nonce}), 422
        else:
            path, due = "/api/v1/jobs/nobody", 404
        self.ledger.sent(nonce, text)
        try:
            answer = ask(self.site.address(dice), "POST", path, text.encode())
        except NoAnswer as why:
            self.ledger.unanswered(nonce, str(why))
            return
        self.ledger.answered(nonce, answer.status)
        self.findings.expect(
            answer.status == due or answer.status in self.site.trouble,
            "answers-expected",
            nonce,
            f"{kind}: {answer.status} {answer.text()}",
        )

    def look(self, dice, _):
        """Looks at a job that has not ended, or sometimes again at one that has; cancels a few."""
        open_ids = self.ledger.open_ids()
        ended = [
            job.uuid for job in self.ledger.acknowledged() if job.final is not None and not job.gone
        ]
        pool = ended if ended and (not open_ids or dice.random() < 0.3) else open_ids
        if not pool:
            return
        uuid = dice.choice(pool)
        address = self.site.address(dice)
        try:
            if uuid in open_ids and dice.random() < self.mix.cancel:
                cancel(self.site, uuid, address)
            else:
                look(self.site, uuid, address)
        except NoAnswer:
            pass


def submit(site, nonce, body, allowed=(202,), dice=random, after_202=None):
    """Submits one job, and writes down what became of it; returns the answer, or nothing."""
    text = json.dumps(body)
    site.ledger.sent(nonce, body)
    try:
        answer = ask(site.address(dice), "POST", f"/api/v1/jobs/{site.app}", text.encode())
    except NoAnswer as why:
        site.ledger.unanswered(nonce, str(why))
        return None
    if answer.status != 202 and not site.powered:
        # A server would not have outlived this moment.
        site.ledger.unanswered(nonce, f"{answer.status} after the power went")
        return answer
    uuid = (answer.json() or {}).get("uuid") if answer.status == 202 else None
    if uuid is not None and after_202 is not None:
        # Whatever is to happen the moment a client has its answer.
        after_202()
    site.ledger.answered(nonce, answer.status, uuid)
    site.findings.expect(
        answer.status in allowed,
        "answers-expected",
        nonce,
        lambda: f"a submission: {answer.status} {answer.text()}",
    )
    return answer


def look(site, uuid, address):
    """Asks for a job, and for its result where it is done; returns its status, or nothing where
    none was shown.
    """
    since = time.monotonic()
    answer = ask(address, "GET", f"/api/v1/jobs/{uuid}")
    if answer.status in (404, 410):
        if site.keeps:
            site.findings.expect(
                False, "acknowledged-kept", uuid, f"a look: {answer.status} {answer.text()}"
            )
        site.ledger.gone(uuid)
        return None
    job = answer.json()
    if answer.status != 200 or not isinstance(job, dict):
        site.findings.expect(
            answer.status in site.trouble,
            "answers-expected",
            uuid,
            lambda: f"a look: {answer.status} {answer.text()}",
        )
        return None
    site.ledger.saw(uuid, job["status"], "GET", since, job.get("failure"))
    if job["status"] == "done" and uuid not in site.damaged:
        result = ask(address, "GET", f"/api/v1/jobs/{uuid}/result")
        if result.status == 200:
            site.ledger.result(uuid, digest(result.body))
    return job["status"]


def cancel(site, uuid, address):
    """Asks for a job's end; returns the answer."""
    since = time.monotonic()
    answer = ask(address, "DELETE", f"/api/v1/jobs/{uuid}")
    job = answer.json() or {}
    if answer.status == 200 and job.get("status") == "canceled":
        site.ledger.canceled(uuid, since)
    elif answer.status == 200:
        site.ledger.note("cancel requested", uuid=uuid)
        if job.get("status") in FINAL:
            site.ledger.saw(uuid, job["status"], "the answer to DELETE", since, job.get("failure"))
    return answer
