"""What a finding is about, as a hash: never of the run, the file, the partition or the order (2-semantics, 6)."""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql import DataFrame

from procnet.contract import NETWORK_EVENTS

# ingest_time is the one column in which copies of an event may differ.
_EVENT = tuple(n for n in NETWORK_EVENTS.names if n not in ("ingest_time", "event_date"))
_ABOUT = ("host", "process_id", "event_time", "src_ip", "src_port", "dest_ip", "dest_port", "transport")


def one_per_event(hits: DataFrame) -> DataFrame:
    """Exact duplicates of a connection are one event; those that are not get a number, `repeat`, from 1.

    In: NETWORK_EVENTS, `attribution`, `instance`, `detection`. Out: the same without copies, `about`, `repeat`: true
    repeats agree in all that the id is made of and are told apart by the rest of their columns, in a fixed order.
    """
    # As arrays of texts, so that a plan has two columns to sort by and not eighty. What reaches this point are matches,
    # few rows, not connections.
    keyed = hits.selectExpr("*", f"{_texts(_about())} AS about", f"{_texts(_EVENT)} AS event")
    # Sorted once: copies stand side by side, so a row that equals the one before it is a copy.
    near = "PARTITION BY about ORDER BY event, ingest_time NULLS FIRST"
    told = keyed.selectExpr("*", f"NOT (event <=> lag(event) OVER ({near})) AS first")
    counted = told.selectExpr("*", f"count_if(first) OVER ({near}) AS repeat")
    return counted.where("first").drop("event", "first")


def finding_id() -> str:
    """SHA-256 of what the finding is about, in SQL over the columns of `one_per_event`."""
    # A JSON array keeps nulls apart from texts and separators inside them; concat_ws drops nulls, so that ids collide.
    return f"sha2(to_json(concat(about, {_texts(['repeat'])})), 256)"


def _about() -> list[str]:
    """Detection, connection, and the process's start or its absence."""
    guid = "coalesce(instance.process_guid, process_guid)"
    connection = ["unix_micros(event_time)" if c == "event_time" else c for c in _ABOUT]
    return ["detection.id", "unix_micros(instance.process_time)", guid, *connection]


def _texts(values: Iterable[str]) -> str:
    return f"array({', '.join(f'CAST({v} AS string)' for v in values)})"
