"""The id of a finding: a hash of detection, connection and process start, the same in every run over the data.

docs/semantics.md, R6.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql import DataFrame

from procnet.contract import NETWORK_EVENTS

# Copies of an event may differ in ingest_time only.
_EVENT_COLUMNS = tuple(n for n in NETWORK_EVENTS.names if n not in ("ingest_time", "event_date"))
_CONNECTION_KEY = ("host", "process_id", "event_time", "src_ip", "src_port", "dest_ip", "dest_port", "transport")


def one_per_event(matches: DataFrame) -> DataFrame:
    """Matches without exact copies of a connection; distinct connections with equal ids are numbered.

    In: NETWORK_EVENTS, `attribution`, `instance`, `detection`. Out: the same, `identity` (array of the texts that make
    the id) and `repetition`: 1, 2, ... for connections of one identity, in the order of their other columns.
    """
    # Arrays of texts, so that a plan sorts by two columns and not by eighty. Matches are few, unlike connections.
    keyed = matches.selectExpr("*", f"{_texts(_identity())} AS identity", f"{_texts(_EVENT_COLUMNS)} AS event_values")
    # One sort for both windows. Copies are neighbors in it: a row that equals the row before it is a copy.
    order = "PARTITION BY identity ORDER BY event_values, ingest_time NULLS FIRST"
    flagged = keyed.selectExpr("*", f"NOT (event_values <=> lag(event_values) OVER ({order})) AS is_first_copy")
    numbered = flagged.selectExpr("*", f"count_if(is_first_copy) OVER ({order}) AS repetition")
    return numbered.where("is_first_copy").drop("event_values", "is_first_copy")


def finding_id() -> str:
    """The finding's id in SQL over the columns of `one_per_event`: SHA-256 of its identity and repetition as JSON."""
    # A JSON array distinguishes nulls, empty texts and separators inside texts. With concat_ws, which drops nulls, ids
    # would collide.
    return f"sha2(to_json(concat(identity, {_texts(['repetition'])})), 256)"


def _identity() -> list[str]:
    """SQL of detection, process start (null without one) and connection."""
    guid = "coalesce(instance.process_guid, process_guid)"
    connection = ["unix_micros(event_time)" if c == "event_time" else c for c in _CONNECTION_KEY]
    return ["detection.id", "unix_micros(instance.process_time)", guid, *connection]


def _texts(values: Iterable[str]) -> str:
    return f"array({', '.join(f'CAST({v} AS string)' for v in values)})"
