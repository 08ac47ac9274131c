"""How Spark runs a query: which columns and rows each scan reads, and which joins follow (this makes it fast).

Spark itself would broadcast tables as small as these; that is switched off here, so that every broadcast is one that
the code requests, and a join that lost its broadcast is a shuffle in the plan.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from procnet.attribution.attribute import attribute
from procnet.attribution.keys import KEY
from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS
from procnet.detections.catalog import load_detections, select
from procnet.detections.detection import Detection
from procnet.engine.evaluate import evaluate
from procnet.engine.query import Query
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.predicates.model import All, Field, Predicate
from procnet.settings import Settings, default_conf_dir
from procnet.spark.collect import Empty, TooMany, collect_at_most
from random_lakes import at

MSIEXEC = "b0fd38c7-f71a-43a2-870e-f3ca06bcdd99"
TEN, NOON = datetime(2026, 3, 2, 10, tzinfo=timezone.utc), datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
OWN_CHOICE = "spark.sql.autoBroadcastJoinThreshold", "spark.sql.adaptive.autoBroadcastJoinThreshold"

pytestmark = [
    pytest.mark.spark,
    pytest.mark.usefixtures("compiled"),
    pytest.mark.classic("the operators of a plan, and what adaptive execution made of them, stay in the JVM"),
]


@dataclass(frozen=True)
class Node:
    """One operator of a physical plan; of a scan also its table, the columns it reads and the filters it was given."""

    name: str
    children: tuple[Node, ...]
    table: str | None = None
    columns: frozenset[str] = frozenset()
    pushed: str = ""
    filters: str = ""
    partitions: str = ""

    def paths(self) -> Iterator[tuple[Node, ...]]:
        """Yields every path from this node to a leaf."""
        for child in self.children:
            for path in child.paths():
                yield (self, *path)
        if not self.children:
            yield (self,)

    def above(self, table: str) -> list[list[str]]:
        """For each scan of the table, the operators from the top down to it."""
        return [[n.name for n in path] for path in self.paths() if path[-1].table == table]

    def scans(self, table: str) -> list[Node]:
        return [path[-1] for path in self.paths() if path[-1].table == table]

    def names(self) -> set[str]:
        return {n.name for path in self.paths() for n in path}


def tree(frame: DataFrame) -> Node:
    """The plan of a frame: the final one of adaptive execution, if the frame has run."""
    return _node(frame._jdf.queryExecution().executedPlan())


def _node(operator: Any) -> Node:
    name = operator.getClass().getSimpleName()
    if name == "FileSourceScanExec":
        metadata, roots = operator.metadata(), operator.relation().location().rootPaths()
        columns = frozenset(operator.requiredSchema().fieldNames())
        texts = (metadata.apply(k) for k in ("PushedFilters", "DataFilters", "PartitionFilters"))
        return Node(name, (), roots.head().getName(), columns, *texts)
    if name == "AdaptiveSparkPlanExec":
        below = [operator.executedPlan()]
    elif name.endswith("QueryStageExec"):
        below = [operator.plan()]
    else:
        below = [operator.children().apply(i) for i in range(operator.children().size())]
    return Node(name, tuple(map(_node, below)))


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A host's events of two days in Delta, and a session that broadcasts nothing by its own choice."""
    folder: Path = tmp_path_factory.mktemp("plans")
    day, process = timedelta(days=1), {"host": "a", "process_id": 8, "process_name": "msiexec.exe"}
    starts = [{**process, **at(t), "event_kind": "start"} for t in (TEN - day, TEN)]
    connections = [{**process, **at(t), "dest_port": 443} for t in (NOON - day, TEN + timedelta(minutes=1))]
    for table, rows, schema in (
        ("process_events", starts, PROCESS_EVENTS),
        ("network_events", connections, NETWORK_EVENTS),
    ):
        frame = spark.createDataFrame([tuple(r.get(n) for n in schema.names) for r in rows], schema)
        frame.write.format("delta").partitionBy("event_date").save(str(folder / table))
    for key in OWN_CHOICE:
        spark.conf.set(key, "-1")
    yield Lake(spark, Settings(lake=folder))
    for key in OWN_CHOICE:
        spark.conf.unset(key)


# What the driver collects, in turn: candidates of each lookback by name and by original name, their connections and the
# process events on the connections' keys, all with few columns; then the few connections with all columns.
CANDIDATES = ("by_name", "renamed", "by_name 2", "renamed 2")
COLLECTED = ("connections", "process_events", "full_connections")


