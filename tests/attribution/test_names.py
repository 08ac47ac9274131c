"""The name of a destination: traps with their answers, both plans against the oracle, and what passes through."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

import oracle_names
from oracle_names import Named, Rules
from procnet.attribution.names import with_names
from procnet.contract import DNS_EVENTS, NAME_KINDS, NETWORK_EVENTS, PROCESS_EVENTS
from procnet.settings import HostMatch, Tolerances

Row = dict[str, Any]
Choose = Callable[[Sequence[Any]], Any]

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
ADDRESS, OTHER_ADDRESS = "192.0.2.1", "2001:db8::1"
INSTANCE = T.StructType(
    [T.StructField(n, T.TimestampType()) for n in ("process_time", "process_end_time")]
    + [PROCESS_EVENTS[n] for n in ("process_id", "process_guid", "process_name")]
)
MATCHES = T.StructType(
    [*NETWORK_EVENTS, T.StructField("instance", INSTANCE), T.StructField("detection_id", T.StringType())]
)
PLANS = {"broadcast": True, "shuffled": False}


def at(seconds: float, microseconds: int = 0) -> datetime:
    return NOON + timedelta(seconds=seconds, microseconds=microseconds)


@dataclass(frozen=True)
class Example:
    """Connections and queries that share no host and no local address with those of another example."""

    connections: list[Row]
    queries: list[Row]

    def moved(self, number: int) -> Example:
        def row(r: Row) -> Row:
            own = {k: moved(r[k], number) for k in ("host", "src_ip") if r.get(k) is not None}
            return {**r, **own, "record_id": f"{number}:{r['record_id']}"}

        return Example([row(c) for c in self.connections], [row(q) for q in self.queries])


def moved(host: str, number: int) -> str:
    """The host or local address in one example; addresses stay addresses."""
    if host.startswith("10."):
        return f"10.{1 + number // 250}.{number % 250}.{host[-1]}"
    return f"fd00:{number + 1:x}::{host[-1]}" if ":" in host else f"example{number}-{host}"


def complete(row: Row, schema: T.StructType) -> Row:
    assert set(row) <= set(schema.names), row
    return {name: row.get(name) for name in schema.names}


# Cases, one for each sentence of the rule and each trap


def query(seconds: float, name: str | None = "a.example", answers: list[str] | None = None, **known: Any) -> Row:
    """A query of the process of `connection()`, by id only, whose answer has the connection's address."""
    row = {"event_time": at(seconds), "host": "ws-1", "process_id": 40, "process_name": "curl.exe", "record_id": "q",
           "query_name": name, "answers": [ADDRESS] if answers is None else answers, **known}  # fmt: skip
    return complete(row, DNS_EVENTS)


def instance(start: float = -60, end: float | None = None, **known: Any) -> Row:
    row = {"process_time": at(start), "process_end_time": None if end is None else at(end), "process_id": 40,
           "process_name": "curl.exe", **known}  # fmt: skip
    return complete(row, INSTANCE)


def connection(of: Row | None = None, **known: Any) -> Row:
    """A connection at noon, of the process `of`."""
    row = {"event_time": NOON, "host": "ws-1.corp.example", "process_id": 40, "dest_ip": ADDRESS, "src_ip": "10.0.0.1",
           "direction": "outbound", "instance": of, "record_id": "c", **known}  # fmt: skip
    return complete(row, MATCHES)


ALIVE = instance()
PTR = {"dest_host": "ptr.example"}
NAMELESS = {"process_id": None, "process_name": None}  # as a network sensor's rows
HOSTILE = "${env:HOME}'\\\"; --`.example"
REVERSE = Named("ptr.example", "reverse", ("ptr.example",))


def by(kind: str, *names: str) -> Named:
    return Named(names[0], kind, names)


