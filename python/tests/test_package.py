"""The package itself: its version, its public names, its type information."""

from __future__ import annotations

import inspect
import re
import unittest
from pathlib import Path

import bcrl

from .support import PYTHON, python


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

    def test_each_side_is_loaded_where_it_is_asked_for(self) -> None:
        for side, absent in (("Client", "fcntl"), ("Folder", "http.client")):
            code = f"import sys; sys.modules[{absent!r}] = None; from bcrl import {side}"
            with python(code) as process:
                process.communicate()
            self.assertEqual(process.returncode, 0, side)
        with self.assertRaises(AttributeError):
            vars(bcrl)["__getattr__"]("Nothing")

    def test_type_checkers_are_told_that_it_is_typed(self) -> None:
        self.assertTrue((Path(bcrl.__file__).parent / "py.typed").exists())

    def test_nothing_but_the_standard_library_is_needed(self) -> None:
        known = {"bcrl", "__future__"} | set(STANDARD)
        for path in Path(bcrl.__file__).parent.glob("*.py"):
            text = path.read_text(encoding="utf-8")
            for name in re.findall(r"^(?:from|import) ([A-Za-z0-9_]+)", text, re.MULTILINE):
                self.assertIn(name, known, path)


STANDARD = (
    "argparse base64 collections contextlib ctypes dataclasses datetime difflib enum errno fcntl "
    "functools hashlib http importlib io ipaddress json logging math os pathlib random re secrets "
    "select shutil signal socket ssl stat subprocess sys tempfile threading time types typing "
    "unicodedata urllib uuid weakref"
).split()