def frames_of(lake: Lake, detections: Sequence[Detection], collect: Callable[[DataFrame, int], Any]) -> dict[str, Any]:
    """The frames that `evaluate` builds: those that are collected (of the shuffled plan only candidates), the pairs and
    the findings; `collect` decides which plan."""
    frames: dict[str, Any] = {}

    def record_collected(rows: DataFrame, limit: int) -> Any:
        is_candidate = rows.columns == [*KEY, "process_name", "lookback_us"]
        frames[next(n for n in (CANDIDATES if is_candidate else COLLECTED) if n not in frames)] = rows
        return collect(rows, limit)

    def in_turn(spark: SparkSession, *tasks: Callable[[], Any]) -> list[Any]:
        return [task() for task in tasks]

    def record_pairs(*events: DataFrame, **rules: Any) -> DataFrame:
        frames["pairs"] = attribute(*events, **rules)
        return frames["pairs"]

    with pytest.MonkeyPatch.context() as patch:
        for module in ("candidates", "prefilter"):
            patch.setattr(f"procnet.engine.{module}.collect_at_most", record_collected)
            patch.setattr(f"procnet.engine.{module}.run_concurrently", in_turn)
        patch.setattr("procnet.engine.evaluate.attribute", record_pairs)
        events = lake.read("process_events"), lake.read("network_events")
        frames["findings"] = evaluate(Query(*events, detections, Window(TEN, NOON), lake.settings)).findings
    return frames


@pytest.fixture(scope="module")
def msiexec() -> Detection:
    [detection] = select(load_detections(default_conf_dir() / "detections"), [MSIEXEC])
    return detection


@pytest.fixture(scope="module")
def broadcast(lake: Lake, msiexec: Detection) -> dict[str, Node]:
    """The plans of the shipped detection after their run, as adaptive execution left them."""
    frames = frames_of(lake, [msiexec], collect_at_most)
    assert {name: len(frame.collect()) for name, frame in frames.items()} == {
        "by_name": 2, "renamed": 0, "connections": 1, "process_events": 2, "full_connections": 1, "pairs": 1,
        "findings": 1,
    }  # fmt: skip
    return {name: tree(frame) for name, frame in frames.items()}


