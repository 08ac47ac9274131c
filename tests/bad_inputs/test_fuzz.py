"""Files that people write, with one change of any kind: each loader returns a value or raises named problems.

PROCNET_FUZZ sets the number of examples of each test.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bad_inputs.valid_files import DETECTION, EXCLUSION, EXPECTATIONS, SETTINGS, SOURCE
from procnet.config_file import parse_yaml
from procnet.detections.catalog import load_detections
from procnet.errors import ConfigError
from procnet.findings.exclusion_schema import load_exclusions
from procnet.predicates.compile import to_sql
from procnet.predicates.describe import describe
from procnet.predicates.interpret import holds
from procnet.predicates.model import Predicate, canonical
from procnet.replay.expectations import read_expectations
from procnet.settings import default_conf_dir, load_settings
from procnet.sources.mapping import read_mapping

CATALOGUE = load_detections(default_conf_dir() / "detections")
MOST_PROBLEMS, LONGEST = 30, 1500  # lines, characters of one


def use(predicate: Predicate | None) -> None:
    """Everything that is done with a predicate before Spark has it."""
    if predicate is not None:
        to_sql(predicate).encode()
        describe(predicate)
        canonical(predicate)
        holds(predicate, {})


def use_detection(file: Path) -> None:
    for detection in load_detections([file]):
        use(detection.process)
        use(detection.network)
        assert len(detection.fingerprint) == 64
        detection.written.model_dump_json()


def use_exclusion(file: Path) -> None:
    for exclusion in load_exclusions([file]):
        use(exclusion.predicate)
        assert len(exclusion.fingerprint) == 64


def use_settings(file: Path) -> None:
    load_settings(file).model_dump_json()


KINDS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "detection": (DETECTION, use_detection),
    "exclusion": (EXCLUSION, use_exclusion),
    "source": (SOURCE, read_mapping),
    "settings": (SETTINGS, use_settings),
    "expectations": (EXPECTATIONS, lambda file: read_expectations(file, CATALOGUE)),
}

# What YAML, numbers, texts and regular expressions are known for.
TRAPS = (
    "~", "null", "yes", "no", "on", "010", "0o17", "1:30", "1_000", "0x" + "f" * 200, "-1", "-0.0", ".inf", "-.inf",
    ".nan", "1e400", "9" * 30, "2026-02-30", "2026-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    "=", "<<", "!!int abc", "!!bool x", "!!null x", "!!set {a}", "!!binary x", "!!omap [a: b]", "!x y",
    "!!python/name:os.system ", "&a x", "*a", "&a [*a]", "{<<: [{a: 1}, {a: 2}]}", "{<<: x}", "? x", "? [a]", "[]",
    "{}", "[[[[]]]]", "[", "}", "- ", "{? [a] : b}", "|", ">", "'", '"', r'"\ud800"', r'"\0"', r'"\x1b[31m"',
    r'"\u202e"', r'"\UFFFFFFFF"', "\t", "\x00", "\ufeff", "\u2028", "\x85", "%YAML 2.0", "---", "...", "# x", "@x",
    "`x", "a: b: c", "x" * 300, "*" * 200, "**a**b**", "'[a'", "'(a+)+$'", "'a{99999999999}'", r"'C:\\Happy'", "'\\'",
    "'" + "(" * 200 + "'", "not " * 50 + "image", "1 of ****", "10.0.0.1/8", "::/0", "fe80::%eth0/64", "300.1.2.3/99",
    "10.0.0.0/" + "9" * 50, "99999d", "1 fortnight", "https://x.example/?a", "{a: {b: {c: {d: e}}}}",
    "{x|re|i|all|neq|cidr: y}", "{exists: yes}", "/dev/zero", "../../x",
)  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=20), st.sampled_from(TRAPS)
)
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=8), v, max_size=3), max_leaves=6
)
EXAMPLES = int(os.environ.get("PROCNET_FUZZ", "30"))
FUZZ = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)


@pytest.fixture(scope="module")
def file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "bad.yml"


def judge(read: Callable[[Path], object], file: Path, text: str) -> None:
    """The file is read, or every line of the error is bounded, printable, and names the file."""
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        read(file)
    except ConfigError as e:
        code, lines = e.exit_code, e.message.splitlines()
    else:
        return
    assert code == 2
    assert 1 <= len(lines) <= MOST_PROBLEMS, lines
    assert [line for line in lines if len(line) > LONGEST or not line.isprintable()] == []
    assert any(str(file) in line for line in lines)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@FUZZ
def test_text_with_one_change(kind: str, file: Path, data: st.DataObject) -> None:
    valid, read = KINDS[kind]
    start = data.draw(st.integers(0, len(valid)))
    end = data.draw(st.sampled_from([start, start + 1, start + 10, valid.find("\n", start), valid.find(" ", start)]))
    new = data.draw(st.sampled_from(TRAPS) | st.text(max_size=10))
    judge(read, file, valid[:start] + new + valid[max(start, end) :])


def places(values: Any) -> Iterator[tuple[Any, Any]]:
    """Each container in the values, with each of its keys or positions."""
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in list(items):
        yield values, key
        yield from places(value)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@FUZZ
def test_values_with_one_change(kind: str, file: Path, data: st.DataObject) -> None:
    valid, read = KINDS[kind]
    values = yaml.safe_load(valid)
    container, key = data.draw(st.sampled_from(list(places(values))))
    change = data.draw(st.sampled_from(["replace", "remove", "add", "rename"]))
    value = container[key] if change == "rename" else data.draw(VALUES)
    if change in ("remove", "rename"):
        del container[key]
    if change == "replace":
        container[key] = value
    elif change != "remove" and isinstance(container, dict):
        container[data.draw(st.text(max_size=10) | st.sampled_from(TRAPS))] = value
    elif change != "remove":
        container.append(value)
    judge(read, file, yaml.safe_dump(values, allow_unicode=True))


@given(st.text(alphabet=st.sampled_from("abc01 \n\t:-?,[]{}&*!|>'\"%@`#<=.~\\xu\u00e9\ufeff\x00"), max_size=60))
@FUZZ
def test_any_text(text: str) -> None:
    _, problems = parse_yaml(text, "here")
    assert [p for p in problems if not p.startswith("here: ") or len(p) > LONGEST or not p.isprintable()] == []
