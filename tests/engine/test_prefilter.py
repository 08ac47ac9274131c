"""The prefilter loses no finding: `evaluate` is compared with the judgement of every attributed connection.

Each detection has lakes of its own: hosts, image names and original file names with its prefix. So no row of them is
read only for another detection, although all are judged together.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from detection_files import detection
from procnet.attribution.attribute import attribute_connections
from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS
from procnet.detections.conditions import conditions_of
from procnet.detections.detection import Detection
from procnet.detections.judge import judge
from procnet.engine.evaluate import evaluate
from procnet.engine.query import Query
from procnet.periods import Window
from procnet.settings import Settings
from random_lakes import NOON, Lake, Row, at, seeded

EVER = Window(NOON - timedelta(hours=1), NOON + timedelta(hours=1))
LAKES = 60
NAME, ORIGINAL = {"process_name": "msiexec.exe"}, {"original_file_name": "x"}

# Process blocks a, b, c and their condition (None: no process block), and the network block.
BLOCKS: list[tuple[tuple[dict[str, Any], ...], str | None, dict[str, Any]]] = [
    ((NAME,), "a", {"dest_port": 443}),
    ((NAME, ORIGINAL), "a or b", {"dest_port": 443}),
    ((ORIGINAL,), "a", {"dest_port": [80, 443]}),
    ((NAME, ORIGINAL), "a and b", {"dest_port|gte": 80}),
    ((NAME, ORIGINAL), "a and not b", {"dest_port": 443}),
    ((NAME, {"original_file_name": None}), "a and b", {"dest_port": [80, 443]}),
    ((NAME, {"command_line|contains": "x", "user": None}), "a and b", {"dest_port|gte": 80}),
    ((NAME, {"command_line|contains": "x"}, {"user": "y"}), "a and b and not c", {"dest_port": [80, 443]}),
    ((ORIGINAL, {"user": "x"}), "a and b", {"dest_port|gte": 80}),
    ((NAME, ORIGINAL, {"user": "x"}), "(a or b) and c", {"dest_port|gte": 80}),
    ((NAME, ORIGINAL, {"user": "x"}), "a and b and c", {"dest_port|gte": 80}),
    ((NAME, {"user": "x"}, {"command_line|exists": True}), "a and b and c", {"dest_port|gte": 80}),
    ((NAME, {"parent_process_id|lt": 100}), "a and not b", {"dest_port": [80, 443]}),
    ((NAME, {"command_line|fieldref": "user"}), "a and b", {"dest_port": [80, 443]}),
    ((NAME,), "a", {}),  # the process only
    ((), None, {"dest_port": 88}),  # the connection only
    ((NAME,), "not a", {"dest_port": 88}),  # any program but one, on a port of few
    (({"user": "x"},), "a", {"dest_port": 88}),
    (({"process_name": None},), "a", {"dest_port": 88}),
]


def detection_of(number: int) -> Detection:
    blocks, condition, network = BLOCKS[number]
    named = [{k: own(number, v) if k in NAMES else v for k, v in block.items()} for block in blocks]
    process = {**dict(zip("abc", named, strict=False)), "condition": condition} if blocks else None
    own_hosts = {"host|startswith": own(number, "")}
    return detection(number, process=process, network={"a": {**own_hosts, **network}, "condition": "a"}, lookback="5s")


NAMES = (*NAME, *ORIGINAL)


def own(number: int, value: str | None) -> str | None:
    """A text with the detection's prefix."""
    return None if value is None else f"d{number}-{value}"


def moved(row: Row, number: int, lake: int) -> Row:
    """The row with the names of one detection, on a host of one lake."""
    host = None if row["host"] is None else f"{lake}-{row['host']}"
    record = {"host": own(number, host), "record_id": own(number, f"{lake}-{row['record_id']}")}
    return {**row, **record, **{k: own(number, row[k]) for k in NAMES}}


def richer(lake: Lake, dice: random.Random) -> Lake:
    """Returns the lake with more ports and more process columns in its connections, as some sources have them."""
    columns = ("original_file_name", "user", "command_line")
    return Lake(
        lake.processes,
        [
            {
                **c,
                "dest_port": dice.choice((80, 443, 88, None)),
                **{k: dice.choice((None, None, "x", "y")) for k in columns},
            }
            for c in lake.connections
        ],
    )


