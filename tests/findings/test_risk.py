"""Risk events and incidents compared with a loop over rows, for all findings and for every split of the period."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from findings.sample_matches import Row, rows
from procnet.contract import FINDINGS, INCIDENTS, RISK_EVENTS
from procnet.findings.attack_tactics import tactics_by_technique
from procnet.findings.risk import by_object
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.risk import attack_tactics, risk_of
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
    # Whole hours give ties, and events that are exactly one period apart.
    time = START + timedelta(hours=dice.randrange(DAYS * 24), microseconds=dice.choice((0, 0, 0, -1, 1)))
    detection, host = dice.choice(tuple(SCORES)), dice.choice(("ws-1", "ws-2"))
    user = dice.choice((None, "CORP\\ann", "NT AUTHORITY\\SYSTEM", "O'Neil\\svc"))
    objects = [{"value": host, "type": "system"}] + ([{"value": user, "type": "user"}] if user else [])
    return {
        "finding_id": f"f{number:03}", "detection_id": detection, "detection_name": detection.upper(),
        "detection_version": 1, "event_time": time, "finding_date": time.date(), "host": host, "user": user,
        "process_id": dice.choice((None, 4, 8)), "process_name": "a.exe", "dest_ip": dice.choice(("192.0.2.7", None)),
        "dest_host": dice.choice(("x.example", None)), "dest_name": dice.choice(("asked.example", None)),
        "bytes_in": dice.choice((None, 5)), "risk_score": SCORES[detection], "severity": "low",
        "mitre_attack": TECHNIQUES[detection], "message": f"m{number}",
        "excluded_by": dice.choice((None, None, None, "x")), "risk_objects": objects,
        "threat_objects": [{"value": "a.exe", "type": "process_name"}],
    }  # fmt: skip


def expected_events(findings: list[Row]) -> dict[tuple[Any, ...], Row]:
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for f in findings:
        for risk_object in f["risk_objects"]:
            shared = risk_object["type"] == "user" and risk_object["value"].lower() in RULES.shared_accounts
            if f["excluded_by"] is None and not shared:
                bucket = datetime.combine(f["event_time"].date(), datetime.min.time(), timezone.utc)
                destination = f["dest_name"] or f["dest_host"] or f["dest_ip"]
                key = (
                    f["detection_id"],
                    risk_object["type"],
                    risk_object["value"],
                    f["host"],
                    f["process_id"],
                    destination,
                    bucket,
                )
                groups[key].append(f)
    events = {}
    for key, group in groups.items():
        first = min(group, key=lambda f: (f["event_time"], f["finding_id"]))
        sizes = [f["bytes_in"] for f in group if f["bytes_in"] is not None]
        events[key] = {
            "first_time": first["event_time"], "last_time": max(f["event_time"] for f in group), "findings": len(group),
            "bytes_in": sum(sizes) if sizes else None, "risk_score": SCORES[key[0]], "message": first["message"],
            "finding_id": first["finding_id"], "tactics": sorted(TACTICS[key[0]]),
        }  # fmt: skip
    return events


def expected_incidents(events: list[Row]) -> dict[tuple[Any, ...], tuple[int, list[str]]]:
    """(type, object, reason, time) -> score and tactics of the events that count at that moment."""
    found = {}
    for risk_object in {(e["risk_object_type"], e["risk_object"]) for e in events}:
        mine = [e for e in events if (e["risk_object_type"], e["risk_object"]) == risk_object]
        for time in {e["first_time"] for e in mine}:
            for reason, over in (("score", RULES.score_over), ("tactics", RULES.tactics_over)):
                now = [e for e in mine if time - over < e["first_time"] <= time]
                before = [e for e in mine if time - over <= e["first_time"] < time]
                if passes(reason, now) and not passes(reason, before):
                    tactics = sorted({t for e in now for t in e["tactics"]})
                    found[(*risk_object, reason, time)] = (sum(e["risk_score"] for e in now), tactics)
    return found


def passes(reason: str, events: list[Row]) -> bool:
    if reason == "score":
        return sum(e["risk_score"] for e in events) >= RULES.score
    sources = {e["detection_id"] for e in events if e["tactics"]}
    return len({t for e in events for t in e["tactics"]}) >= RULES.tactics and len(sources) >= RULES.tactics_detections


ALL_FINDINGS = [finding(random.Random(n), n) for n in range(160)]


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder: Path = tmp_path_factory.mktemp("risk")
    lake = Lake(spark, Settings(lake=folder, risk=RULES))
    rows_of_findings = spark.createDataFrame([tuple(f.get(n) for n in FINDINGS.names) for f in ALL_FINDINGS], FINDINGS)
    rows_of_findings.write.format("delta").save(str(folder / "findings"))
    return lake


def ordered(frame: DataFrame) -> list[Row]:
    return sorted(rows(frame), key=lambda r: str(next(iter(r.values()))))


@pytest.fixture(scope="module")
def all_risk(lake: Lake) -> tuple[list[Row], list[Row]]:
    risk = risk_of(lake, None)
    assert risk.events.columns == RISK_EVENTS.names
    assert risk.incidents.columns == INCIDENTS.names
    assert risk.events.schema.simpleString() == RISK_EVENTS.simpleString()
    assert risk.incidents.schema.simpleString() == INCIDENTS.simpleString()
    return ordered(risk.events), ordered(risk.incidents)


def test_repeated_findings_of_a_bucket_are_one_risk_event(all_risk: tuple[list[Row], list[Row]]) -> None:
    expected = expected_events(ALL_FINDINGS)
    key = ("detection_id", "risk_object_type", "risk_object", "host", "process_id", "destination", "bucket")
    events = {tuple(e[k] for k in key): e for e in all_risk[0]}
    assert {k: {c: events[k][c] for c in v} for k, v in expected.items() if k in events} == expected
    assert events.keys() == expected.keys()
    assert len({e["risk_event_id"] for e in all_risk[0]}) == len(all_risk[0])
    assert any(e["findings"] > 1 for e in all_risk[0]), "the data must have repeated findings"


def test_an_incident_begins_where_a_threshold_is_passed(all_risk: tuple[list[Row], list[Row]]) -> None:
    expected = expected_incidents(all_risk[0])
    found = {
        (i["risk_object_type"], i["risk_object"], i["reason"], i["incident_time"]): (i["score"], i["tactics"])
        for i in all_risk[1]
    }
    assert found == expected
    assert len(all_risk[1]) == len(expected)
    assert {k[2] for k in expected} == {"score", "tactics"}, "the data must have both"
    # d2 has three tactics of its own: an incident of it needs another detection.
    assert all(len(i["detections"]) > 1 for i in all_risk[1] if i["reason"] == "tactics")


def test_splitting_the_period_does_not_change_the_risk(lake: Lake, all_risk: tuple[list[Row], list[Row]]) -> None:
    # Not on the grid of the buckets: a window ends inside one.
    cuts = [START + timedelta(days=d, hours=-7) for d in (0, 1, 2, 6, 13)]
    parts = [risk_of(lake, Window(a, b)) for a, b in itertools.pairwise(cuts)]
    for expected, frames in ((all_risk[0], [p.events for p in parts]), (all_risk[1], [p.incidents for p in parts])):
        assert ordered(reduce(DataFrame.unionAll, frames)) == expected


def test_the_object_with_most_risk_comes_first(lake: Lake, all_risk: tuple[list[Row], list[Row]]) -> None:
    objects = rows(by_object(risk_of(lake, None).events))
    assert [o["score"] for o in objects] == sorted((o["score"] for o in objects), reverse=True)
    assert {o["risk_object"] for o in objects} == {"ws-1", "ws-2", "CORP\\ann"}
    ws = next(o for o in objects if o["risk_object"] == "ws-1")
    assert ws["score"] == sum(e["risk_score"] for e in all_risk[0] if e["risk_object"] == "ws-1")


def test_shipped_techniques_have_their_tactics() -> None:
    served = attack_tactics()
    assert served["T1218"] == ("defense-evasion",)
    assert served["T1055"] == ("privilege-escalation", "defense-evasion")
    assert not [t for t in served if "." in t]


def test_tactics_by_technique() -> None:
    techniques = {"persistence": ["T1053"], "defense-evasion": ["T1218", "T1055"], "execution": ["T1053"]}
    assert tactics_by_technique(techniques) == {
        "T1053": ("persistence", "execution"),
        "T1055": ("defense-evasion",),
        "T1218": ("defense-evasion",),
    }
