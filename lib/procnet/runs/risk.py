"""Risk of a period: its risk events and incidents, from as many findings before it as the thresholds look back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.config_file import load_yaml
from procnet.findings.attack_tactics import tactics_by_technique
from procnet.findings.risk import incidents, risk_events
from procnet.lake.tables import Lake
from procnet.periods import EPOCH, Window
from procnet.settings import default_conf_dir
from procnet.spark.filters import in_period


@dataclass(frozen=True)
class Risk:
    """`contract.RISK_EVENTS` whose first finding lies in the period, `contract.INCIDENTS` that begin in it."""

    events: DataFrame
    incidents: DataFrame


@cache
def attack_tactics() -> Mapping[str, tuple[str, ...]]:
    """ATT&CK technique -> the tactics that it serves, from conf/attack.yml."""
    return tactics_by_technique(load_yaml(default_conf_dir() / "attack.yml", dict[str, tuple[str, ...]]))


def risk_of(lake: Lake, period: Window | None) -> Risk:
    """The risk of a period; None means of all findings. How a period is cut changes neither event nor incident: buckets
    are read whole, and as far back as the longer threshold looks."""
    settings, findings = lake.settings.risk, lake.read("findings")
    if period is None:
        events = risk_events(findings, settings, attack_tactics())
        return Risk(events, incidents(events, settings))
    back = max(settings.score_over, settings.tactics_over)
    first = _on_grid(period.start - back, settings.throttle)
    last = _on_grid(period.end, settings.throttle) + settings.throttle
    read = findings.where(in_period(first, last, "finding_date"))
    events = risk_events(read, settings, attack_tactics())
    begun = incidents(events, settings)
    return Risk(_within(events, "first_time", period), _within(begun, "incident_time", period))


def _on_grid(time: datetime, size: timedelta) -> datetime:
    return time - (time - EPOCH) % size


def _within(rows: DataFrame, time: str, period: Window) -> DataFrame:
    return rows.where((F.col(time) >= F.lit(period.start)) & (F.col(time) < F.lit(period.end)))
