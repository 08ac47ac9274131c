"""`procnet risk`: who bears how much risk, and whose passed a threshold."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from pyspark.sql import functions as F

from procnet.cli.options import period_of, settings_of
from procnet.cli.output import print_json, print_table, say
from procnet.findings.risk import by_object
from procnet.lake.tables import Lake
from procnet.periods import format_duration
from procnet.runs.risk import risk_of
from procnet.spark.session import open_session

_SHOWN = 20


def add_commands(commands: Any, common: ArgumentParser) -> None:
    """risk."""
    risk = commands.add_parser("risk", parents=[common], help="risk by object, and incidents past the thresholds")
    risk.add_argument("--start", metavar="TIME", help="ISO 8601 with a zone; default: all findings")
    risk.add_argument("--end", metavar="TIME")
    risk.add_argument("--object", metavar="NAME", help="of this host or account only, written as the findings have it")
    risk.add_argument("--events", action="store_true", help="with --json: every risk event too")
    risk.set_defaults(answer=_risk)


def _risk(args: Namespace) -> None:
    settings, period = settings_of(args), period_of(args)
    lake = Lake(open_session(settings.spark, lake=settings.lake), settings)
    told = risk_of(lake, period)
    events, incidents = told.events, told.incidents
    if args.object:
        of_it = F.lower("risk_object") == args.object.strip().lower()
        events, incidents = events.where(of_it), incidents.where(of_it)
    begun = incidents.orderBy("incident_time", "incident_id").collect()
    objects = by_object(events).collect()
    if args.json:
        rows = {"objects": objects, "incidents": begun}
        if args.events:
            rows["risk_events"] = events.orderBy("first_time", "risk_event_id").collect()
        print_json({what: [r.asDict(recursive=True) for r in of] for what, of in rows.items()})
        return
    print_table(
        ("score", "type", "object", "events", "last", "detections", "tactics"),
        [
            (r["score"], r["risk_object_type"], r["risk_object"], r["risk_events"], r["last_time"],
             len(r["detections"]), r["tactics"])
            for r in objects[:_SHOWN]
        ],
        title=f"risk, the first {min(_SHOWN, len(objects))} of {len(objects)} objects",
    )  # fmt: skip
    print_table(
        ("time", "type", "object", "reason", "score", "tactics", "events"),
        [
            (r["incident_time"], r["risk_object_type"], r["risk_object"], r["reason"], r["score"], r["tactics"],
             len(r["risk_events"]))
            for r in begun
        ],
        title="\nincidents",
    )  # fmt: skip
    limits = settings.risk
    say(
        f"an incident begins where a score comes to {limits.score} in {format_duration(limits.score_over)}, "
        f"or distinct tactics to {limits.tactics} in {format_duration(limits.tactics_over)}"
    )
