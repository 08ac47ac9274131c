"""A case of bad input, what reads it, and the page that lists all of them.

To add cases: append `Case`s to a list of one of the files of cases beside this module (`yaml_and_commands.py` for files
that people write and for command lines, `raw_files.py` for records), and run `python docs/generate.py`, which writes
docs/bad-inputs.md from the lists. test_bad_inputs.py runs every case and compares what happens with what it declares,
so the page says what procnet does.

A case names its input as a reader of the page would, and has the content; its `Reader` writes the content into an empty
folder, reads it as a command does, and returns an `Outcome`. A new kind of input needs a new Reader: a function of
(content, folder) to Outcome, and the words for the columns of the page. Readers that need Spark say so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What happened: the exit code, the problems without hints, and whether the good rest was read as without it."""

    code: int
    said: Sequence[str]
    rest_is_good: bool


@dataclass(frozen=True)
class Reader:
    """What reads the input: `where` and `rest` are columns of the page, `rest` what is used in spite of the input."""

    where: str
    rest: str
    read: Callable[[Any, Path], Outcome]
    spark: bool = False


@dataclass(frozen=True)
class Case:
    """A bad input. `says` is what is said of it, without the folder; `...` stands for any text, a line for a problem.

    `content` is text or bytes of a file, a list of arguments, or what else the Reader takes. `rest` replaces the
    Reader's where this case leaves something else; `loses_a_good_one` where that is less than the whole good rest.
    """

    name: str
    reader: Reader
    content: Any
    code: int
    says: str
    rest: str = ""
    loses_a_good_one: bool = False


def matches(says: str, said: Sequence[str], folder: Path) -> bool:
    """Whether the problems are those that a case declares, apart from the folder."""
    pattern = ".*".join(re.escape(part) for part in says.split("..."))
    return re.fullmatch(pattern, shown(said, folder), re.DOTALL) is not None


def shown(said: Sequence[str], folder: Path) -> str:
    """The problems as the page shows them, without the folder of the test."""
    return "\n".join(said).replace(f"{folder}/", "").replace(str(folder), ".")


def page(groups: Sequence[tuple[str, Sequence[Case]]]) -> str:
    """Markdown: what is said of each bad input, and what is used in spite of it; a section for each group of cases."""
    lines = [
        "# Bad inputs",
        "",
        "<!-- Written by docs/generate.py from tests/bad_inputs. Do not edit. -->",
        "",
        "What procnet does with input that is broken, by accident or on purpose: each row is a test. A broken file or "
        "record stops no other, nothing is dropped in silence, and no input ends in a traceback. `...` stands for text "
        "that was left out here. [Troubleshooting](troubleshooting.md) has the exit codes.",
    ]
    for title, cases in groups:
        lines += ["", f"## {title}", ""]
        lines += ["| input | where | what is said | what is kept | exit code |", "|---|---|---|---|---|"]
        for case in cases:
            said = "<br>".join(f"<code>{_cell(line)}</code>" for line in case.says.splitlines()) or "nothing"
            rest = case.rest or case.reader.rest
            lines.append(f"| {_cell(case.name)} | {_cell(case.reader.where)} | {said} | {_cell(rest)} | {case.code} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text as a cell of a table: nothing in it is Markdown or HTML, apart from code between backticks."""
    for character in "&|<>*_[]\\$":
        text = text.replace(character, f"&#{ord(character)};")
    return re.sub("`([^`]+)`", r"<code>\1</code>", text)
