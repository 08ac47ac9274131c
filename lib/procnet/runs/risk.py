"""Computes the risk events and incidents of a period from the findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.config_file import load_yaml
from procnet.findings.attack_tactics import tactics_by_technique
from procnet.findings.risk import incidents, risk_events
from procnet.lake.tables import Lake
from procnet.periods import Window, floor_to_grid
from procnet.settings import default_conf_dir
from procnet.spark.filters import in_period


@dataclass(frozen=True)
class Risk:
    """`events` (`contract.RISK_EVENTS`) with `first_time` in the period, `incidents` (`contract.INCIDENTS`) with
    `incident_time` in it."""

    events: DataFrame
    incidents: DataFrame


@cache
def attack_tactics() -> Mapping[str, tuple[str, ...]]:
    """Returns ATT&CK technique -> its tactics, from conf/attack.yml."""
    return tactics_by_technique(load_yaml(default_conf_dir() / "attack.yml", dict[str, tuple[str, ...]]))


def risk_of(lake: Lake, period: Window | None) -> Risk:
    """Returns the risk of a period, or of all findings where it is None. Lazy.

    Findings are read from before the period, by the longer of the two thresholds' times, and whole buckets of
    risk.throttle are read: so every cut of a time into periods gives the same events and incidents.
    """
    settings, findings = lake.settings.risk, lake.read("findings")
    if period is None:
        events = risk_events(findings, settings, attack_tactics())
        return Risk(events, incidents(events, settings))
    back = max(settings.score_over, settings.tactics_over)
    first = floor_to_grid(period.start - back, settings.throttle)
    last = floor_to_grid(period.end, settings.throttle) + settings.throttle
    needed = findings.where(in_period(first, last, "finding_date"))
    events = risk_events(needed, settings, attack_tactics())
    found = incidents(events, settings)
    return Risk(_within(events, "first_time", period), _within(found, "incident_time", period))


def _within(rows: DataFrame, time: str, period: Window) -> DataFrame:
    return rows.where((F.col(time) >= F.lit(period.start)) & (F.col(time) < F.lit(period.end)))
