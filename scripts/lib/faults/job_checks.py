"""What must hold for the jobs of a site that has come to rest: their ids, ends, results, runs."""

import collections
import datetime

from faults.folder import digest
from faults.ledger import FINAL

# A job may be lost with its worker so often before it has failed.
LOSSES_ALLOWED = 3


class JobChecks:
    """Compares what clients were told, the index, the facts, and the starts that the scripts wrote
    down.
    """

    def __init__(self, site, watch, rules):
        self.site = site
        self.watch = watch
        self.rules = rules
        self.folder = site.folder
        self.ledger = site.ledger
        self.entries = self.folder.entries()
        ids = self.folder.ids("receipt")
        self.receipts = {uuid: self.folder.document("receipt", f"{uuid}.json") for uuid in ids}

    def make(self):
        self.check_acknowledged()
        self.check_submissions()
        self.check_ends()
        self.check_facts()
        self.check_runs()
        self.check_claims()

    def expect(self, holds, check, subject, text):
        if check not in self.rules.without:
            self.site.findings.expect(holds, check, subject, text)

    def check_acknowledged(self):
        for job in self.ledger.acknowledged():
            if job.gone:
                there = [
                    folder
                    for folder in ("request", "receipt")
                    if job.uuid in self.folder.ids(folder)
                ]
                back = job.uuid in self.entries or there
                self.expect(not back, "deleted-stay-deleted", job.uuid, f"entry or files: {there}")
            else:
                text = "it has no entry in the index"
                self.expect(job.uuid in self.entries, "acknowledged-kept", job.uuid, text)

    def check_submissions(self):
        """Which jobs came of which submissions, by the nonce in their bodies."""
        jobs = collections.defaultdict(set)
        for uuid in self.folder.ids("request"):
            request = self.folder.document("request", f"{uuid}.json")
            params = request.get("params") if isinstance(request, dict) else None
            if isinstance(params, dict) and isinstance(params.get("nonce"), str):
                jobs[params["nonce"]].add(uuid)
        for submission in self.ledger.submissions.values():
            made = jobs[submission.nonce]
            if submission.fate == "refused":
                text = f"it was answered {submission.status}, and became {made}"
                self.expect(not made, "refused-absent", submission.nonce, text)
            elif submission.fate in ("sent", "unanswered"):
                self.expect(
                    len(made) <= 1, "unanswered-once", submission.nonce, f"it became {made}"
                )
            else:
                others = made - {submission.uuid}
                text = f"it was answered {submission.uuid}, and became {others} as well"
                self.expect(not others, "unanswered-once", submission.nonce, text)

    def check_ends(self):
        responses = self.folder.ids("response")
        for uuid, entry in self.entries.items():
            status = entry["status"]
            if status not in FINAL:
                continue
            receipt = self.receipts.get(uuid)
            says = (
                receipt.get("status")
                if isinstance(receipt, dict)
                else "nothing: it is missing or no JSON"
            )
            text = f"the index says {status}, the receipt {says}"
            self.expect(says == status, "final-has-fact", uuid, text)
            if status == "done":
                self.check_result(uuid, receipt, uuid in responses)
            elif status == "failed":
                self.check_failure(uuid, receipt)

    def check_result(self, uuid, receipt, there):
        if uuid in self.rules.honest:
            return
        data = self.folder.read("response", f"{uuid}.json") if there else None
        result = self.folder.document("response", f"{uuid}.json") if there else None
        self.expect(
            result is not None, "done-has-response", uuid, "its response is missing or no JSON"
        )
        if not isinstance(result, dict) or not isinstance(receipt, dict):
            return
        stated = (receipt.get("sha256") or {}).get("response")
        request = self.folder.document("request", f"{uuid}.json") or {}
        nonce = (request.get("params") or {}).get("nonce")
        job = self.ledger.jobs.get(uuid)
        same = result.get("nonce") == nonce and (job is None or job.nonce in (None, nonce))
        same = same and (stated is None or stated == digest(data))
        same = same and (receipt.get("attempt") in (None, result.get("attempt")))
        self.expect(
            same,
            "result-right",
            uuid,
            f"request {nonce}, receipt {receipt}, result {str(result)[:200]}",
        )

    def check_failure(self, uuid, receipt):
        failure = (receipt or {}).get("failure") or {}
        reason = failure.get("reason")
        honest = reason in self.rules.reasons or reason in self.rules.honest.get(uuid, ())
        request = self.folder.document("request", f"{uuid}.json") or {}
        wanted = bool((request.get("params") or {}).get("fail"))
        if reason == "exit_code" and uuid not in self.rules.honest:
            honest = wanted
        if reason == "worker_lost" and uuid not in self.rules.honest:
            lost = [
                run for run in receipt.get("attempts", ()) if run.get("outcome") == "worker_lost"
            ]
            honest = honest and len(lost) >= LOSSES_ALLOWED
        self.expect(honest, "honest-end", uuid, f"it failed with {failure}, receipt {receipt}")

    def check_facts(self):
        for folder, uuid in self.watch.facts:
            job = self.ledger.jobs.get(uuid)
            if job is None or not job.gone:
                self.watch.check_facts(folder, uuid, self.folder.read(folder, f"{uuid}.json"))

    def check_runs(self):
        seen = set()
        latest = collections.Counter()
        for uuid, attempt, _, at in self.site.starts():
            job = self.ledger.jobs.get(uuid)
            self.expect(
                (uuid, attempt) not in seen, "runs-counted", uuid, f"run {attempt} began twice"
            )
            seen.add((uuid, attempt))
            latest[uuid] = max(latest[uuid], attempt)
            if job is None:
                continue
            late = at - self.rules.late_start
            if job.canceled_at is not None:
                text = f"run {attempt} began {at - job.canceled_at:.3f} s after the answer"
                self.expect(late < job.canceled_at, "canceled-never-ran", uuid, text)
            if job.final_at is not None and uuid not in self.rules.honest:
                text = (
                    f"run {attempt} began {at - job.final_at:.3f} s after it was seen {job.final}"
                )
                self.expect(late < job.final_at, "ended-never-runs", uuid, text)
        for job in self.ledger.jobs.values():
            if job.canceled_at is not None:
                self.expect(True, "canceled-never-ran", job.uuid, "")
        for uuid, receipt in self.receipts.items():
            attempt = receipt.get("attempt") if isinstance(receipt, dict) else None
            if attempt is not None:
                text = f"run {latest[uuid]} was begun, and run {attempt} ended it"
                self.expect(attempt >= latest[uuid], "last-run-ends", uuid, text)

    def check_claims(self):
        """First claims by one worker follow the order of the entries."""
        latest = {}
        known = {job.uuid for job in self.ledger.acknowledged()}
        for uuid in self.entries:
            receipt = self.receipts.get(uuid)
            runs = receipt.get("attempts") if isinstance(receipt, dict) else None
            # A job that nobody was told of may have got its entry late, before others that were
            # claimed already.
            if not runs or runs[0].get("attempt") != 1 or uuid not in known:
                continue
            worker, claimed = (
                runs[0]["worker"],
                datetime.datetime.fromisoformat(runs[0]["started_date"]),
            )
            before = latest.get(worker)
            holds = before is None or before[0] <= claimed
            self.expect(
                holds,
                "claims-in-order",
                uuid,
                lambda before=before, claimed=claimed: (
                    f"claimed at {claimed}, {before[1]} behind it at {before[0]}"
                ),
            )
            if before is None or claimed > before[0]:
                latest[worker] = (claimed, uuid)