CASES: dict[str, tuple[Row, list[Row], Named]] = {
    # Kinds
    "query of the process": (connection(ALIVE, **PTR), [query(-1)], by("process", "a.example")),
    "the record's own name": (connection(ALIVE, dest_name="r.example", **PTR), [], by("record", "r.example")),
    "the process's query before the record": (
        connection(ALIVE, dest_name="r.example"), [query(-1)], by("process", "a.example")),
    "the record before another process's query": (
        connection(ALIVE, dest_name="r.example"), [query(-1, process_id=8)], by("record", "r.example")),
    "query by svchost": (
        connection(ALIVE, **PTR), [query(-1, process_id=8, process_name="svchost.exe")], by("host", "a.example")),
    "query of an unknown process": (connection(ALIVE, **PTR), [query(-1, **NAMELESS)], by("host", "a.example")),
    "the process's older query before another's": (
        connection(ALIVE), [query(-9), query(-1, "b.example", process_id=8)], by("process", "a.example")),
    "PTR chosen by the attacker": (connection(ALIVE, dest_host="update.vendor.example"),
        [query(-1, "evil.example")], by("process", "evil.example")),
    "only the PTR": (connection(ALIVE, **PTR), [], REVERSE),
    "nothing known": (connection(ALIVE), [], Named()),
    # Answers
    "CNAME chain: the query's name, whatever its targets are": (
        connection(ALIVE), [query(-1, "www.shop.example", ["192.0.2.9", ADDRESS])], by("process", "www.shop.example")),
    "two names for one address: the latest, both listed": (
        connection(ALIVE), [query(-5, "b.example"), query(-9), query(-7)], by("process", "b.example", "a.example")),
    "two names at one instant: the greater": (
        connection(ALIVE), [query(-5, "b.example"), query(-5, "c.example"), query(-5)],
        by("process", "c.example", "b.example", "a.example")),
    "five names are listed": (connection(ALIVE), [query(-n, f"n{n}.example") for n in range(1, 8)],
        by("process", *(f"n{n}.example" for n in range(1, 6)))),
    "cache hit without a query": (
        connection(ALIVE, **PTR), [query(-9, "b.example", ["192.0.2.9"])], REVERSE),
    "failed query": (connection(ALIVE, **PTR), [query(-1, answers=[]), {**query(-2), "answers": None}], REVERSE),
    "answer without a name": (connection(ALIVE, **PTR), [query(-1, None)], REVERSE),
    "null among the answers": (connection(ALIVE, dest_ip=None, **PTR), [query(-1, answers=[None])], REVERSE),  # type: ignore[list-item]
    "IPv6": (connection(ALIVE, dest_ip=OTHER_ADDRESS), [query(-1, answers=[ADDRESS, OTHER_ADDRESS])],
        by("process", "a.example")),
    "hostile text is data": (connection(ALIVE), [query(-1, HOSTILE)], by("process", HOSTILE)),
    # Times
    "one name_age before": (connection(ALIVE, **PTR), [query(-3600)], by("host", "a.example")),
    "a microsecond more": (
        connection(ALIVE, **PTR), [query(0, event_time=at(-3600, -1))], REVERSE),
    "query after the connection, recorded late": (connection(ALIVE, **PTR), [query(5)], by("process", "a.example")),
    "query after the connection": (connection(ALIVE, **PTR), [query(0, event_time=at(5, 1))], REVERSE),
    # The process
    "guids are equal, no instance": (
        connection(process_guid="G"), [query(-900, process_guid="G")], by("process", "a.example")),
    "guid of the instance": (
        connection(instance(process_guid="G")), [query(-900, process_guid="G")], by("process", "a.example")),
    "other guid, same id": (
        connection(instance(process_guid="G")), [query(-1, process_guid="H")], by("host", "a.example")),
    "guid of cloned machines, other id": (
        connection(process_guid="G"), [query(-1, process_guid="G", process_id=44)], by("host", "a.example")),
    "guid without an id, as CrowdStrike has it": (
        connection(process_guid="G", process_id=None), [query(-1, process_guid="G")], by("process", "a.example")),
    "guid of the query only": (connection(ALIVE), [query(-1, process_guid="G")], by("process", "a.example")),
    "guid of the connection only": (
        connection(instance(process_guid="G"), process_guid="G"), [query(-1)], by("process", "a.example")),
    "same id without an instance": (connection(process_name="curl.exe"), [query(-1)], by("host", "a.example")),
    "query of the process that had the id before": (
        connection(instance(-60)), [query(-64)], by("host", "a.example")),
    "recorded just before the start": (connection(instance(-60)), [query(-63)], by("process", "a.example")),
    "query of the next process on the id": (
        connection(instance(-60, 1)), [query(1)], by("host", "a.example")),
    "recorded just before the end": (
        connection(instance(-60, -2)), [query(0, event_time=at(-2, -1))], by("process", "a.example")),
    "other image, same id": (connection(ALIVE), [query(-1, process_name="ssh.exe")], by("host", "a.example")),
    "other image than the connection's": (
        connection(instance(process_name=None), process_name="ssh.exe"), [query(-1)], by("host", "a.example")),
    "unknown image": (connection(ALIVE), [query(-1, process_name=None)], by("process", "a.example")),
    # Hosts
    "other host": (connection(ALIVE, **PTR), [query(-1, host="ws-2", process_guid="G")], REVERSE),
    "host unknown": (connection(ALIVE, host=None, **PTR), [query(-1, host=None)], REVERSE),
    "sensor's query by the local address": (
        connection(ALIVE, **PTR), [query(-1, host="10.0.0.1", **NAMELESS)], by("host", "a.example")),
    "sensor's query of another address": (
        connection(ALIVE, **PTR), [query(-1, host="10.0.0.2", **NAMELESS)], REVERSE),
    "the endpoint's and the sensor's queries in one order": (
        connection(ALIVE), [query(-2, process_id=8), query(-1, "b.example", host="10.0.0.1", **NAMELESS)],
        by("host", "b.example", "a.example")),
    "a process's id on the sensor's row": (
        connection(ALIVE), [query(-1, host="10.0.0.1", process_guid="G")], by("host", "a.example")),
    # Directions
    "inbound: its address is the host's own": (connection(ALIVE, direction="inbound", **PTR), [query(-1)], REVERSE),
    "inbound with a name of its own": (
        connection(ALIVE, direction="inbound", dest_name="r.example"), [query(-1)], by("record", "r.example")),
    "direction unknown": (connection(ALIVE, direction=None), [query(-1)], by("process", "a.example")),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_cases_by_the_oracle(name: str) -> None:
    row, queries, expected = CASES[name]
    assert oracle_names.named([row], queries, Rules()) == [expected]


# Random examples: few hosts, ids, guids and names, with times on every boundary of short rules

RULES = {
    "hosts by their first label": Rules(name_age=timedelta(seconds=3)),
    "no tolerance, whole hosts, no age": Rules(
        name_age=timedelta(0),
        tolerances=Tolerances(clock_skew=timedelta(0), end_grace=timedelta(0), start_tolerance=timedelta(0)),
        host_match=HostMatch.FULL,
    ),
    "hosts as written, long age": Rules(
        name_age=timedelta(hours=6), tolerances=Tolerances(end_grace=timedelta(seconds=1)), host_match=HostMatch.AS_IS
    ),
}
HOSTS = (*["a"] * 8, "a.corp.example", "a.corp.example", "b", "10.0.0.1", "10.0.0.1", "10.0.0.2", "fd00::1", None)
ADDRESSES = (*[ADDRESS] * 8, OTHER_ADDRESS, OTHER_ADDRESS, None)
PROCESS_IDS, GUIDS = (4, 4, 4, 12, None), (None, None, None, "G1", "G1", "G2")
IMAGES, NAMES = (None, "curl.exe", "curl.exe", "ssh.exe"), ("a.example", "b.example", "b.example", "c.example", None)
SECONDS, MICROSECONDS = (*range(-5, 6), *[0] * 8, -3, -3, -1, 5, -21600), (0, 0, 0, 0, -1, 1)


def build(choose: Choose) -> Example:
    queries = [drawn_query(choose) for _ in range(choose((1, 2, 3, 4, 6, 9)))]
    return Example([drawn_connection(choose, i, queries) for i in range(choose((1, 2, 3)))], queries)


def time(choose: Choose) -> datetime:
    return at(choose(SECONDS), choose(MICROSECONDS))


def process(choose: Choose) -> Row:
    return {"process_id": choose(PROCESS_IDS), "process_guid": choose(GUIDS), "process_name": choose(IMAGES)}


def drawn_query(choose: Choose) -> Row:
    answers = choose((None, [], *[[choose(ADDRESSES) for _ in range(choose((1, 1, 2, 3)))]] * 10))
    row = {"event_time": time(choose), "host": choose(HOSTS), **process(choose), "query_name": choose(NAMES),
           "answers": answers, "record_id": "q"}  # fmt: skip
    return complete(row, DNS_EVENTS)


def drawn_connection(choose: Choose, number: int, queries: Sequence[Row]) -> Row:
    """A connection of any process, or of a query's process, on its host and about its time."""
    begin = choose(SECONDS)
    life = {"process_time": at(begin, choose(MICROSECONDS)), "process_end_time": choose((None, None, time(choose)))}
    row = {"event_time": at(choose((0, 0, 0, 1, -1)), choose(MICROSECONDS)), "host": choose(HOSTS), **process(choose),
           "dest_ip": choose(ADDRESSES), "src_ip": choose(("10.0.0.1", "10.0.0.1", "10.0.0.2", "fd00::1", None)),
           "direction": choose(("outbound", "outbound", "outbound", None, "inbound")),
           "dest_name": choose((None, None, None, None, "record.example")), "dest_host": choose((None, "ptr.example")),
           "instance": choose((None, *[{**life, **process(choose)}] * 2)), "record_id": str(number)}  # fmt: skip
    if queries and choose((0, 1, 1)):
        followed = choose(queries)
        for name in ("host", "process_id", "process_guid", "process_name"):
            row[name] = choose((*[followed[name]] * 6, row[name]))
        after = timedelta(seconds=choose((0, 0, 0, 0, 1, 2, 3)), microseconds=choose((0, 0, 0, 1, -1)))
        row["event_time"] = followed["event_time"] + after
    return complete(row, MATCHES)


@st.composite
def examples(draw: st.DrawFn) -> Example:
    return build(lambda options: draw(st.sampled_from(options)))


def drawn(count: int) -> list[Example]:
    """Examples of Hypothesis, to be judged in one Spark job: a job each would take hours."""
    found: list[Example] = []

    @seed(1)
    @settings(max_examples=count, phases=[Phase.generate], database=None, deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(examples())
    def collect(example: Example) -> None:
        found.append(example)

    collect()
    return found


def seeded(count: int, number: int) -> list[Example]:
    dice = random.Random(number)
    return [build(dice.choice) for _ in range(count)]


def frame(spark: SparkSession, rows: Sequence[Row], schema: T.StructType) -> DataFrame:
    return spark.createDataFrame([tuple(r.values()) for r in rows], schema, verifySchema=False)


def by_spark(spark: SparkSession, given: Sequence[Example], rules: Rules, plan: str) -> Iterator[dict[str, Named]]:
    """Yields the answers of each example by the connections' `record_id`, all from one job."""
    own = [e.moved(n) for n, e in enumerate(given)]
    named = with_names(
        frame(spark, [c for e in own for c in e.connections], MATCHES),
        frame(spark, [q for e in own for q in e.queries], DNS_EVENTS),
        host_match=rules.host_match, name_age=rules.name_age, tolerances=rules.tolerances, broadcast=PLANS[plan],
    )  # fmt: skip
    answers: dict[str, Named] = {}
    for record_id, name, kind, names in named.select("record_id", "dest_name", "dest_name_by", "dest_names").collect():
        assert record_id not in answers, f"{record_id} is two rows"
        answers[record_id] = Named(name, kind, None if names is None else tuple(names))
    for number, example in enumerate(given):
        yield {c["record_id"]: answers.pop(f"{number}:{c['record_id']}") for c in example.connections}
    assert not answers


def by_oracle(example: Example, rules: Rules) -> dict[str, Named]:
    answers = oracle_names.named(example.connections, example.queries, rules)
    return {c["record_id"]: a for c, a in zip(example.connections, answers, strict=True)}


def shown(example: Example) -> str:
    def line(row: Row) -> str:
        return str({k: str(v) if isinstance(v, datetime) else v for k, v in row.items() if v is not None})

    return "\n".join(["connections", *map(line, example.connections), "queries", *map(line, example.queries)])


@pytest.mark.spark
@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("plan", PLANS)
def test_cases_by_a_plan(spark: SparkSession, plan: str) -> None:
    given = [Example([row], queries) for row, queries, _ in CASES.values()]
    answers = [next(iter(a.values())) for a in by_spark(spark, given, Rules(), plan)]
    assert dict(zip(CASES, answers, strict=True)) == {name: expected for name, (_, _, expected) in CASES.items()}


@pytest.mark.spark
@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_plans_agree_with_the_oracle(spark: SparkSession, rules: Rules, plan: str) -> None:
    given = drawn(100) + seeded(400, 1)
    differing = [
        (example, found)
        for example, found in zip(given, by_spark(spark, given, rules, plan), strict=True)
        if found != by_oracle(example, rules)
    ]
    if differing:
        example, found = min(differing, key=lambda pair: len(shown(pair[0])))
        raise AssertionError(
            f"{plan}: {len(differing)} of {len(given)} examples differ from the oracle; the smallest:\n"
            f"{shown(example)}\noracle {by_oracle(example, rules)}\nSpark {found}\n{rules}"
        )


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_examples_have_every_kind(rules: Rules) -> None:
    """A comparison on examples that all have one answer would prove nothing."""
    answers = [a for e in seeded(400, 1) for a in by_oracle(e, rules).values()]
    share = {kind: sum(a.by == kind for a in answers) / len(answers) for kind in (*NAME_KINDS, None)}
    assert min(share.values()) > 0.02, share
    assert any(a.names is not None and len(a.names) > 1 for a in answers)


def test_the_order_of_queries_and_repeats_change_nothing() -> None:
    dice = random.Random(2)
    for example in seeded(400, 2):
        mixed = dice.sample(example.queries * 2, 2 * len(example.queries))
        for rules in RULES.values():
            assert by_oracle(replace(example, queries=mixed), rules) == by_oracle(example, rules)


@pytest.mark.spark
def test_a_lake_without_queries_and_columns_that_pass(spark: SparkSession) -> None:
    """Columns stay in their order, rows in their number; without the table the record and the PTR name the rest."""
    rows = [connection(ALIVE, dest_name="r.example", detection_id="d"), connection(ALIVE, **PTR), connection(ALIVE)]
    given = frame(spark, rows, MATCHES)
    rules = Rules()
    named = with_names(given, None, host_match=rules.host_match, name_age=rules.name_age, tolerances=rules.tolerances,
                       broadcast=True)  # fmt: skip
    assert named.columns == [*given.columns, "dest_name_by", "dest_names"]
    assert [named.schema[n].dataType for n in given.columns] == [f.dataType for f in given.schema]
    assert named.schema["dest_names"].dataType.simpleString() == "array<string>"
    answers = [Named(r.dest_name, r.dest_name_by, None if r.dest_names is None else tuple(r.dest_names))
               for r in named.collect()]  # fmt: skip
    assert answers == oracle_names.named(rows, None, rules) == [by("record", "r.example"), REVERSE, Named()]
