"""What a message or a page says to do can be done: by a user of the wheel, which has no docs, and without harm."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def texts(module: Path) -> list[str]:
    """The string constants of a module that are no docstrings."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        n.value
        for n in ast.walk(tree)
        if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in docs
    ]


def test_no_message_names_a_file_that_the_wheel_lacks() -> None:
    named = [
        f"{module.relative_to(ROOT)}: {text}"
        for module in sorted((ROOT / "lib").rglob("*.py"))
        for text in texts(module)
        if re.search(r"\bdocs/[\w-]+\.md(?!, R\d)", text)  # a column's comment may cite a rule
    ]
    assert named == []


def test_nothing_installs_the_package_of_another_project() -> None:
    """`procnet` on the public index is unrelated; the one sentence that names the command forbids it."""
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "Makefile", ROOT / "CHANGELOG.md"]
    for folder, endings in (("lib", "*.py"), ("docs", "*.md"), ("conf", "*.yml"), ("jobs", "*"), ("bench", "*.py")):
        files += [f for f in sorted((ROOT / folder).rglob(endings)) if f.is_file() and f.suffix != ".pyc"]
    by_name = re.compile(r"pip3? install (?:-[\w-]+ |['\"])*procnet(?![\w/.-])[^\n]*")
    found = [
        f"{file.relative_to(ROOT)}: {match[0]}"
        for file in files
        for match in by_name.finditer(file.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == [
        "docs/installation.md: pip install procnet`. Install from the checkout or from a wheel file, as shown below."
    ]
    assert "Never\n> run `pip install procnet`" in (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
