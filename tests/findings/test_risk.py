"""Risk events and incidents against a loop over rows, as a whole and however a period is cut."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from findings.sample_matches import Row, rows
from procnet.contract import FINDINGS, INCIDENTS, RISK_EVENTS
from procnet.findings.attack_tactics import tactics_of
from procnet.findings.risk import by_object
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.risk import risk_of
from procnet.settings import RiskSettings, Settings

pytestmark = pytest.mark.spark

START = datetime(2026, 3, 1, tzinfo=timezone.utc)
DAYS = 12
RULES = RiskSettings(shared_accounts=("nt authority\\system", "o'neil\\svc"))
TECHNIQUES = {"d1": ["T1218.007"], "d2": ["T1055", "T1105"], "d3": ["T9999", "T1190"]}
SCORES = {"d1": 35, "d2": 49, "d3": 60}
TACTICS = {"d1": {"defense-evasion"}, "d2": {"defense-evasion", "privilege-escalation", "command-and-control"},
           "d3": {"initial-access"}}  # fmt: skip


def finding(dice: random.Random, number: int) -> Row:
    # Whole hours make ties, and events that are exactly one period apart.
    time = START + timedelta(hours=dice.randrange(DAYS * 24), microseconds=dice.choice((0, 0, 0, -1, 1)))
    detection, host = dice.choice(tuple(SCORES)), dice.choice(("ws-1", "ws-2"))
    user = dice.choice((None, "CORP\\ann", "NT AUTHORITY\\SYSTEM", "O'Neil\\svc"))
    who = [{"value": host, "type": "system"}] + ([{"value": user, "type": "user"}] if user else [])
    return {
        "finding_id": f"f{number:03}", "detection_id": detection, "detection_name": detection.upper(),
        "detection_version": 1, "event_time": time, "finding_date": time.date(), "host": host, "user": user,
        "process_id": dice.choice((None, 4, 8)), "process_name": "a.exe", "dest_ip": dice.choice(("192.0.2.7", None)),
        "dest_host": dice.choice(("x.example", None)), "bytes_in": dice.choice((None, 5)), "risk_score":
        SCORES[detection], "severity": "low", "mitre_attack": TECHNIQUES[detection], "message": f"m{number}",
        "excluded_by": dice.choice((None, None, None, "x")), "risk_objects": who,
        "threat_objects": [{"value": "a.exe", "type": "process_name"}],
    }  # fmt: skip


def expected_events(findings: list[Row]) -> dict[tuple[Any, ...], Row]:
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for f in findings:
        for of in f["risk_objects"]:
            shared = of["type"] == "user" and of["value"].lower() in RULES.shared_accounts
            if f["excluded_by"] is None and not shared:
                bucket = datetime.combine(f["event_time"].date(), datetime.min.time(), timezone.utc)
                destination = f["dest_host"] or f["dest_ip"]
                key = (f["detection_id"], of["type"], of["value"], f["host"], f["process_id"], destination, bucket)
                groups[key].append(f)
    told = {}
    for key, of in groups.items():
        first = min(of, key=lambda f: (f["event_time"], f["finding_id"]))
        sizes = [f["bytes_in"] for f in of if f["bytes_in"] is not None]
        told[key] = {
            "first_time": first["event_time"], "last_time": max(f["event_time"] for f in of), "findings": len(of),
            "bytes_in": sum(sizes) if sizes else None, "risk_score": SCORES[key[0]], "message": first["message"],
            "finding_id": first["finding_id"], "tactics": sorted(TACTICS[key[0]]),
        }  # fmt: skip
    return told


def expected_incidents(events: list[Row]) -> dict[tuple[Any, ...], tuple[int, list[str]]]:
    """(type, object, reason, time) -> sum and tactics of the events that count at that moment."""
    told = {}
    for who in {(e["risk_object_type"], e["risk_object"]) for e in events}:
        mine = [e for e in events if (e["risk_object_type"], e["risk_object"]) == who]
        for time in {e["first_time"] for e in mine}:
            for reason, over in (("score", RULES.score_over), ("tactics", RULES.tactics_over)):
                now = [e for e in mine if time - over < e["first_time"] <= time]
                before = [e for e in mine if time - over <= e["first_time"] < time]
                if passes(reason, now) and not passes(reason, before):
                    tactics = sorted({t for e in now for t in e["tactics"]})
                    told[(*who, reason, time)] = (sum(e["risk_score"] for e in now), tactics)
    return told


def passes(reason: str, events: list[Row]) -> bool:
    if reason == "score":
        return sum(e["risk_score"] for e in events) >= RULES.score
    return len({t for e in events for t in e["tactics"]}) >= RULES.tactics


FOUND = [finding(random.Random(n), n) for n in range(160)]


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder: Path = tmp_path_factory.mktemp("risk")
    lake = Lake(spark, Settings(lake=folder, risk=RULES))
    found = spark.createDataFrame([tuple(f.get(n) for n in FINDINGS.names) for f in FOUND], FINDINGS)
    found.write.format("delta").save(str(folder / "findings"))
    return lake


def ordered(frame: DataFrame) -> list[Row]:
    return sorted(rows(frame), key=lambda r: str(next(iter(r.values()))))


@pytest.fixture(scope="module")
def whole(lake: Lake) -> tuple[list[Row], list[Row]]:
    told = risk_of(lake, None)
    assert told.events.columns == RISK_EVENTS.names
    assert told.incidents.columns == INCIDENTS.names
    assert told.events.schema.simpleString() == RISK_EVENTS.simpleString()
    assert told.incidents.schema.simpleString() == INCIDENTS.simpleString()
    return ordered(told.events), ordered(told.incidents)


def test_repeats_are_thrown_together_on_the_grid(whole: tuple[list[Row], list[Row]]) -> None:
    expected = expected_events(FOUND)
    key = ("detection_id", "risk_object_type", "risk_object", "host", "process_id", "destination", "bucket")
    told = {tuple(e[k] for k in key): e for e in whole[0]}
    assert {k: {c: told[k][c] for c in v} for k, v in expected.items() if k in told} == expected
    assert told.keys() == expected.keys()
    assert len({e["risk_event_id"] for e in whole[0]}) == len(whole[0])
    assert any(e["findings"] > 1 for e in whole[0]), "the lake has repeats"


def test_an_incident_begins_where_a_threshold_is_passed(whole: tuple[list[Row], list[Row]]) -> None:
    expected = expected_incidents(whole[0])
    told = {
        (i["risk_object_type"], i["risk_object"], i["reason"], i["incident_time"]): (i["score"], i["tactics"])
        for i in whole[1]
    }
    assert told == expected
    assert len(whole[1]) == len(expected)
    assert {k[2] for k in expected} == {"score", "tactics"}, "the lake has both"


def test_the_same_risk_however_the_period_is_cut(lake: Lake, whole: tuple[list[Row], list[Row]]) -> None:
    # Not on the grid of the buckets: a window's edge lies inside one.
    cuts = [START + timedelta(days=d, hours=-7) for d in (0, 1, 2, 6, 13)]
    parts = [risk_of(lake, Window(a, b)) for a, b in itertools.pairwise(cuts)]
    for told, of in ((whole[0], [p.events for p in parts]), (whole[1], [p.incidents for p in parts])):
        frame = of[0]
        for more in of[1:]:
            frame = frame.unionAll(more)
        assert ordered(frame) == told


def test_who_bears_most_stands_first(lake: Lake, whole: tuple[list[Row], list[Row]]) -> None:
    told = rows(by_object(risk_of(lake, None).events))
    assert [o["score"] for o in told] == sorted((o["score"] for o in told), reverse=True)
    assert {o["risk_object"] for o in told} == {"ws-1", "ws-2", "CORP\\ann"}
    ws = next(o for o in told if o["risk_object"] == "ws-1")
    assert ws["score"] == sum(e["risk_score"] for e in whole[0] if e["risk_object"] == "ws-1")


def test_a_sub_technique_serves_what_its_technique_does() -> None:
    served = tactics_of()
    assert served["T1218"] == ("defense-evasion",)
    assert served["T1055"] == ("privilege-escalation", "defense-evasion")
    assert not [t for t in served if "." in t]
