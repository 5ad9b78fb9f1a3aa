"""Runs every app as the worker does, as a process, and checks what it prints.

usage: python3 -m unittest discover -s apps/tests
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import unittest
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any, Sequence

APPS = Path(__file__).resolve().parent.parent
NAMES = sorted(path.parent.name for path in APPS.glob("*/main.py"))
DIALECT = "https://json-schema.org/draft/2020-12/schema"
READMES = [APPS / "README.md", APPS / "README.ja.md"]


def run(
    folder: Path, request: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a main.py on a request in its own folder, with nothing of our environment."""
    return subprocess.run(
        [sys.executable, "main.py"],
        cwd=folder,
        env=environment or {},
        input=request,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


class AppTest(unittest.TestCase):
    def result(self, app: str, request: dict[str, Any] | str) -> dict[str, Any]:
        """What the app prints for a request that it must accept."""
        text = request if isinstance(request, str) else json.dumps(request)
        process = run(APPS / app, text)
        self.assertEqual((process.returncode, process.stderr), (0, ""))
        result: dict[str, Any] = json.loads(process.stdout, parse_constant=self.fail)
        return result

    def refusal(self, app: str, request: dict[str, Any]) -> str:
        """The one line that the app says to a request that it must refuse."""
        process = run(APPS / app, json.dumps(request))
        self.assertEqual((process.returncode, process.stdout), (1, ""))
        self.assertRegex(process.stderr, r"\Abad request: [^\n]+\n\Z")
        return process.stderr


def exact_integrals(x: Sequence[Any], y: Sequence[Any]) -> list[Fraction]:
    """The trapezoidal rule without any rounding: the integral up to each sample."""
    x, y = [Fraction(value) for value in x], [Fraction(value) for value in y]
    steps = [(x[k] - x[k - 1]) * (y[k] + y[k - 1]) / 2 for k in range(1, len(x))]
    return list(accumulate(steps, initial=Fraction(0)))


def measurement(time_s: Sequence[float], current_a: Sequence[float], **more: Any) -> dict[str, Any]:
    return {
        "capacity_ah": 1,
        "initial_soc": 0.5,
        "time_s": time_s,
        "current_a": current_a,
        **more,
    }


class Soc(AppTest):
    def assert_exact(self, result: dict[str, Any], request: dict[str, Any]) -> None:
        """Compares a result with fractions, which are independent of any rounding."""
        capacity = 3600 * Fraction(request["capacity_ah"])
        charge = exact_integrals(request["time_s"], request["current_a"])
        soc = [Fraction(request["initial_soc"]) - coulombs / capacity for coulombs in charge]

        self.assertEqual(len(result["soc"]), len(soc))
        for ours, exact in zip(result["soc"], soc):
            self.assertLessEqual(abs(Fraction(ours) - exact), Fraction(1, 10**12))
        for key, exact in (
            ("final_soc", soc[-1]),
            ("min_soc", min(soc)),
            ("max_soc", max(soc)),
            ("charge_ah", charge[-1] / 3600),
        ):
            self.assertLessEqual(abs(Fraction(result[key]) - exact), Fraction(1, 10**12), key)

    def test_the_drive_cycle_is_integrated_exactly(self) -> None:
        text = (APPS / "soc/example.json").read_text(encoding="utf-8")
        result = self.result("soc", text)
        # The decimals of the file, not the doubles nearest to them.
        self.assert_exact(result, json.loads(text, parse_float=Fraction))
        self.assertEqual(len(result["soc"]), 601)
        self.assertEqual(f"{result['final_soc']:.12f}", "0.871937994706")
        self.assertTrue(0 <= result["min_soc"] <= result["max_soc"] <= 1)
        self.assertNotIn("energy_wh", result)

    def test_summaries_agree_with_the_series(self) -> None:
        result = self.result("soc", (APPS / "soc/example.json").read_text(encoding="utf-8"))
        soc = result["soc"]
        self.assertEqual(
            (result["final_soc"], result["min_soc"], result["max_soc"]),
            (soc[-1], min(soc), max(soc)),
        )

    def test_two_samples_are_enough(self) -> None:
        result = self.result("soc", measurement([0, 1800], [0, 1]))
        self.assertEqual(
            result,
            {
                "soc": [0.5, 0.25],
                "final_soc": 0.25,
                "min_soc": 0.25,
                "max_soc": 0.5,
                "charge_ah": 0.25,
            },
        )

    def test_a_negative_current_charges(self) -> None:
        result = self.result("soc", measurement([0, 900], [-1, -1]))
        self.assertEqual((result["final_soc"], result["charge_ah"]), (0.75, -0.25))

    def test_soc_is_not_clamped(self) -> None:
        result = self.result("soc", measurement([0, 3600, 10800], [1, 1, -3]))
        self.assertEqual(result["soc"], [0.5, -0.5, 1.5])

    def test_steps_may_differ_and_times_may_be_unix_times(self) -> None:
        request = measurement(
            [1_700_000_000.125, 1_700_000_000.5, 1_700_000_007, 1_700_003_600.75],
            [0.1, 0.7, -0.3, 0.2],
        )
        self.assert_exact(self.result("soc", request), request)

    def test_voltage_gives_energy(self) -> None:
        request = measurement(
            [0, 10, 25.5, 60], [0.5, 2.25, -1.1, 0.3], voltage_v=[4.1, 3.9, 4.05, 4.0]
        )
        result = self.result("soc", request)
        self.assert_exact(result, request)
        series = zip(request["voltage_v"], request["current_a"])
        power = [Fraction(volts) * Fraction(amperes) for volts, amperes in series]
        energy = exact_integrals(request["time_s"], power)[-1] / 3600
        self.assertLessEqual(abs(Fraction(result["energy_wh"]) - energy), Fraction(1, 10**12))

    def test_small_charges_beside_a_large_one_are_not_lost(self) -> None:
        large, small, seconds = 2.0**19, 2.0**-25, 20_000
        # A plain sum of doubles would drop each of the small ones and be off by 1.7e-7.
        time_s = [0, 1000, *range(1001, 1001 + seconds), 2000 + seconds]
        current_a = [large, large, *[small] * (seconds - 1), -large, -large]
        result = self.result("soc", measurement(time_s, current_a))
        charge = exact_integrals(time_s, current_a)[-1]
        final = Fraction(1, 2) - charge / 3600
        self.assertLessEqual(abs(Fraction(result["final_soc"]) - final), Fraction(1, 10**12))

    def test_series_of_different_lengths_are_refused(self) -> None:
        said = self.refusal("soc", measurement([0, 1, 2], [1, 1]))
        self.assertIn("current_a has 2 values, time_s has 3", said)
        said = self.refusal("soc", measurement([0, 1], [1, 1], voltage_v=[4, 4, 4]))
        self.assertIn("voltage_v has 3 values, time_s has 2", said)

    def test_times_that_do_not_increase_are_refused(self) -> None:
        for time_s in ([0, 1, 1], [0, 2, 1]):
            said = self.refusal("soc", measurement(time_s, [1, 1, 1]))
            self.assertIn(f"time_s must increase: [2] is 1, after {time_s[1]}", said)

    def test_a_capacity_that_leaves_no_number_is_refused(self) -> None:
        said = self.refusal("soc", measurement([0, 1e6], [1, 1], capacity_ah=5e-324))
        self.assertIn("capacity_ah is too small", said)

    def test_progress_is_at_most_one_line_per_percent(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            progress = Path(folder, "progress.jsonl")
            example = (APPS / "soc/example.json").read_text(encoding="utf-8")
            process = run(APPS / "soc", example, {"BCRL_PROGRESS": str(progress)})
            lines = [json.loads(line) for line in progress.read_text(encoding="utf-8").splitlines()]
        self.assertEqual(process.returncode, 0)
        self.assertEqual([line["percent"] for line in lines], list(range(1, 101)))
        self.assertEqual(lines[-1]["message"], "600 of 600 intervals")


class Add(AppTest):
    def test_integers_stay_integers(self) -> None:
        result = self.result("add", {"num1": 12, "num2": 23})
        self.assertEqual(result, {"num1": 12, "num2": 23, "operation": "add", "result": 35})
        self.assertIsInstance(result["result"], int)

    def test_integers_beyond_a_double_are_exact(self) -> None:
        result = self.result("add", {"num1": 2**53 + 1, "num2": -2})
        self.assertEqual(result["result"], 2**53 - 1)

    def test_floats_are_rounded_once(self) -> None:
        for num1, num2 in ((0.1, 0.2), (12, 0.5), (-1.5, 1.5), (1e300, 1e300), (1e16, 1.0)):
            with self.subTest(num1=num1, num2=num2):
                result = self.result("add", {"num1": num1, "num2": num2})
                self.assertIsInstance(result["result"], float)
                self.assertEqual(result["result"], float(Fraction(num1) + Fraction(num2)))


class Folders(unittest.TestCase):
    """What holds for every app, also for those that come later."""

    def test_every_example_runs(self) -> None:
        for example in sorted(APPS.glob("*/example.json")):
            with self.subTest(app=example.parent.name):
                process = run(example.parent, example.read_text(encoding="utf-8"))
                self.assertEqual((process.returncode, process.stderr), (0, ""))
                json.loads(process.stdout, parse_constant=self.fail)

    def test_every_example_fits_its_schema(self) -> None:
        for app in NAMES:
            example_file = APPS / app / "example.json"
            schema_file = APPS / app / "request.schema.json"
            if not (example_file.exists() and schema_file.exists()):
                continue
            example = json.loads(example_file.read_text(encoding="utf-8"))
            schema = json.loads(schema_file.read_text(encoding="utf-8"))
            with self.subTest(app=app):
                self.assertEqual(schema["$schema"], DIALECT)
                self.assertLessEqual(set(schema.get("required", [])), set(example))
                if schema.get("additionalProperties") is False:
                    self.assertLessEqual(set(example), set(schema["properties"]))
                for key, value in example.items():
                    self.assert_fits(value, schema["properties"].get(key, {}), key)

    def assert_fits(self, value: Any, schema: dict[str, Any], where: str) -> None:
        """Checks types and ranges of numbers and arrays: what our schemas use."""
        kinds: dict[str, Any] = {
            "number": (int, float),
            "integer": int,
            "array": list,
            "string": str,
        }
        if schema.get("type") in kinds:
            self.assertIsInstance(value, kinds[schema["type"]], where)
            self.assertNotIsInstance(value, bool, where)
        if isinstance(value, (int, float)):
            self.assertGreaterEqual(value, schema.get("minimum", value), where)
            self.assertLessEqual(value, schema.get("maximum", value), where)
            if "exclusiveMinimum" in schema:
                self.assertGreater(value, schema["exclusiveMinimum"], where)
        if isinstance(value, list):
            self.assertGreaterEqual(len(value), schema.get("minItems", 0), where)
            for index, item in enumerate(value):
                self.assert_fits(item, schema.get("items", {}), f"{where}[{index}]")


TERMINATED_WHILE_AT_WORK = """
try:
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()
finally:
    print("tidied up")
"""


class Readmes(unittest.TestCase):
    """What the READMEs tell people to paste works, and is the same in both languages."""

    def code(self, readme: Path, language: str) -> list[str]:
        text = readme.read_text(encoding="utf-8")
        return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)

    def test_both_languages_show_the_same_code(self) -> None:
        english, japanese = READMES
        for language in ("python", "json", "toml", "sh"):
            self.assertNotEqual(self.code(english, language), [])
            self.assertEqual(self.code(english, language), self.code(japanese, language))

    def test_the_first_api_works_when_pasted(self) -> None:
        for readme in READMES:
            with self.subTest(readme=readme.name), tempfile.TemporaryDirectory() as folder:
                script, *_ = self.code(readme, "python")
                example, schema = self.code(readme, "json")
                Path(folder, "main.py").write_text(script, encoding="utf-8")
                process = run(Path(folder), example)
                self.assertEqual((process.returncode, process.stderr), (0, ""))
                self.assertAlmostEqual(json.loads(process.stdout)["mean"], 3.7)
                self.assertEqual(set(json.loads(example)), set(json.loads(schema)["required"]))

    def test_the_snippets_for_progress_and_sigterm_work_when_pasted(self) -> None:
        for readme in READMES:
            with self.subTest(readme=readme.name), tempfile.TemporaryDirectory() as folder:
                _, progress, sigterm = self.code(readme, "python")
                script = progress + sigterm + TERMINATED_WHILE_AT_WORK
                Path(folder, "main.py").write_text(script, encoding="utf-8")
                path = Path(folder, "progress.jsonl")
                process = run(Path(folder), "", {"BCRL_PROGRESS": str(path)})
                self.assertEqual((process.returncode, process.stdout), (1, "tidied up\n"))
                line = json.loads(path.read_text(encoding="utf-8"))
                self.assertEqual(line, {"percent": 40, "message": "fitting"})


if __name__ == "__main__":
    unittest.main()
