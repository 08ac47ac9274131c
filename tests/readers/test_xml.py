"""XML of Windows events: every event is a record, and text that is none is a record as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from readers.record_files import LineAndText, lines_and_texts, write_file
from readers.record_files import xml_event as event


def pretty(n: int) -> str:
    return f"<Event>\n  <System>\n    <EventID>{n}</EventID>\n  </System>\n</Event>"


CUT = event(8)[:70]  # without its end tag
XML: dict[str, tuple[str, list[LineAndText]]] = {
    "one a line": (f"{event(1)}\n{event(2)}\n", [(1, event(1)), (2, event(2))]),
    "no line break at the end": (f"{event(1)}\n{event(2)}", [(1, event(1)), (2, event(2))]),
    "line breaks of Windows": (f"{event(1)}\r\n\r\n{event(2)}\r\n", [(1, event(1)), (3, event(2))]),
    "over lines": (f"{pretty(1)}\n\n{pretty(2)}\n", [(1, pretty(1)), (7, pretty(2))]),
    "all on one line": (event(1) + event(2) + event(3), [(1, event(1)), (1, event(2)), (1, event(3))]),
    "in a list": (
        f"<?xml version='1.0' encoding='utf-8'?>\n<Events>\n{event(1)}\n{pretty(2)}\n</Events>\n",
        [(3, event(1)), (4, pretty(2))],
    ),
    "in a list on one line": (
        f"<?xml version='1.0'?><Events a='b'>{event(1)},{event(2)}</Events>",
        [(1, event(1)), (1, event(2))],
    ),
    # Other tags, whose names begin as an event's.
    "names that begin as an event's": (
        "<Event><EventData><EventX>1</EventX></EventData></Event>",
        [(1, "<Event><EventData><EventX>1</EventX></EventData></Event>")],
    ),
    # A cut event is a record of its own, with the line break that ends it.
    "cut in the middle": (f"{event(1)}\n{CUT}\n{event(2)}\n", [(1, event(1)), (2, f"{CUT}\n"), (3, event(2))]),
    "cut in the middle of one line": (event(1) + CUT + event(2), [(1, event(1)), (1, CUT), (1, event(2))]),
    "two cut": (f"{CUT}\n{CUT}\n{event(2)}\n", [(1, f"{CUT}\n"), (2, f"{CUT}\n"), (3, event(2))]),
    "cut at the end": (f"{event(1)}\n\n{CUT}\n", [(1, event(1)), (3, CUT)]),
    "cut in its name": (f"{event(1)}\n<Eve", [(1, event(1)), (2, "<Eve")]),
    "junk between": (f"{event(1)}\nerror 5\n{event(2)}\n", [(1, event(1)), (2, "error 5\n"), (3, event(2))]),
    "junk before and behind": (
        f"C:\\> wevtutil\n{event(1)}\ndone",
        [(1, "C:\\> wevtutil\n"), (2, event(1)), (3, "done")],
    ),
    "nothing but blanks": (" \r\n\t\n", []),
    "no event": ("<Events>\n</Events>", []),
    "empty": ("", []),
}  # fmt: skip


@pytest.mark.parametrize("case", XML)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_xml(tmp_path: Path, case: str, encoding: str) -> None:
    text, expected = XML[case]
    assert lines_and_texts(write_file(tmp_path, "a.xml", text.encode(encoding)), "xml") == expected


def test_xml_across_the_blocks_of_a_file(tmp_path: Path) -> None:
    """Tags and characters of two bytes are split between two blocks."""
    texts = [f"<Event><Data>{'é' * (n % 977)}</Data></Event>" for n in range(4000)]
    path = write_file(tmp_path, "a.xml", "\n".join(texts))
    assert path.stat().st_size > 3 << 20
    assert lines_and_texts(path, "xml") == list(enumerate(texts, 1))


def test_a_bad_byte_is_one_bad_character(tmp_path: Path) -> None:
    path = write_file(tmp_path, "a.xml", b"<Event>\xff</Event>\n<Event/>x</Event>")
    assert lines_and_texts(path, "xml")[0] == (1, "<Event>�</Event>")
