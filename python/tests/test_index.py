"""The index is written byte for byte as the services write it.

The texts are those of the services' own tests; what the services themselves make of an index is
looked at in ``test_services``.
"""

from __future__ import annotations

import unittest

from bcrl import _entry, _json
from bcrl._entry import Entry, NotAnEntry
from bcrl._index import Damage, Index
from bcrl._state import Failure, State

from .support import date

A = (
    '{"uuid":"f47ac10b-58cc-4372-a567-0e02b2c3d479","api":"soc","status":"pending",'
    '"request_date":"2023-10-01T00:00:00.000+09:00"}'
)
B = (
    '{"uuid":"0190a6f0-1c2d-7abc-8def-0123456789ab","api":"add","status":"done",'
    '"request_date":"2023-10-01T00:00:01.000+09:00","note":1}'
)
ID = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
TOKEN = "000102030405060708090a0b0c0d0e0f"
PROCESSING = State("processing", token=TOKEN)


def parse(text: str) -> Index:
    return Index.parse(text.encode("utf-8"))


def ids(index: Index) -> list[str]:
    return [entry.uuid for entry in index]


class Text(unittest.TestCase):
    def test_our_own_form_comes_back_to_the_letter(self) -> None:
        for text in (f'{{"jobs":[\n{A},\n{B}\n]}}\n', '{"jobs":[]}\n', f'{{"jobs":[\n{A}\n]}}\n'):
            self.assertEqual(parse(text).to_text(), text)

    def test_any_form_is_read_and_its_keys_are_kept(self) -> None:
        text = (
            f'\ufeff{{"version": 3,\r\n "jobs" : [ {A} ,\r\n\r\n {B}], '
            '"owner":{"lab": "電池",\n "n":1.50} }'
        )
        index = parse(text)
        self.assertEqual(len(ids(index)), 2)
        self.assertEqual(
            index.to_text(),
            f'{{"jobs":[\n{A},\n{B}\n],\n"version":3,\n"owner":{{"lab": "電池",\n "n":1.50}}}}\n',
        )
        self.assertEqual(parse(index.to_text()).to_text(), index.to_text())

    def test_no_jobs_and_somebodys_keys(self) -> None:
        self.assertEqual(parse('{"owner": 1, "jobs": []}').to_text(), '{"jobs":[\n],\n"owner":1}\n')

    def test_an_entry_that_spans_lines_gets_one(self) -> None:
        spread = A.replace(",", ",\n  ").replace("}", ',\r\n"note" : [1,\n2]}')
        self.assertEqual(
            parse(f'{{"jobs":[{spread}]}}').to_text(),
            '{"jobs":[\n' + A[:-1] + ',"note":[1, 2]}\n]}\n',
        )

    def test_what_breaks_the_contract_is_carried_along(self) -> None:
        alien = '{"uuid":"../../x","n": 1.50}'
        text = f'{{"jobs":[\n{A},\nnull,\n{alien},\n{B},\n{A}\n]}}\n'
        index = parse(text)
        self.assertEqual((len(ids(index)), len(index)), (2, 5))
        self.assertEqual(index.to_text(), text)
        index.put(Entry.parse(A).with_state(PROCESSING))
        self.assertIn(f"\nnull,\n{alien},\n", index.to_text())
        self.assertIn(f",\n{A}\n]", index.to_text(), "the double stays what it was")

    def test_what_is_no_index_is_damage(self) -> None:
        for bad in (
            "",
            "null",
            "[]",
            "{}",
            '{"jobs":{}}',
            '{"jobs":[]} x',
            '{"jobs":[],"jobs":[]}',
            f'{{"jobs":[\n{A},\n',
            f'{{"jobs":[\n{A},\n]}}\n',
            f'{{"jobs":[\n{A}\n{B}\n]}}\n',
            '{"jobs":[' + "[" * 300,
            '{"jobs":[NaN]}',
            '{"jobs":[],"\\ud800":1}',
        ):
            with self.subTest(bad=bad[:40]), self.assertRaises(Damage):
                parse(bad)
        for raw in (b'{"jobs":[\xff]}', '{"jobs":[]}'.encode("utf-16")):
            with self.assertRaises(Damage):
                Index.parse(raw)

    def test_known_lines_are_not_parsed_again(self) -> None:
        before = parse(f'{{"jobs":[\n{A},\n{B}\n]}}\n')
        text = before.to_text().replace("pending", "canceled")
        after = Index.parse(text.encode("utf-8"), before.by_line())
        first, second = after
        self.assertEqual(first.status, "canceled")
        self.assertIs(second, list(before)[1])
        self.assertEqual(after.to_text(), text)


