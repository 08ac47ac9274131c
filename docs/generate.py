"""Writes the pages and pictures of the documentation that are made from code; `make docs` runs it.

docs/tables.md comes from procnet.contract, docs/commands.md from the parser of the command line, docs/bad-inputs.md
from the cases of tests/bad_inputs, and docs/assets/layers.svg from the import layers in pyproject.toml. They are
committed, so that they can be read in the repository; tests/docs/test_docs.py fails where one differs from its source.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path

from pyspark.sql import types as T

from procnet import contract

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT / "tests"))

# Name, schema, partition columns, and what a row is.
TABLES: list[tuple[str, T.StructType, Sequence[str], str]] = [
    (name, *contract.TABLES[name], about)
    for name, about in (
        ("process_events", "A process started or ended."),
        ("network_events", "A process made or accepted a connection."),
        ("dns_events", "A host was answered what it had asked of DNS; it gives connections their names."),
        ("flow_events", "A network sensor saw a connection, or a part of it; it has no process."),
        ("findings", "A detection matched a connection and its process. Rows hold no wall clock and no window bounds, "
         "so the same events give the same rows."),
        ("runs", "The ledger: one row for each run, appended after the run's commit."),
        ("quarantine", "A record that could not be used; see [quarantine.md](quarantine.md)."),
        ("open_processes", "A cache of process events for windows with a long lookback; see "
         "[scale.md](scale.md#long-lookbacks). It may be deleted at any time."),
    )
] + [
    ("risk_events", contract.RISK_EVENTS, (), "A view of `findings`: repeats grouped by time bucket; see "
     "[risk.md](risk.md)."),
    ("incidents", contract.INCIDENTS, (), "A view of `risk_events`: a risk object passed a threshold."),
]  # fmt: skip


def tables_page() -> str:
    """Markdown with every column of every table: its type, meaning and unit."""
    lines = [
        "# Tables",
        "",
        "<!-- Written by docs/generate.py from lib/procnet/contract.py. Do not edit. -->",
        "",
        f"The tables of a lake, schema version {contract.SCHEMA_VERSION}. `procnet init` creates them, and brings the "
        "tables of an older version up to date. Columns are named as in Splunk's CIM, except `host`, which the CIM "
        "calls `dest`, `src` or `dvc`.",
        "",
        "Times are UTC with microseconds. Unknown values are null, never an empty text or `-`. Text is stored as the "
        "sensor wrote it unless the meaning says otherwise.",
    ]
    for name, schema, partitions, about in TABLES:
        lines += ["", f"## {name}", "", about]
        if partitions:
            lines += ["", f"Partitioned by {', '.join(f'`{p}`' for p in partitions)}."]
        lines += ["", "| column | type | meaning |", "|---|---|---|"]
        for column in schema:
            kind = column.dataType.simpleString().replace("<", "&lt;").replace(">", "&gt;").replace(",", ", ")
            meaning = column.metadata["comment"].replace("|", "&#124;").replace("<", "&lt;")
            lines.append(f"| `{column.name}` | {kind} | {meaning} |")
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """Markdown with every command and its options, as the parser prints it."""
    command = [sys.executable, "-m", "procnet.cli.reference"]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


def bad_inputs_page() -> str:
    """Markdown with every bad input that a test has, and what is said of it."""
    from bad_inputs import raw_files, yaml_and_commands
    from bad_inputs.case import page

    return page([*yaml_and_commands.GROUPS, *raw_files.GROUPS])


def layers() -> list[list[str]]:
    """The import layers of lib/procnet in pyproject.toml, highest first."""
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    found = next(c["layers"] for c in linter["contracts"] if c.get("containers") == ["procnet"])
    rows = [[m.strip() for m in layer.replace(":", "|").split("|")] for layer in found]
    return [[m for m in row if not m.startswith("__")] for row in rows]


def layers_picture(rows: Sequence[Sequence[str]]) -> str:
    """An SVG of the layers: one row of boxes a layer. Imports run downwards only."""
    width, box, gap = 480, 32, 10
    height = len(rows) * (box + gap) + gap
    shapes = []
    for n, row in enumerate(rows):
        y = gap + n * (box + gap)
        inner = width - 56
        each = (inner - gap * (len(row) - 1)) / len(row)
        for i, module in enumerate(row):
            x = 46 + i * (each + gap)
            shapes.append(
                f'<rect x="{x:.0f}" y="{y}" width="{each:.0f}" height="{box}" rx="6" fill="#e8eefb" stroke="#4a6fc4"/>'
                f'<text x="{x + each / 2:.0f}" y="{y + 21}" text-anchor="middle">{escape(module)}</text>'
            )
    arrow = (
        f'<path d="M28 {gap} V{height - gap - 8}" stroke="#555" stroke-width="2"/>'
        f'<path d="M22 {height - gap - 10} L28 {height - gap} L34 {height - gap - 10} Z" fill="#555"/>'
        f'<text x="16" y="{height // 2}" text-anchor="middle" fill="#555" '
        f'transform="rotate(-90 16 {height // 2})">imports</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="monospace" font-size="13" role="img" aria-label="Import layers of lib/procnet">\n'
        f'<rect width="{width}" height="{height}" rx="8" fill="#fff"/>\n{arrow}\n' + "\n".join(shapes) + "\n</svg>\n"
    )


def generated() -> dict[Path, str]:
    """Each generated file and the text that it must have."""
    return {
        DOCS / "tables.md": tables_page(),
        DOCS / "commands.md": commands_page(),
        DOCS / "bad-inputs.md": bad_inputs_page(),
        DOCS / "assets/layers.svg": layers_picture(layers()),
    }


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")
