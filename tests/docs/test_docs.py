"""README.md, CONTRIBUTING.md and docs/*.md are true: their examples run, their tables list what exists, and everything
that they refer to exists.

In a block `sh`, lines that begin with `$ procnet` are run. The lines below one must be in its output (`...` stands for
anything), and `# exit code N` is its exit code. A block with a title is saved as the file of that name. All
pages share one lake, and a command that stands on two pages is run once.
"""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from pyspark.sql import SparkSession

import procnet
from cli import command
from procnet.contract import ATTRIBUTIONS, EVENT_TABLES, FINDINGS
from procnet.detections.detection import NETWORK_TYPES, PROCESS_TYPES
from procnet.detections.schema import DetectionFile
from procnet.periods import format_duration
from procnet.predicates.parse import _MODIFIERS, parse_side
from procnet.settings import Settings, default_conf_dir
from procnet.sources.mapping import known_sources

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))
import generate  # noqa: E402

# Pages with examples, in the order in which these build on each other: the first creates the lake that the others use.
EXAMPLES = [DOCS / "first-findings.md", ROOT / "README.md",
            *(DOCS / f"{n}.md" for n in ("installation", "settings", "detections", "defects", "sigma", "exclusions",
                                         "risk", "operations", "attribution", "exports", "replay", "sources",
                                         "quarantine", "troubleshooting", "ingest-speed", "databricks", "kubernetes",
                                         "airflow", "versions", "scale", "api"))]  # fmt: skip
REFERENCE = [
    DOCS / f"{n}.md"
    for n in ("index", "architecture", "semantics", "glossary", "tables", "commands", "bad-inputs", "simulation")
]
ELSEWHERE = DOCS / "object-store.md"  # its examples run in tests/object_store
PAGES = [*EXAMPLES, *REFERENCE, ELSEWHERE, ROOT / "CONTRIBUTING.md"]


