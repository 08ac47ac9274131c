"""JSON lines, arrays and pretty-printed objects: every object is a record, and a cut one hides none after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from readers.record_files import LineAndText, lines_and_texts, write_file

JSON: dict[str, tuple[str, list[LineAndText]]] = {
    "one a line": ('{"a": 1}\n{"a": 2}\n', [(1, '{"a": 1}'), (2, '{"a": 2}')]),
    "line breaks of Windows": ('{"a": 1}\r\n\r\n{"a": 2}', [(1, '{"a": 1}'), (3, '{"a": 2}')]),
    "an array": ('[{"a": 1},\n {"a": [2]}]\n', [(1, '{"a": 1}'), (2, '{"a": [2]}')]),
    "over lines": ('{\n  "a": 1\n}\n{\n  "a": 2\n}\n', [(1, '{\n  "a": 1\n}'), (4, '{\n  "a": 2\n}')]),
    "two on a line": ('{"a": 1}{"a": 2}\n{"a": 3}', [(1, '{"a": 1}'), (1, '{"a": 2}'), (2, '{"a": 3}')]),
    "cut in the middle": ('{"a": 1}\n{"a": \n{"a": 3}\n', [(1, '{"a": 1}'), (2, '{"a":'), (3, '{"a": 3}')]),
    "cut at the end": ('{"a": 1}\n{"a": "x', [(1, '{"a": 1}'), (2, '{"a": "x')]),
    "cut over lines": (
        '{\n  "a": 1,\n{\n  "a": 2\n}\n{\n  "a": ',
        [(1, '{\n  "a": 1'), (3, '{\n  "a": 2\n}'), (6, '{\n  "a":')],
    ),
    "junk between": ('{"a": 1}\nerror 5\n{"a": 2}', [(1, '{"a": 1}'), (2, "error 5"), (3, '{"a": 2}')]),
    "nothing but blanks": (" \n\r\n", []),
    "an empty array": ("[]", []),
    "empty": ("", []),
}


@pytest.mark.parametrize("case", JSON)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json(tmp_path: Path, case: str, encoding: str) -> None:
    text, expected = JSON[case]
    assert lines_and_texts(write_file(tmp_path, "a.json", text.encode(encoding)), "json") == expected
