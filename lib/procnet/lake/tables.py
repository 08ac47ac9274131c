"""The Delta tables of a lake, by folder or catalog name: create, read, append. Table places are known only here."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.contract import SCHEMA_VERSION, TABLES
from procnet.errors import ConfigError, DataError
from procnet.lake.schema import (
    CACHE_TABLES,
    SCHEMA_VERSION_PROPERTY,
    TABLE_ID_PROPERTY,
    add_columns_sql,
    create_table_sql,
    default_properties,
    missing_columns,
    replace_table_sql,
    set_properties_sql,
)
from procnet.settings import Settings
from procnet.spark.sql import table_reference


def table_ref(settings: Settings, name: str) -> str:
    """The table's name in SQL: `` delta.`/lake/name` `` of a folder, else its quoted catalog name.

    ConfigError if the settings name no place.
    """
    place = settings.tables.get(name)
    if place is None and settings.lake is not None:
        folder = settings.lake.absolute() if isinstance(settings.lake, Path) else settings.lake
        place = f"{folder}/{name}"
    if place is None and settings.namespace is not None:
        place = f"{settings.namespace}.{name}"
    if place is None:
        raise ConfigError(
            f"no place is set for table {name}: looked for tables.{name}, lake and namespace in the settings",
            hint="give --lake DIR, or set namespace: catalog.schema in the configuration",
        )
    return table_reference(place)


@dataclass(frozen=True)
class Lake:
    """The tables of `contract.TABLES` in one Spark session, at the places that the settings name."""

    spark: SparkSession
    settings: Settings

    def ref(self, name: str) -> str:
        """The table's name in SQL."""
        return table_ref(self.settings, name)

    def exists(self, name: str) -> bool:
        """Whether the table exists."""
        return self._columns(name) is not None

    def is_current(self, name: str) -> bool:
        """Whether the table exists and has all columns of the contract."""
        columns = self._columns(name)
        return columns is not None and not missing_columns(name, columns)

    def create(self) -> list[str]:
        """Create the missing tables with columns, comments and layout; returns their names.

        A table of an earlier schema version gets the columns and properties that it lacks. Its rows stay unchanged, and
        no column is dropped or changed; only a cache is replaced by an empty table. DataError for a table of a newer
        schema version.
        """
        new = []
        for name in TABLES:
            columns = self._columns(name)
            if columns is None:
                new.append(name)
                self.spark.sql(create_table_sql(self.ref(name), name, self.settings.maintenance, _new_table_id()))
            else:
                self._upgrade(name, columns)
        return new

    def set_properties(self, name: str, wanted: Mapping[str, str]) -> None:
        """Set properties of the table; no commit if it has all of them already."""
        current = self.properties(name)
        if different := {k: v for k, v in wanted.items() if current.get(k) != v}:
            self.spark.sql(set_properties_sql(self.ref(name), different))

    def create_view(self, name: str, query: str) -> None:
        """Create or replace a view in the schema of the tables."""
        self.spark.sql(f"CREATE OR REPLACE VIEW {self.ref(name)} AS {query}")

    def read(self, name: str) -> DataFrame:
        """The table with the contract's columns, in its order; smaller integers are cast to the contract's type.

        DataError if the table or a column is missing, or a column has another type.
        """
        schema, _ = TABLES[name]
        frame, types = self._table_and_types(name)
        if missing := missing_columns(name, types):
            raise DataError(
                f"table {self.ref(name)} lacks {', '.join(missing)}; it has {', '.join(sorted(types))}",
                hint="procnet init adds columns of a newer version; or map the table as a source",
            )
        wrong = [
            f"{f.name} is {types[f.name].simpleString()}, not {f.dataType.simpleString()}"
            for f in schema
            if not _is_same_or_smaller_integer(types[f.name], f.dataType)
        ]
        if wrong:
            raise DataError(
                f"table {self.ref(name)} breaks the contract: {'; '.join(wrong)}",
                hint="read it by a source: procnet ingest --source cim TABLE casts, and counts what it cannot",
            )
        return frame.select(
            *[f.name if types[f.name] == f.dataType else F.col(f.name).cast(f.dataType).alias(f.name) for f in schema]
        )

    def append(self, name: str, rows: DataFrame) -> None:
        """Append rows; of their columns, those of the contract are written."""
        rows.select(*TABLES[name][0].names).writeTo(self.ref(name)).append()

    def identity(self, name: str) -> str:
        """The id of the table, which changes when the table is dropped and created again."""
        if (own_id := self.properties(name).get(TABLE_ID_PROPERTY)) is not None:
            return own_id
        # Delta's own id, for a table that procnet did not create. DESCRIBE DETAIL takes four times as long.
        (row,) = self.spark.sql(f"DESCRIBE DETAIL {self.ref(name)}").select("id").collect()
        return str(row[0])

    def properties(self, name: str) -> dict[str, str]:
        """The table's properties."""
        rows = self.spark.sql(f"SHOW TBLPROPERTIES {self.ref(name)}").collect()
        return {str(r["key"]): str(r["value"]) for r in rows}

    def version(self, name: str) -> int | None:
        """The table's current Delta version; None if it does not exist."""
        return _version(self.spark, self.ref(name))

    def version_at(self, place: str) -> int | None:
        """The current Delta version of any table, by catalog name or folder; None if it has no versions."""
        return _version(self.spark, table_reference(place))

    def _columns(self, name: str) -> list[str] | None:
        try:
            return self.spark.table(self.ref(name)).columns
        except AnalysisException:
            return None

    def _upgrade(self, name: str, columns: list[str]) -> None:
        """Bring an existing table to the current schema version."""
        current = self.properties(name)
        if (version := int(current.get(SCHEMA_VERSION_PROPERTY, 1))) > SCHEMA_VERSION:
            raise DataError(
                f"table {self.ref(name)} has schema version {version}; this procnet knows up to {SCHEMA_VERSION}",
                hint="update procnet here: a newer version has upgraded the lake",
            )
        if name in CACHE_TABLES and version < SCHEMA_VERSION:
            self.spark.sql(replace_table_sql(self.ref(name), name, self.settings.maintenance, _new_table_id()))
            return
        if missing := missing_columns(name, columns):
            self.spark.sql(add_columns_sql(self.ref(name), name, missing))
        # Properties that the owner of the table has set stay as they are.
        wanted = default_properties(name, self.settings.maintenance)
        self.set_properties(name, {k: v for k, v in wanted.items() if k == SCHEMA_VERSION_PROPERTY or k not in current})

    def _table_and_types(self, name: str) -> tuple[DataFrame, dict[str, T.DataType]]:
        try:
            frame = self.spark.table(self.ref(name))
            return frame, {f.name: f.dataType for f in frame.schema}
        except AnalysisException as e:
            if e.getCondition() not in _MISSING_TABLE_CONDITIONS:
                raise
            raise DataError(
                f"table {name} does not exist: looked for {self.ref(name)}",
                hint="procnet init creates the tables, procnet ingest fills them; or give --lake DIR",
            ) from None


_MISSING_TABLE_CONDITIONS = {
    "TABLE_OR_VIEW_NOT_FOUND",
    "DELTA_TABLE_NOT_FOUND",
    "DELTA_PATH_DOES_NOT_EXIST",
    "DELTA_MISSING_DELTA_TABLE",
    "PATH_NOT_FOUND",
    "SCHEMA_NOT_FOUND",
}
_INTEGERS = ("tinyint", "smallint", "int", "bigint")


def _new_table_id() -> str:
    return uuid.uuid4().hex


def _version(spark: SparkSession, ref: str) -> int | None:
    try:
        (row,) = spark.sql(f"DESCRIBE HISTORY {ref} LIMIT 1").select("version").collect()
    except AnalysisException:
        return None
    return int(row[0])


def _is_same_or_smaller_integer(actual: T.DataType, wanted: T.DataType) -> bool:
    """Whether every value of type `actual` is one of type `wanted`."""
    a, b = actual.simpleString(), wanted.simpleString()
    return a == b or (a in _INTEGERS and b in _INTEGERS and _INTEGERS.index(a) < _INTEGERS.index(b))
