"""`bcrl up` on a folder of its own, with the apps of the repository and one that waits."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import urllib.request

APPS = os.path.join(os.path.dirname(__file__), "..", "..", "..", "apps")
PATIENCE = 60

# Says how far it is, and goes on once somebody opens the gate.
HELD = """\
import json, os, sys
print("reading the samples", file=sys.stderr, flush=True)
with open(os.environ["BCRL_PROGRESS"], "a") as progress:
    progress.write(json.dumps({{"percent": 40, "message": "240 of 600"}}) + "\\n")
request = json.load(sys.stdin)
with open({gate!r}) as gate:
    word = gate.read().strip()
if word == "fail":
    sys.exit("bad request: the samples make no sense <b>here</b>")
rows = [{{"name": "<script>alert(1)</script>", "value": 1.5}}, {{"name": "b", "value": None}}]
print(json.dumps(rows))
"""


class Site:
    """Services that run while the block does."""

    def __init__(self, programs, home):
        self.home = home
        self.gate = os.path.join(home, "gate")
        os.mkfifo(self.gate)
        os.chmod(self.gate, 0o644)
        apps = os.path.join(home, "apps")
        for app in ("add", "soc"):
            shutil.copytree(os.path.join(APPS, app), os.path.join(apps, app))
        os.makedirs(os.path.join(apps, "held"))
        with open(os.path.join(apps, "held", "main.py"), "w", encoding="utf-8") as main:
            main.write(HELD.format(gate=self.gate))
        label = 'label = { ja = "待つAPI", en = "One that waits" }\n'
        with open(os.path.join(apps, "held", "api.toml"), "w", encoding="utf-8") as toml:
            toml.write(label)
        self.csv = self.write_csv()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BCRL_")},
            "BCRL_DATA_DIR": os.path.join(home, "data"),
            "BCRL_APPS_DIR": apps,
            "BCRL_API__LISTEN": "127.0.0.1:0",
            # One job at a time, so that a second one has to wait.
            "BCRL_WORKER__CONCURRENCY": "1",
        }
        self.programs = programs

    def __enter__(self):
        self.start("bcrl", "up")
        if not self.ready.wait(PATIENCE):
            self.__exit__()
            raise RuntimeError("no worker is ready:\n" + "".join(self.log))
        return self

    def start(self, name, *words):
        """Starts a program, and waits until it listens."""
        self.process = subprocess.Popen(
            [os.path.join(self.programs, name), *words],
            env=self.environment,
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.log = []
        listens, self.ready = threading.Event(), threading.Event()
        words = (self.process, listens, self.ready)
        threading.Thread(target=self.follow, args=words, daemon=True).start()
        if not listens.wait(PATIENCE):
            self.__exit__()
            raise RuntimeError(f"{name} does not listen:\n" + "".join(self.log))

    def leave_only_the_api(self):
        """Ends all services, and starts the API alone."""
        self.__exit__()
        self.start("bcrl-api")

    def follow(self, process, listens, ready):
        for line in process.stdout:
            self.log.append(line)
            found = re.search(r"the API listens.*?address=\S*?(127\.0\.0\.1:\d+)", line)
            if found:
                self.url = f"http://{found[1]}"
                listens.set()
            if "the worker is ready" in line:
                ready.set()

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def write_csv(self):
        """The example of soc as the file that a lab has: headings in a comment."""
        with open(os.path.join(APPS, "soc", "example.json"), encoding="utf-8") as file:
            example = json.load(file)
        path = os.path.join(self.home, "us06_current.csv")
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write("# Based on the US06 drive cycle,\n# time [s],current [A]\n")
            rows = csv.writer(file, lineterminator="\n")
            rows.writerows(zip(example["time_s"], example["current_a"]))
        return path

    def open_gate(self, word="go"):
        """Lets the job that waits go on."""
        with open(self.gate, "w", encoding="utf-8") as gate:
            gate.write(word)

    def submit(self, api, body):
        """Submits as a program would; the job's id."""
        request = urllib.request.Request(
            f"{self.url}/api/v1/jobs/{api}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["uuid"]

    def jobs(self):
        """How many jobs there are."""
        with urllib.request.urlopen(f"{self.url}/api/v1/jobs") as answer:
            return len(json.load(answer)["jobs"])