class Entries(unittest.TestCase):
    def test_a_new_entry_is_that_of_the_specification(self) -> None:
        entry = _entry.pending(ID, "soc", date("2023-10-01T00:00:00+09:00"))
        self.assertEqual(entry.line, A)

    def test_states_are_written_as_the_services_do(self) -> None:
        entry, end = Entry.parse(A), date("2023-10-01T00:01:00+09:00")
        head, dates = A[: A.index('"status"')], A[A.index('"request_date"') : -1]
        failure = Failure("exit_code", 'it said "no"\n電池\x1f\x7f/', 1)
        for state, expected in (
            (PROCESSING, f'"status":"processing",{dates},"token":"{TOKEN}"}}'),
            (State("processing"), f'"status":"processing",{dates}}}'),
            (
                State("done", finished=end),
                f'"status":"done",{dates},"finished_date":"2023-10-01T00:01:00.000+09:00"}}',
            ),
            (
                State("failed", finished=end, failure=failure),
                f'"status":"failed",{dates},"finished_date":"2023-10-01T00:01:00.000+09:00",'
                '"failure":{"reason":"exit_code","message":"it said \\"no\\"\\n電池\\u001f\x7f/",'
                '"exit_code":1}}',
            ),
        ):
            changed = entry.with_state(PROCESSING).with_state(state)
            self.assertEqual(changed.line, head + expected)
            self.assertEqual(_entry.state_of(Entry.parse(changed.line)).status, state.status)
            self.assertEqual(changed.with_state(State("pending")).line, A)

    def test_foreign_fields_survive_a_change_to_the_letter(self) -> None:
        foreign = (
            ',"note":"充電 \\u0041","n":12345678901234567890123,"nested":{"b":[1, 2],\n"a":null},'
            '"x":1.50,"x":2'
        )
        line = Entry.parse(A[:-1] + foreign + "}").with_state(PROCESSING).line
        self.assertTrue(line.endswith(foreign.replace("\n", " ") + "}"), line)
        self.assertNotIn("\n", line)
        self.assertEqual(Entry.parse(line).token, TOKEN)

    def test_a_number_of_thousands_of_digits_does_no_harm(self) -> None:
        line = A[:-1] + ',"n":' + "7" * 6000 + "}"
        self.assertIn("7" * 6000, Entry.parse(line).with_state(PROCESSING).line)

    def test_a_field_of_ours_filled_by_somebody_else_is_theirs(self) -> None:
        text = A.replace("pending", "failed")[:-1] + (
            ',"failure":"disk","finished_date":"yesterday","retrieved_date":5}'
        )
        changed = Entry.parse(text).with_state(State("failed"))
        self.assertEqual(changed.line, text)
        number = A.replace("pending", "processing")[:-1] + f',"token":{"1" * 32}}}'
        self.assertIsNone(Entry.parse(number).token)

    def test_what_belongs_to_another_status_goes(self) -> None:
        text = A[:-1] + f',"token":"{TOKEN}","finished_date":"2023-10-01T00:00:00Z","failure":1}}'
        self.assertEqual(Entry.parse(text).with_state(State("pending")).line, A)

    def test_of_doubles_the_last_one_counts(self) -> None:
        text = A[:-1] + ',"status":"processing","token":"x","token":"' + TOKEN.upper() + '"}'
        entry = Entry.parse(text)
        self.assertEqual((entry.status, entry.token), ("processing", TOKEN))
        done = entry.with_state(State("done"))
        self.assertEqual(done.line, A.replace("pending", "done"))

    def test_dates_are_written_in_one_form(self) -> None:
        for read, written in (
            ("2023-10-01T00:00:00+09:00", "2023-10-01T00:00:00.000+09:00"),
            ("2023-10-01T00:00:00.123456Z", "2023-10-01T00:00:00.123+00:00"),
            ("2023-10-01t00:00:00.5-03:30", "2023-10-01T00:00:00.500-03:30"),
            ("2023-10-01T00:00:00.000-00:00", "2023-10-01T00:00:00.000+00:00"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:60.000+00:00"),
        ):
            self.assertEqual(date(read).text, written)
            line = Entry.parse(A.replace("2023-10-01T00:00:00.000+09:00", read))
            self.assertIn(written, line.with_state(PROCESSING).line)
        tokyo, london = date("2023-10-01T08:00:00+09:00"), date("2023-10-01T00:00:00+01:00")
        self.assertEqual(tokyo.moment, london.moment)

    def test_entries_that_break_the_contract_are_none(self) -> None:
        for bad in (
            "null",
            "[]",
            "{}",
            A.replace(ID, "../x"),
            A.replace(ID, ID.upper()),
            A.replace(f'"{ID}"', "5"),
            A.replace("pending", "sleeping"),
            A.replace("soc", "So C"),
            A.replace("2023-10-01T00:00:00.000+09:00", "yesterday"),
            A.replace("2023-10-01", "2023-02-30"),
            A.replace("+09:00", "+24:00"),
            A[:-1] + ',"\\ud800":1}',
        ):
            with self.subTest(bad=bad), self.assertRaises(NotAnEntry):
                Entry.parse(bad)
        for bad in (A[:60], A + "x", A.replace("}", ',"n":NaN}')):
            with self.subTest(bad=bad), self.assertRaises(_json.NotJson):
                Entry.parse(bad)


if __name__ == "__main__":
    unittest.main()
