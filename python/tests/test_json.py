"""JSON is judged as the services judge it, and kept as it is written."""

from __future__ import annotations

import unittest

from bcrl import _json


class Documents(unittest.TestCase):
    def test_one_document_is_a_result(self) -> None:
        deep = "[" * 127 + "]" * 127
        for text in (
            "{}",
            " \r\n\t[1, -2, 3.5e-7, 18446744073709551615, 123456789012345678901234567890]\n",
            "null",
            "true",
            '"日本 \\ud83d\\ude00"',
            '"\\\\ud800 and \\\\\\\\udc00"',
            '{"a":{"a":[{"b":null}]},"":false}',
            "1e-999",
            "9" * 308,
            deep,
            '"' + "[{" * 500 + '"',
        ):
            with self.subTest(text=text[:40]):
                _json.check(text.encode("utf-8"))

    def test_anything_else_is_refused(self) -> None:
        for document in (
            b"",
            b" \n",
            b"NaN",
            b"[1, Infinity]",
            b"-Infinity",
            b"{}\n{}",
            b"{} x",
            b'{"a":',
            b"{'a': 1}",
            b"[1,]",
            b'"\\ud800"',
            b'{"\\udc00": 1}',
            b'"\\ud83d x"',
            b'"\\\\\\ud800"',
            b'"\\ud800\\ud800\\udc00"',
            b'"\x01"',
            b"1e999",
            b"-1e999",
            b"9" * 400,
            b"9" * 5000,
            b"01",
            b'"\xff"',
            b"\xef\xbb\xbf{}",
            b"\0",
            b"[" * 128 + b"]" * 128,
            b"[" * 1_000_000,
            b'{"a":' * 200 + b"1" + b"}" * 200,
        ):
            with self.subTest(document=document[:40]), self.assertRaises(_json.NotJson):
                _json.check(document)


class Raw(unittest.TestCase):
    def test_values_come_out_as_they_are_written(self) -> None:
        big = "1" * 30
        text = f' {{"n": 1.50, "big" :{big},\n"a\\u0062":[1, {{"x":"]}}"}}] }} tail'
        members, end = _json.members(text)
        expected = [("n", "1.50"), ("big", big), ("ab", '[1, {"x":"]}"}]')]
        self.assertEqual(members, expected)
        self.assertFalse(_json.ends(text, end))
        self.assertTrue(_json.ends(text, len(text)))

    def test_elements_come_out_as_they_are_written(self) -> None:
        self.assertEqual(_json.elements("[]"), ([], 2))
        self.assertEqual(_json.elements('[ 1.0 , {"a" : 1}\n,"x"]')[0], ["1.0", '{"a" : 1}', '"x"'])

    def test_halves_are_refused(self) -> None:
        for text in (
            "",
            "[",
            "{",
            '{"a"',
            '{"a":',
            '{"a":1',
            '{"a":1,',
            '{"a":1,}',
            "{1:2}",
            "{,}",
        ):
            with self.subTest(text=text), self.assertRaises(_json.NotJson):
                _json.members(text)
        for text in ("[", "[1", "[1,", "[1,]", "[,]", "1", "[NaN]"):
            with self.subTest(text=text), self.assertRaises(_json.NotJson):
                _json.elements(text)


if __name__ == "__main__":
    unittest.main()