@pytest.fixture(scope="module")
def many(lake: Lake, msiexec: Detection) -> dict[str, Node]:
    """The same plans where too many connections are left to filter a scan by their values."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("prefilter", "driver_rows"):
            patch.setattr(f"procnet.engine.{module}.BY_VALUE", 0)
        frames = frames_of(lake, [msiexec], collect_at_most)
    assert [len(frames[name].collect()) for name in ("pairs", "findings")] == [1, 1]
    return {name: tree(frame) for name, frame in frames.items()}


@pytest.fixture(scope="module")
def shuffled(lake: Lake, msiexec: Detection) -> dict[str, Node]:
    """The same plans with too many keys. They are not run: forced joins are known before, and a run takes seconds."""
    frames = frames_of(lake, [msiexec], lambda keys, limit: TooMany(limit))
    return {name: tree(frames[name]) for name in ("by_name", "renamed", "pairs")}


def test_connections_are_joined_with_candidates_in_their_scan(broadcast: dict[str, Node]) -> None:
    """One scan by key and name; only the rows that remain are sent, to the driver."""
    [above] = broadcast["connections"].above("network_events")
    assert {n for n in above if "Join" in n} == {"BroadcastHashJoinExec"}
    assert not [n for n in above[above.index("BroadcastHashJoinExec") :] if "Exchange" in n]


def test_few_pairs_are_found_without_a_scan_of_connections(broadcast: dict[str, Node]) -> None:
    """Few connections are read in full by a list of values: their scan needs no join and waits for no other."""
    [above] = broadcast["full_connections"].above("network_events")
    assert not [n for n in above if "Join" in n]
    assert not broadcast["pairs"].scans("network_events")
    assert "SortMergeJoinExec" not in broadcast["pairs"].names()


def test_pairs_are_found_where_connections_are_read(many: dict[str, Node]) -> None:
    """The connections are read in full, attributed and judged in one stage: only matches are exchanged."""
    [above] = many["pairs"].above("network_events")
    assert [n for n in above if "Join" in n] == ["BroadcastHashJoinExec"] * 3
    assert not [n for n in above if "Exchange" in n]
    [above] = many["findings"].above("network_events")
    below_matches = above[len(above) - above[::-1].index("GenerateExec") :]
    assert [n for n in below_matches if "Join" in n] == ["BroadcastHashJoinExec"] * 3
    assert not [n for n in below_matches if "Exchange" in n]


def test_few_columns_are_read_first(broadcast: dict[str, Node]) -> None:
    """The scans of the whole lookback and of all connections read no text that only describes a process."""
    [connections] = broadcast["connections"].scans("network_events")
    assert connections.columns == KEYS - {"event_kind"} | {"dest_port", "original_file_name"}
    [process_events] = broadcast["process_events"].scans("process_events")
    assert process_events.columns == KEYS | {"original_file_name", "vendor_product", "source"}


def test_text_is_read_of_the_names_and_hosts_that_are_left(broadcast: dict[str, Node]) -> None:
    for plan, table, filters in (
        ("full_connections", "network_events", ("EqualTo(host,a)", "EqualTo(dest_port,443)")),
        ("findings", "process_events", ("EqualTo(host,a)", "EqualTo(process_name,msiexec.exe)")),
    ):
        scans = broadcast[plan].scans(table)
        assert scans
        for scan in scans:
            assert "record_id" in scan.columns
            assert all(f in scan.pushed for f in filters)


def test_broadcast_builds_and_sends_the_instances_once(many: dict[str, Node]) -> None:
    """One index is for process ids and guids: the second join reuses the broadcast of the first."""
    [way] = [path for path in many["pairs"].paths() if path[-1].table == "network_events"]
    sides = [next(join.children[1].paths()) for join in way if "Join" in join.name][:2]
    sent = [next(n.name for n in side if n.name.endswith("ExchangeExec")) for side in sides]
    assert sorted(sent) == ["BroadcastExchangeExec", "ReusedExchangeExec"]


def test_detections_of_several_lookbacks_share_one_pass(lake: Lake, msiexec: Detection) -> None:
    """Connections and process events are read as for one lookback, process events for the longest one."""
    other = replace(msiexec, id="other", lookback=timedelta(days=1, hours=2))
    findings = frames_of(lake, [msiexec, other], collect_at_most)["findings"]
    assert sorted(r["detection_id"] for r in findings.collect()) == [msiexec.id, "other"]
    plan = tree(findings)
    [joined] = [
        way for way in _ways(plan) if way.count("BroadcastHashJoinExec") == 2 and "BroadcastExchangeExec" not in way
    ]
    assert joined.count("GenerateExec") == 2, "lookbacks and detections are exploded where the pairs are"
    scans = set(plan.scans("process_events"))
    assert len(scans) == 1
    assert all("2026-03-01 07:59:58" in scan.filters for scan in scans)


def _ways(plan: Node) -> list[list[str]]:
    return [[n.name for n in path] for path in plan.paths()]


def test_shuffled_broadcasts_nothing(shuffled: dict[str, Node]) -> None:
    names = shuffled["pairs"].names()
    assert "SortMergeJoinExec" in names
    assert not [n for n in names if "Broadcast" in n]


def test_no_plan_multiplies_rows(broadcast: dict[str, Node], shuffled: dict[str, Node]) -> None:
    for plan in (*broadcast.values(), *shuffled.values()):
        assert not plan.names() & {"CartesianProductExec", "BroadcastNestedLoopJoinExec"}


@pytest.mark.parametrize(
    ("table", "start", "end", "first", "last"),
    [
        ("network_events", "2026-03-02 10:00:00", "2026-03-02 12:00:00", "2026-03-02", "2026-03-02"),
        # What a lookback of 24 h and the tolerances (2 s before, 1 + 2 x 2 s after) reach.
        ("process_events", "2026-03-01 09:59:58", "2026-03-02 12:00:05", "2026-03-01", "2026-03-02"),
    ],
)
def test_every_scan_is_bound_to_its_period(
    broadcast: dict[str, Node], shuffled: dict[str, Node], table: str, start: str, end: str, first: str, last: str
) -> None:
    for plans_of in (broadcast, shuffled):
        scans = [scan for plan in plans_of.values() for scan in plan.scans(table)]
        assert scans
        for scan in scans:
            assert "GreaterThanOrEqual(event_time," in scan.pushed
            assert "LessThan(event_time," in scan.pushed
            assert f">= {start})" in scan.filters
            assert f"< {end})" in scan.filters
            assert f">= {first})" in scan.partitions
            assert f"<= {last})" in scan.partitions


def test_ports_reach_the_files_of_connections(broadcast: dict[str, Node], shuffled: dict[str, Node]) -> None:
    for plan in (*broadcast.values(), *shuffled.values()):
        for scan in plan.scans("network_events"):
            assert re.search(
                r"Or\(EqualTo\(dest_port,80\),EqualTo\(dest_port,443\)\)|In\(dest_port, |EqualTo\(dest_port,443",
                scan.pushed,
            )


NAMED = All((Field("process_name", "eq", "a.exe"), Field("command_line", "contains", "/i")))
KEYS = {"event_time", "event_kind", "host", "process_id", "process_guid", "process_name"}


@pytest.mark.parametrize(
    ("process", "name", "columns"),
    [
        # A renamed copy has a scan of its own, over all names.
        (None, "msiexec.exe", [{"original_file_name"}, {"original_file_name"}]),
        (Field("process_name", "eq", "a.exe"), "a.exe", [set()]),
        (NAMED, "a.exe", [{"command_line"}]),
    ],
    ids=["as shipped", "by name", "by name and command line"],
)  # fmt: skip
def test_the_scan_for_candidates_is_by_name_and_narrow(
    lake: Lake, msiexec: Detection, process: Predicate | None, name: str, columns: list[set[str]]
) -> None:
    """It reads the whole lookback: each text column of it costs more than the rows do (docs/scale.md)."""
    frames = frames_of(
        lake,
        [replace(msiexec, process=process or msiexec.process)],
        lambda keys, limit: Empty(keys.limit(0).toArrow()),  # no candidate and no connection: it ends here
    )
    scans = [scan for name in CANDIDATES if name in frames for scan in tree(frames[name]).scans("process_events")]
    assert [scan.columns for scan in scans] == [KEYS | more for more in columns]
    assert all("EqualTo(event_kind,start)" in scan.pushed for scan in scans)
    assert f"EqualTo(process_name,{name})" in scans[0].pushed
