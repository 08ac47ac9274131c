"""README.md and docs/*.md are true: their examples run, and their tables name what there is.

A block `sh` is run where its lines begin with `$ procnet`; lines below such a one must be in what it says (`...` stands
for anything), and `# exit code N` is what it ends with. A block with a file's name behind its language is that file.
All pages share one lake, and a command that stands on two of them is run once.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from pyspark.sql import SparkSession

from cli.command import Said, procnet
from procnet.contract import ATTRIBUTIONS
from procnet.detections.detection import NETWORK_TYPES, PROCESS_TYPES
from procnet.detections.schema import DetectionFile
from procnet.periods import format_duration
from procnet.predicates.parse import _MODIFIERS, parse_side
from procnet.settings import Settings, default_conf_dir
from procnet.sources.mapping import known_sources

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
# In the order in which they build on each other: the first makes the lake that the others ask.
PAGES = [DOCS / "first-findings.md", ROOT / "README.md",
         *(DOCS / f"{n}.md" for n in ("settings", "detections", "defects", "sigma", "exclusions", "risk",
                                      "operations", "attribution",
                                      "renderings", "replay", "sources", "ingest-speed", "databricks",
                                      "kubernetes",
                                      "airflow", "versions", "scale"))]  # fmt: skip


@dataclass(frozen=True)
class Block:
    kind: str
    file: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    for kind, file, text in re.findall(r"^```(\w*) ?(\S*)\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.M):
        yield Block(kind, file, text)


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each `$ procnet` line, and the lines that it is said to print."""
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        line, *said = part.splitlines()
        yield line, [s for s in said if s.strip()]


def told(line: str, out: str) -> bool:
    pattern = r"\s+".join(".*".join(map(re.escape, word.split("..."))) for word in line.split())
    return re.search(pattern, out) is not None


def rows(page: str) -> dict[str, list[str]]:
    """First cell -> the other cells, of every table row whose first cell is code."""
    found = {}
    for line in (DOCS / page).read_text("utf-8").splitlines():
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and re.fullmatch(r"`[^`]+`", cells[0]):
            found[cells[0].strip("`")] = cells[1:]
    return found


@pytest.mark.spark
@pytest.mark.long
def test_every_example_runs_and_says_what_it_is_said_to(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran: dict[tuple[str, ...], Said] = {}
    for page in PAGES:
        for block in blocks(page):
            if block.file:
                (tmp_path / block.file).parent.mkdir(exist_ok=True)
                (tmp_path / block.file).write_text(block.text.removesuffix("\n"), encoding="utf-8")
            elif block.kind == "sh":
                for line, lines in commands(block.text):
                    words = tuple(shlex.split(line, comments=True))
                    assert words[0] == "procnet", line
                    end = re.search(r"# exit code (\d)", line)
                    if words not in ran:
                        ran[words] = procnet(*words[1:])
                    said = ran[words]
                    assert said.code == int(end[1] if end else 0), f"{page.name}: {line}\n{said.err}"
                    missing = [text for text in lines if not told(text, said.out + said.err)]
                    assert not missing, f"{page.name}: {line}\n{said.out}{said.err}"
            elif block.kind == "python":
                tables = {n: spark.read.format("delta").load(str(tmp_path / "lake" / n))
                          for n in ("process_events", "network_events")}  # fmt: skip
                names: dict[str, Any] = {"processes": tables["process_events"], "connections": tables["network_events"]}
                exec(compile(block.text, page.name, "exec"), names)
                assert names["pairs"].columns[-2:] == ["attribution", "instance"], page.name
    commands_run = {words[1] for words in ran}
    assert commands_run == {"init", "ingest", "detect", "backfill", "catch-up", "gaps", "maintain", "findings",
                            "status", "detections", "exclusions", "preview", "replay", "risk", "sources"}  # fmt: skip


def test_every_page_is_run_and_every_link_leads_somewhere() -> None:
    assert set(PAGES) == {ROOT / "README.md", *DOCS.glob("*.md")}
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def flat(values: Any, prefix: str = "") -> dict[str, Any]:
    found = {}
    for key, value in dict(values).items():
        if isinstance(value, BaseModel) or (
            isinstance(value, dict) and prefix == "" and key not in ("spark", "tables", "sources")
        ):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


def spelled(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, timedelta):
        value = format_duration(value)
    if isinstance(value, list | tuple):
        value = f"[{', '.join(value)}]"
    if isinstance(value, dict) and value:
        value = f"{{{', '.join(f'{k}: {spelled(v)[1:-1]}' for k, v in value.items())}}}"
    return f"`{getattr(value, 'value', value)}`"


def test_settings_are_all_listed_with_their_defaults() -> None:
    listed = rows("settings.md")
    local = flat(yaml.safe_load((default_conf_dir() / "local.yml").read_text("utf-8")))
    wanted = {k: [spelled(v), spelled(local.get(k))] for k, v in flat(Settings()).items()}
    assert {k: cells[:2] for k, cells in listed.items()} == wanted
    assert [k for k, cells in listed.items() if len(cells[2].split()) < 3] == [], "each has its meaning"


def test_detections_are_described_with_every_key_and_every_modifier() -> None:
    listed = rows("detections.md")
    assert set(listed) == {*DetectionFile.model_fields, *_MODIFIERS}
    for modifier in sorted(_MODIFIERS):
        block = yaml.safe_load(listed[modifier][1].strip("`").replace("\\|", "|"))
        (key,) = block
        assert modifier in key.split("|")[1:], key
        tree, problems = parse_side({"b": block, "condition": "b"}, {**PROCESS_TYPES, **NETWORK_TYPES}, modifier)
        assert problems == []
        assert tree is not None


def test_kinds_of_attribution_and_tolerances_are_all_described() -> None:
    listed = rows("attribution.md")
    tolerances = {k: spelled(v) for k, v in flat(Settings()).items() if k.startswith(("attribution.", "host."))}
    for key in ("attribution.broadcast_limit", "attribution.state_over"):
        del tolerances[key]
    assert set(listed) == {*ATTRIBUTIONS, *tolerances}
    assert {k: listed[k][0] for k in tolerances} == tolerances


def test_shipped_sources_are_all_listed() -> None:
    assert set(rows("sources.md")) == set(known_sources())
