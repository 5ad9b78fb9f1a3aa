"""The package itself: its version, its public names, its type information."""

from __future__ import annotations

import inspect
import re
import unittest
from pathlib import Path

import bcrl

from .support import PYTHON


class Package(unittest.TestCase):
    def test_the_version_is_that_of_the_services(self) -> None:
        cargo = PYTHON.parent / "Cargo.toml"
        if not cargo.exists():
            self.skipTest("the package is tested outside of its repository")
        section = cargo.read_text(encoding="utf-8").partition("[workspace.package]")[2]
        version = re.search(r'^version = "(.+)"$', section, re.MULTILINE)
        assert version is not None
        self.assertEqual(bcrl.__version__, version.group(1))

    def test_every_public_name_says_what_it_is(self) -> None:
        for name in bcrl.__all__:
            thing = getattr(bcrl, name)
            if not (inspect.isclass(thing) or inspect.isfunction(thing)):
                continue
            self.assertTrue(inspect.getdoc(thing), name)
            for member, value in vars(thing).items() if inspect.isclass(thing) else ():
                if not member.startswith("_") and (callable(value) or isinstance(value, property)):
                    self.assertTrue(inspect.getdoc(value), f"{name}.{member}")

    def test_type_checkers_are_told_that_it_is_typed(self) -> None:
        self.assertTrue((Path(bcrl.__file__).parent / "py.typed").exists())

    def test_nothing_but_the_standard_library_is_needed(self) -> None:
        known = {"bcrl", "__future__"} | set(STANDARD)
        for path in Path(bcrl.__file__).parent.glob("*.py"):
            text = path.read_text(encoding="utf-8")
            for name in re.findall(r"^(?:from|import) ([A-Za-z_]+)", text, re.MULTILINE):
                self.assertIn(name, known, path)


STANDARD = (
    "argparse collections contextlib ctypes dataclasses datetime enum errno fcntl functools "
    "hashlib json logging math os pathlib random re secrets select signal stat subprocess sys "
    "tempfile threading time types typing uuid weakref"
).split()