@dataclass(frozen=True)
class Block:
    kind: str
    file: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    for kind, file, text in re.findall(
        r'^```(\w*)(?: title="([^"\n]+)")?\n(.*?)^```$', page.read_text("utf-8"), re.DOTALL | re.M
    ):
        yield Block(kind, file, text)


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each `$ procnet` line, and the lines that it must print."""
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        line, *expected = part.splitlines()
        yield line, [s for s in expected if s.strip()]


def is_in(line: str, output: str) -> bool:
    pattern = r"\s+".join(".*".join(map(re.escape, word.split("..."))) for word in line.split())
    return re.search(pattern, output) is not None


def table(page: str, header: str) -> dict[str, list[str]]:
    """First cell -> the other cells, of the tables whose header begins with `header`."""
    rows: dict[str, list[str]] = {}
    inside = False
    for line in (DOCS / page).read_text("utf-8").splitlines():
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        inside = bool(cells) and (inside or cells[0] == header)
        if inside and re.fullmatch(r"`[^`]+`", cells[0]):
            rows[cells[0].strip("`")] = cells[1:]
    return rows


@pytest.mark.spark
@pytest.mark.long
def test_every_example_runs_and_prints_what_the_page_shows(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    results: dict[tuple[str, ...], Any] = {}
    for page in EXAMPLES:
        for block in blocks(page):
            if block.file:
                (tmp_path / block.file).parent.mkdir(exist_ok=True)
                (tmp_path / block.file).write_text(block.text.removesuffix("\n"), encoding="utf-8")
            elif block.kind == "sh":
                for line, expected in commands(block.text):
                    words = tuple(shlex.split(line, comments=True))
                    assert words[0] == "procnet", line
                    exit_code = re.search(r"# exit code (\d)", line)
                    if words not in results:
                        results[words] = command.procnet(*words[1:])
                    result = results[words]
                    assert result.code == int(exit_code[1] if exit_code else 0), f"{page.name}: {line}\n{result.err}"
                    missing = [text for text in expected if not is_in(text, result.out + result.err)]
                    assert not missing, f"{page.name}: {line}\n{missing}\n{result.out}{result.err}"
            elif block.kind == "python":
                tables = {n: spark.read.format("delta").load(str(tmp_path / "lake" / n)) for n in EVENT_TABLES}
                connections = {"connections": tables["network_events"]}
                names: dict[str, Any] = {**tables, "processes": tables["process_events"], **connections}
                exec(compile(block.text, page.name, "exec"), names)
                if "pairs" in names:
                    assert names["pairs"].columns[-2:] == ["attribution", "instance"], page.name
    assert {words[1] for words in results} == {
        "init", "ingest", "detect", "backfill", "catch-up", "gaps", "maintain", "findings", "status", "detections",
        "exclusions", "preview", "quarantine", "replay", "risk", "sources"}  # fmt: skip


def test_reference_pages_have_no_examples() -> None:
    """They would not be run."""
    for page in (*REFERENCE, ROOT / "CONTRIBUTING.md"):
        assert not re.search(r"^\$ procnet", page.read_text("utf-8"), re.M), page.name
        assert not [b for b in blocks(page) if b.kind == "python"], page.name


def test_every_page_is_in_the_navigation_and_every_link_leads_somewhere() -> None:
    assert set(PAGES) == {ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.glob("*.md")}
    listed = re.findall(r'"([\w-]+\.md)"', (ROOT / "zensical.toml").read_text("utf-8"))
    assert sorted(listed) == sorted(p.name for p in DOCS.glob("*.md"))
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_generated_pages_are_those_of_the_code() -> None:
    for path, text in generate.generated().items():
        assert path.read_text("utf-8") == text, f"{path.name} differs from the code: make docs writes it"


# What a reference to a file of the repository looks like. Names with a placeholder or a wildcard are none, nor are
# `conf/` paths of an installed procnet.
REFERRED = re.compile(
    r"(?<![\w/.\"-])(?:docs|tests|lib|jobs|bench|conf|\.ci)/[\w./-]*[\w]\.(?:md|py|yml|lock|svg|run)\b"
)
# Design notes that were never in the repository.
UNKNOWN = re.compile(r"\b(?:1-shape|1-detection|2-semantics|3-join|4-house)\b")
# Files that a user or an example makes.
OWN = {"conf/local.yml", "conf/exclusions/own.yml"}


def text_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True).stdout  # fmt: skip
    kinds = {".md", ".py", ".yml", ".toml", ".svg", ".css", ""}
    return [ROOT / f for f in listed.splitlines() if Path(f).suffix in kinds and (ROOT / f).is_file()]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no git checkout")
def test_no_text_refers_to_a_file_that_does_not_exist() -> None:
    problems = []
    for file in text_files():
        text = file.read_text("utf-8", errors="replace")
        missing = [r for r in REFERRED.findall(text) if "NAME" not in r and r not in OWN and not (ROOT / r).exists()]
        if file != Path(__file__):
            missing += UNKNOWN.findall(text)
        problems += [f"{file.relative_to(ROOT)}: {name}" for name in missing]
    assert problems == []


def test_every_name_of_the_code_in_the_docs_exists() -> None:
    problems = []
    for page in PAGES:
        for name in re.findall(r"`(procnet(?:\.\w+)+)`", page.read_text("utf-8")):
            module, _, attribute = name.rpartition(".")
            if page.name == "exports.md" and name.split(".")[1] in FINDINGS.names:
                continue  # a field of Elastic's documents
            try:
                getattr(importlib.import_module(module), attribute)
            except (ImportError, AttributeError):
                problems.append(f"{page.name}: {name}")
    assert problems == []


def test_architecture_describes_every_layer() -> None:
    described = set(table("architecture.md", "folder or module"))
    modules = {m for row in generate.layers() for m in row}
    assert modules <= described
    assert all((ROOT / "lib/procnet" / m).exists() or (ROOT / f"lib/procnet/{m}.py").exists() for m in described)


def test_the_api_page_has_every_public_name() -> None:
    assert set(re.findall(r"^::: procnet\.(\w+)$", (DOCS / "api.md").read_text("utf-8"), re.M)) == set(procnet.__all__)


def test_no_page_advises_to_install_the_package_of_another_project() -> None:
    """The name procnet on the public index is not ours; the pages may quote the command to warn of it."""
    advice = re.compile(r"pip install (?:-\S+ )*['\"]?procnet\b")
    for page in PAGES:
        for line in page.read_text("utf-8").splitlines():
            assert not advice.search(line) or "`pip install procnet`" in line, f"{page.name}: {line}"


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
    listed = table("settings.md", "key")
    local = flat(yaml.safe_load((default_conf_dir() / "local.yml").read_text("utf-8")))
    wanted = {k: [spelled(v), spelled(local.get(k))] for k, v in flat(Settings()).items()}
    assert {k: cells[:2] for k, cells in listed.items()} == wanted
    assert [k for k, cells in listed.items() if len(cells[2].split()) < 3] == [], "each has its meaning"


def test_detections_are_described_with_every_key_and_every_modifier() -> None:
    assert set(table("detections.md", "key")) == set(DetectionFile.model_fields)
    modifiers = table("detections.md", "modifier")
    assert set(modifiers) == set(_MODIFIERS)
    for modifier, cells in modifiers.items():
        block = yaml.safe_load(unescape(cells[1].removeprefix("<code>").removesuffix("</code>")))
        (key,) = block
        assert modifier in key.split("|")[1:], key
        tree, problems = parse_side({"b": block, "condition": "b"}, {**PROCESS_TYPES, **NETWORK_TYPES}, modifier)
        assert problems == []
        assert tree is not None


def test_methods_of_attribution_and_tolerances_are_all_described() -> None:
    assert set(table("attribution.md", "attribution")) == set(ATTRIBUTIONS)
    tolerances = {k: spelled(v) for k, v in flat(Settings()).items() if k.startswith(("attribution.", "host."))}
    for key in ("attribution.broadcast_limit", "attribution.state_over"):
        del tolerances[key]
    assert {k: cells[0] for k, cells in table("attribution.md", "setting").items()} == tolerances


def test_shipped_sources_are_all_listed() -> None:
    assert set(table("sources.md", "source")) == set(known_sources())
