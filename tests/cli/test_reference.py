"""The help texts of the command line, and the reference that is written from them."""

from __future__ import annotations

import re

import pytest

from procnet.cli.main import parser
from procnet.cli.reference import reference

TEXT = reference(parser())
COMMANDS = (
    "init", "ingest", "normalize", "detect", "backfill", "gaps", "catch-up", "maintain", "findings", "status",
    "quarantine", "risk", "detections list", "detections show", "detections lint", "detections test",
    "detections stats", "detections import", "exclusions list", "exclusions lint", "preview", "replay", "sources list",
    "sources show", "sources check", "demo",
)  # fmt: skip


def test_every_command_has_a_section() -> None:
    assert tuple(re.findall(r"^## procnet (.+)$", TEXT, re.MULTILINE)) == COMMANDS


def test_every_option_names_its_default_or_is_required() -> None:
    options = re.findall(r"^\| `(-[^`]+)` \| (.+) \|$", TEXT, re.MULTILINE)
    assert len(options) > 40
    required = set(re.findall(r"(--[a-z]+) [A-Z_]+", " ".join(re.findall(r"^procnet .+$", TEXT, re.M))))
    assert required == {"--source", "--start", "--end", "--expect"}
    lacking = [o for o, text in options if "default: " not in text and "required" not in text]
    assert {o.split()[0] for o in lacking} <= required


def test_common_options_are_listed_once() -> None:
    for option in ("--conf FILE", "--set KEY=VALUE", "--lake DIR", "--json", "-v, --verbose"):
        assert TEXT.count(f"| `{option}` |") == 1


def test_exit_codes_of_the_command_line_are_listed() -> None:
    codes = re.findall(r"^\| (\d+) \|", TEXT.partition("## Exit codes")[2], re.MULTILINE)
    assert codes == ["0", "1", "2", "3", "4", "5", "130", "143"]


def test_the_reference_is_the_same_in_every_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert reference(parser()) == TEXT