def merged_of_two() -> Lake:
    """A start that only its two records describe in full: one has the user, the other the rest."""
    process = {"event_kind": "start", "host": "a", "process_id": 4, "process_name": "msiexec.exe", **at(NOON)}
    leads = {**process, "process_guid": "G", "user": "x", "source": "flat", "record_id": "leads"}
    known = {"original_file_name": "x", "command_line": "x", "user": "y"}
    fills = {**process, **known, "source": "beats", "record_id": "fills"}
    connection = {"host": "a", "process_id": 4, "dest_port": 443, "record_id": "c", **at(NOON + timedelta(seconds=1))}
    return Lake(
        [{n: row.get(n) for n in PROCESS_EVENTS.names} for row in (leads, fills)],
        [{n: connection.get(n) for n in NETWORK_EVENTS.names}],
    )


def frame(spark: SparkSession, rows: Sequence[Row], schema: T.StructType) -> DataFrame:
    return spark.createDataFrame([tuple(r.values()) for r in rows], schema, verifySchema=False)


@pytest.mark.spark
@pytest.mark.parametrize("few", [10_000, pytest.param(0, marks=pytest.mark.long)], ids=["by value", "by a join"])
def test_the_prefilter_loses_nothing(spark: SparkSession, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    for module in ("prefilter", "driver_rows"):
        monkeypatch.setattr(f"procnet.engine.{module}.BY_VALUE", few)
    dice = random.Random(7)
    lakes = [*[richer(lake, dice) for lake in seeded(LAKES, 5)], merged_of_two()]
    numbers, numbered = range(len(BLOCKS)), list(enumerate(lakes))
    processes = [moved(r, n, i) for n in numbers for i, lake in numbered for r in lake.processes]
    connections = [moved(r, n, i) for n in numbers for i, lake in numbered for r in lake.connections]
    events = frame(spark, processes, PROCESS_EVENTS), frame(spark, connections, NETWORK_EVENTS)
    detections = [detection_of(n) for n in numbers]

    narrowed = evaluate(Query(*events, detections, EVER, Settings())).findings
    assert narrowed is not None
    pairs = attribute_connections(*events, max_age=timedelta(seconds=5), plan="broadcast")
    prefiltered = narrowed.selectExpr("'find'", "detection_id", *COLUMNS)
    whole = judge(pairs.withColumn("max_age", F.lit(timedelta(seconds=5))), detections).selectExpr(
        "'all'", "detection.id", *COLUMNS_OF_PAIRS
    )
    found: dict[str, dict[str, set[str]]] = {d.id: {"find": set(), "all": set()} for d in detections}
    for who, detection_id, *row in prefiltered.unionAll(whole).collect():
        found[detection_id][who].add(str(row))

    for blocks, t in zip(BLOCKS, found.values(), strict=True):
        lost, made_up = sorted(t["all"] - t["find"]), sorted(t["find"] - t["all"])
        assert not lost, f"{blocks} lost {lost}"
        assert not made_up, f"{blocks} made up {made_up}"
        assert 2 <= len(t["all"]) < len(connections) / len(BLOCKS), f"{blocks} shows little: {t}"


@pytest.mark.spark
def test_a_start_is_a_candidate_where_another_record_may_fill_either_field(spark: SparkSession) -> None:
    same = {"a": NAME, "b": {"process_name|fieldref": "original_file_name"}, "condition": "a and b"}
    wanted = conditions_of([detection(process=same)]).starts
    assert wanted is not None
    records = [("msiexec.exe", None), ("msiexec.exe", "msiexec.exe"), ("msiexec.exe", "x"), ("x", None)]
    frame = spark.createDataFrame(records, "process_name string, original_file_name string")
    assert [tuple(r) for r in frame.where(wanted).collect()] == records[:2]


@pytest.mark.spark
def test_no_start_is_a_candidate_where_no_detection_names_a_process() -> None:
    detections = [detection_of(n) for n in range(len(BLOCKS)) if not BLOCKS[n][0] or BLOCKS[n][1] == "not a"]
    assert conditions_of(detections).starts is None


COLUMNS = ("attribution", "connection_record_id", "process_record_id", "unix_micros(process_time)",
        "unix_micros(process_end_time)")  # fmt: skip
COLUMNS_OF_PAIRS = ("attribution", "record_id", "instance.record_id", "unix_micros(instance.process_time)",
                 "unix_micros(instance.process_end_time)")  # fmt: skip


@pytest.mark.spark
@pytest.mark.long
def test_detections_that_run_together_find_what_each_finds_by_itself(spark: SparkSession) -> None:
    """Detections of one image, with lookbacks that end within the lakes, and one of any process, with another."""
    dice = random.Random(8)
    lakes = list(enumerate(richer(lake, dice) for lake in seeded(LAKES, 6)))
    events = (
        frame(spark, [moved(r, 0, i) for i, lake in lakes for r in lake.processes], PROCESS_EVENTS).cache(),
        frame(spark, [moved(r, 0, i) for i, lake in lakes for r in lake.connections], NETWORK_EVENTS).cache(),
    )
    image = {"a": {"process_name": own(0, NAME["process_name"])}, "condition": "a"}
    detections = [
        *[detection(n, process=image, lookback=f"{seconds}s") for n, seconds in enumerate((1, 9))],
        detection(2, process=None, lookback="2s"),
        detection(3, process={"a": {"process_name": "nobody.exe"}, "condition": "a"}, lookback="7d"),
    ]

    twice = (events[0].unionAll(events[0]), events[1])  # exact duplicates change nothing, and are more rows to collect

    def findings_of(
        detections: Sequence[Detection], limit: int = 100_000, of: tuple[DataFrame, ...] = events
    ) -> list[str]:
        settings = Settings.model_validate({"attribution": {"broadcast_limit": limit}})
        findings = evaluate(Query(*of, detections, EVER, settings)).findings
        return [] if findings is None else sorted(str(r) for r in findings.collect())

    counts = evaluate(Query(*twice, detections[2:], EVER, Settings())).rows_collected
    few = counts["network_events"]
    assert few < counts["process_events"]
    separately = [findings_of([d]) for d in detections]
    together = sorted(row for rows in separately for row in rows)
    assert findings_of(detections) == together
    assert findings_of(detections, 1) == together, "the shuffled plan"
    # An any-process detection has no candidates: the connections can be collected, the events on their keys cannot.
    assert findings_of(detections[2:], few, twice) == sorted(row for rows in separately[2:] for row in rows)
    limited = Settings.model_validate({"attribution": {"broadcast_limit": few}})
    plan = evaluate(Query(*twice, detections[2:], EVER, limited)).plan
    assert plan == "shuffled", "the events on few keys can be too many to collect"
    named = [sum("attribution='event'" not in row for row in rows) for rows in separately]
    assert 0 < named[0] < named[1]
    assert separately[2]
    assert not separately[3]


@pytest.mark.spark
@pytest.mark.parametrize("winner", ["a.exe", "msiexec.exe"])
def test_two_images_at_one_instant_are_ordered_by_text_that_is_read_for_it(spark: SparkSession, winner: str) -> None:
    """On one key, without unique keys, the greater path wins (docs/semantics.md, R1): by names only, another would."""
    paths = {name: "z" if name == winner else "a" for name in ("a.exe", "msiexec.exe")}
    starts = [
        {**at(NOON), "event_kind": "start", "host": "h", "process_id": 8, "process_name": name, "process_path": path}
        for name, path in paths.items()
    ]
    made = {**at(NOON + timedelta(seconds=1)), "host": "h", "process_id": 8, "dest_port": 443}
    events = [
        frame(spark, [{n: row.get(n) for n in schema.names} for row in rows], schema)
        for rows, schema in ((starts, PROCESS_EVENTS), ([made], NETWORK_EVENTS))
    ]
    detections = [detection(0, process={"a": {"process_name": "msiexec.exe"}, "condition": "a"}, lookback="1h")]
    for limit in (100_000, 0):
        settings = Settings.model_validate({"attribution": {"broadcast_limit": limit}})
        findings = evaluate(Query(*events, detections, EVER, settings)).findings
        rows = [] if findings is None else findings.collect()
        assert [r["process_name"] for r in rows] == ["msiexec.exe"] * (winner == "msiexec.exe")
