"""The Delta tables of a lake, by path or by catalog name: create, read, append. Only here is known where they are."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.contract import SCHEMA_VERSION, TABLES
from procnet.errors import ConfigError, DataError
from procnet.settings import Settings
from procnet.spark.sql import column, string_constant, table_properties, table_reference


def table_ref(settings: Settings, name: str) -> str:
    """What SQL calls the table: `` delta.`/lake/name` `` for a folder, else its catalog name. ConfigError if unset."""
    place = settings.tables.get(name)
    if place is None and settings.lake is not None:
        place = str(settings.lake.absolute() / name)
    if place is None and settings.namespace is not None:
        place = f"{settings.namespace}.{name}"
    if place is None:
        raise ConfigError(
            f"nobody said where table {name} is: looked for tables.{name}, lake and namespace in the settings",
            hint="give --lake DIR, or set namespace: catalog.schema in the configuration",
        )
    return table_reference(place)


@dataclass(frozen=True)
class Lake:
    """The tables of `contract.TABLES` as one session sees them under one set of settings."""

    spark: SparkSession
    settings: Settings

    def ref(self, name: str) -> str:
        """The table's name in SQL."""
        return table_ref(self.settings, name)

    def exists(self, name: str) -> bool:
        """Whether the table is there."""
        return self._columns(name) is not None

    def _columns(self, name: str) -> list[str] | None:
        try:
            return self.spark.table(self.ref(name)).columns
        except AnalysisException:
            return None

    def create(self) -> list[str]:
        """Create the tables that are not there yet, with columns, comments and layout; returns their names.

        A table of an earlier schema version gets the columns and properties that it lacks, its rows stay as they are;
        no column is dropped or changed. DataError where a newer procnet has made it.
        """
        new = []
        for name, (schema, _) in TABLES.items():
            there = self._columns(name)
            columns = ", ".join(
                f"{column(f.name)} {f.dataType.simpleString()} COMMENT {string_constant(f.metadata['comment'])}"
                for f in schema
                if f.name not in (there or ())
            )
            if there is not None:
                self._bring_up_to_date(name, columns)
                continue
            new.append(name)
            properties = {**self._wanted(name), _TABLE_ID: uuid.uuid4().hex}
            self.spark.sql(
                f"CREATE TABLE IF NOT EXISTS {self.ref(name)} ({columns}) USING DELTA {self._layout(name)} "
                f"TBLPROPERTIES ({table_properties(properties)})"
            )
        return new

    def _bring_up_to_date(self, name: str, lacking: str) -> None:
        there = self.properties(name)
        if (made := int(there.get(_SCHEMA_VERSION, 1))) > SCHEMA_VERSION:
            raise DataError(
                f"table {self.ref(name)} has schema version {made}; this procnet knows up to {SCHEMA_VERSION}",
                hint="update procnet here too: the lake was brought up to date by a newer one",
            )
        if lacking:
            self.spark.sql(f"ALTER TABLE {self.ref(name)} ADD COLUMNS ({lacking})")
        # What its owner has set to another value stays as it is.
        wanted = {k: v for k, v in self._wanted(name).items() if k == _SCHEMA_VERSION or k not in there}
        self.set_properties(name, wanted)

    def _wanted(self, name: str) -> dict[str, str]:
        kept = self.settings.maintenance.keep_versions
        log = max(kept, timedelta(days=30))  # Delta's own default: what a look for late rows may reach back to
        return {
            _SCHEMA_VERSION: str(SCHEMA_VERSION),
            "delta.deletedFileRetentionDuration": f"interval {kept // timedelta(hours=1)} hours",
            "delta.logRetentionDuration": f"interval {log // timedelta(hours=1)} hours",
            # Which commit brought a row: catch-up asks it.
            **({"delta.enableChangeDataFeed": "true"} if name in _EVENTS else {}),
        }

    def _layout(self, name: str) -> str:
        maintenance, (_, partitions) = self.settings.maintenance, TABLES[name]
        if maintenance.layout == "liquid" and (by := maintenance.order.get(name)):  # type: ignore[call-overload]
            return f"CLUSTER BY ({', '.join(map(column, by))})"
        return f"PARTITIONED BY ({', '.join(map(column, partitions))})" if partitions else ""

    def set_properties(self, name: str, wanted: Mapping[str, str]) -> None:
        """Have the table these properties; no commit where it has them."""
        there = self.properties(name)
        if lacking := {k: v for k, v in wanted.items() if there.get(k) != v}:
            self.spark.sql(f"ALTER TABLE {self.ref(name)} SET TBLPROPERTIES ({table_properties(lacking)})")

    def create_view(self, name: str, query: str) -> None:
        """Create or renew a view in the catalog of the tables."""
        self.spark.sql(f"CREATE OR REPLACE VIEW {self.ref(name)} AS {query}")

    def read(self, name: str) -> DataFrame:
        """The table's columns of the contract, in its order. DataError if the table or a column is missing."""
        schema, _ = TABLES[name]
        try:
            frame = self.spark.table(self.ref(name))
            there = {f.name: f.dataType for f in frame.schema}
        except AnalysisException as e:
            if e.getCondition() not in _NOT_THERE:
                raise
            raise DataError(
                f"table {name} does not exist: looked for {self.ref(name)}",
                hint="procnet init creates the tables, procnet ingest fills them; or give --lake DIR",
            ) from None
        if missing := [n for n in schema.names if n not in there]:
            raise DataError(
                f"table {self.ref(name)} lacks {', '.join(missing)}; it has {', '.join(sorted(there))}",
                hint="map it as a source, or create it with procnet init",
            )
        wrong = [
            f"{f.name} is {there[f.name].simpleString()}, not {f.dataType.simpleString()}"
            for f in schema
            if not _fits(there[f.name], f.dataType)
        ]
        if wrong:
            raise DataError(
                f"table {self.ref(name)} breaks the contract: {'; '.join(wrong)}",
                hint="read it by a source: procnet ingest --source cim TABLE casts, and counts what it cannot",
            )
        return frame.select(
            *[f.name if there[f.name] == f.dataType else F.col(f.name).cast(f.dataType).alias(f.name) for f in schema]
        )

    def append(self, name: str, rows: DataFrame) -> None:
        """Append rows that have exactly the contract's columns."""
        rows.select(*TABLES[name][0].names).writeTo(self.ref(name)).append()

    def identity(self, name: str) -> str:
        """The table's own id: another one, once the table was dropped and made anew."""
        if (made_here := self.properties(name).get(_TABLE_ID)) is not None:
            return made_here
        # Delta's own, of a table that someone else made; it is asked second, as it takes four times as long.
        (row,) = self.spark.sql(f"DESCRIBE DETAIL {self.ref(name)}").select("id").collect()
        return str(row[0])

    def properties(self, name: str) -> dict[str, str]:
        """The table's properties."""
        rows = self.spark.sql(f"SHOW TBLPROPERTIES {self.ref(name)}").collect()
        return {str(r["key"]): str(r["value"]) for r in rows}

    def version(self, name: str) -> int | None:
        """The table's present Delta version; None if it is not there."""
        return _version(self.spark, self.ref(name))

    def version_at(self, place: str) -> int | None:
        """The Delta version of any table, by catalog name or folder; None if it has none."""
        return _version(self.spark, table_reference(place))


def _version(spark: SparkSession, ref: str) -> int | None:
    try:
        (row,) = spark.sql(f"DESCRIBE HISTORY {ref} LIMIT 1").select("version").collect()
    except AnalysisException:
        return None
    return int(row[0])


_TABLE_ID = "procnet.tableId"
_SCHEMA_VERSION = "procnet.schemaVersion"
_EVENTS = ("process_events", "network_events")
_INTEGERS = ("tinyint", "smallint", "int", "bigint")


def _fits(there: T.DataType, wanted: T.DataType) -> bool:
    """Whether every value of the one type is one of the other: the same type, or a smaller integer."""
    a, b = there.simpleString(), wanted.simpleString()
    return a == b or (a in _INTEGERS and b in _INTEGERS and _INTEGERS.index(a) < _INTEGERS.index(b))


_NOT_THERE = {
    "TABLE_OR_VIEW_NOT_FOUND",
    "DELTA_TABLE_NOT_FOUND",
    "DELTA_PATH_DOES_NOT_EXIST",
    "DELTA_MISSING_DELTA_TABLE",
    "PATH_NOT_FOUND",
    "SCHEMA_NOT_FOUND",
}
