"""`procnet risk`: risk scores by object, and incidents."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from pyspark.sql import Row
from pyspark.sql import functions as F

from procnet.cli.options import Commands, add_period, open_lake, period_of, settings_of
from procnet.cli.output import print_message, print_result, print_table
from procnet.findings.risk import by_object
from procnet.periods import format_duration
from procnet.runs.risk import risk_of
from procnet.settings import RiskSettings

_MOST_OBJECTS = 20


def add_commands(commands: Commands) -> None:
    """Adds risk."""
    option = commands.add("risk", _risk)
    add_period(option, "all findings")
    option("--object", metavar="NAME", help="only this host or account, as findings spell it, any case (default: all)")
    option("--events", action="store_true", help="with --json: print every risk event too (default: no risk events)")


def _risk(args: Namespace) -> None:
    """Show the risk score of each host and account, and the incidents.

    Scores are sums of points over findings, repeats counted once; the settings under risk have the thresholds.
    """
    settings, period = settings_of(args), period_of(args)
    risk = risk_of(open_lake(settings), period)
    events, incidents = risk.events, risk.incidents
    if args.object:
        of_object = F.lower("risk_object") == args.object.strip().lower()
        events, incidents = events.where(of_object), incidents.where(of_object)
    rows = {
        "objects": by_object(events).collect(),
        "incidents": incidents.orderBy("incident_time", "incident_id").collect(),
    }
    if args.json and args.events:
        rows["risk_events"] = events.orderBy("first_time", "risk_event_id").collect()
    value = {name: [r.asDict(recursive=True) for r in of_name] for name, of_name in rows.items()}
    print_result(args, value, lambda: _print(rows["objects"], rows["incidents"], settings.risk))


def _print(objects: Sequence[Row], incidents: Sequence[Row], settings: RiskSettings) -> None:
    print_table(
        ("score", "type", "object", "events", "last", "detections", "tactics"),
        [
            (r["score"], r["risk_object_type"], r["risk_object"], r["risk_events"], r["last_time"],
             len(r["detections"]), r["tactics"])
            for r in objects[:_MOST_OBJECTS]
        ],
        title=f"risk, the first {min(_MOST_OBJECTS, len(objects))} of {len(objects)} objects",
    )  # fmt: skip
    print_table(
        ("time", "type", "object", "reason", "score", "tactics", "events"),
        [
            (r["incident_time"], r["risk_object_type"], r["risk_object"], r["reason"], r["score"], r["tactics"],
             len(r["risk_events"]))
            for r in incidents
        ],
        title="\nincidents",
    )  # fmt: skip
    print_message(
        f"an incident begins where a score comes to {settings.score} within {format_duration(settings.score_over)}, "
        f"or the number of distinct tactics to {settings.tactics} within {format_duration(settings.tactics_over)}"
    )
