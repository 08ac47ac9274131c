"""The Delta tables of a lake, by folder or catalog name: create, read, append. Table places are known only here."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.contract import EVENT_TABLES, SCHEMA_VERSION, TABLES
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
    unset_properties_sql,
)
from procnet.lake.table_errors import table_errors
from procnet.settings import Settings
from procnet.spark.sql import table_reference


def table_ref(settings: Settings, name: str) -> str:
    """The table's name in SQL: `` delta.`/lake/name` `` of a folder, else its quoted catalog name.

    ConfigError if the settings name no place.
    """
    return table_reference(_table_place(settings, name))


def _table_place(settings: Settings, name: str) -> str:
    """The table's folder or catalog name. ConfigError if the settings name no place."""
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
    return place


@dataclass(frozen=True)
class Lake:
    """The tables of `contract.TABLES` in one Spark session, at the places that the settings name."""

    spark: SparkSession
    settings: Settings

    def ref(self, name: str) -> str:
        """The table's name in SQL."""
        return table_ref(self.settings, name)

    def exists(self, name: str) -> bool:
        """Whether the table exists. DataError if it is damaged, or needs a newer Delta."""
        return self._columns(name) is not None

    def is_current(self, name: str) -> bool:
        """Whether the table exists and has all columns of the contract."""
        columns = self._columns(name)
        return columns is not None and not missing_columns(name, columns)

    def create(self) -> list[str]:
        """Create the missing tables with columns, comments and layout; returns their names.

        A table of an earlier schema version gets the columns and properties that it lacks. Its rows stay unchanged, and
        no column is dropped or changed; only a cache is replaced by an empty table. DataError, before anything is
        changed, where a table is another's (see `refuse_foreign`) or of a newer schema version.
        """
        existing = {name: columns for name in TABLES if (columns := self._columns(name)) is not None}
        properties = {name: self.refuse_foreign(name) for name in existing}
        for name in existing:
            self._refuse_newer(name, properties[name])
        for name in TABLES:
            if name in existing:
                self._upgrade(name, existing[name], properties[name])
            else:
                self.spark.sql(create_table_sql(self.ref(name), name, self.settings.maintenance, _new_table_id()))
                if self._columns(name) is None:  # Delta makes no table over files without a log, and raises nothing
                    raise self._no_table(name)
        return [name for name in TABLES if name not in existing]

    def refuse_foreign(self, name: str) -> dict[str, str]:
        """Returns the properties of an existing table. DataError unless procnet may write to the table: a Delta table
        that procnet made (it has `procnet.schemaVersion`), or that has all columns of the contract."""
        properties, columns = self.properties(name), self._columns(name) or []
        other_place = f"give another --lake or namespace, or a place of its own under tables.{name} in the settings"
        if "delta.minReaderVersion" not in properties:
            raise DataError(
                f"{self.ref(name)} is no Delta table but a view, or a table of another format, with the columns "
                f"{', '.join(sorted(columns))}: procnet cannot write to it",
                hint=other_place,
            )
        if SCHEMA_VERSION_PROPERTY not in properties and missing_columns(name, columns):
            raise DataError(
                f"table {self.ref(name)} was not made by procnet: it has no property {SCHEMA_VERSION_PROPERTY}, and "
                f"the columns {', '.join(sorted(columns))}",
                hint=f"{other_place}; if an older procnet did make it: ALTER TABLE {self.ref(name)} SET TBLPROPERTIES "
                f"('{SCHEMA_VERSION_PROPERTY}' = '1')",
            )
        return properties

    def set_properties(self, name: str, wanted: Mapping[str, str]) -> None:
        """Set properties of the table; no commit if it has all of them already."""
        current = self.properties(name)
        if different := {k: v for k, v in wanted.items() if current.get(k) != v}:
            self.spark.sql(set_properties_sql(self.ref(name), different))

    def unset_properties(self, name: str, keys: Collection[str]) -> None:
        """Remove properties of the table; no commit without `keys`."""
        if keys:
            self.spark.sql(unset_properties_sql(self.ref(name), keys))

    def create_view(self, name: str, query: str) -> None:
        """Create or replace a view in the schema of the tables."""
        self.spark.sql(f"CREATE OR REPLACE VIEW {self.ref(name)} AS {query}")

    def read(self, name: str, *, fill_missing: bool = False) -> DataFrame:
        """The table with the contract's columns, in its order; smaller integers are cast to the contract's type. With
        `fill_missing` a column that a table of an earlier procnet lacks is null.

        DataError if the table or a column is missing, or a column has another type.
        """
        schema, _ = TABLES[name]
        if (frame := self._frame(name)) is None:
            raise self._missing_table(name)
        types = {f.name: f.dataType for f in frame.schema}
        missing = missing_columns(name, types)
        if missing and not (fill_missing and SCHEMA_VERSION_PROPERTY in self.properties(name)):
            raise DataError(
                f"table {self.ref(name)} lacks {', '.join(missing)}; it has {', '.join(sorted(types))}",
                hint="procnet init adds columns to a table that an earlier procnet made"
                + ("; a table of others is read by a source: sources in the settings" if name in EVENT_TABLES else ""),
            )
        wrong = [
            f"{f.name} is {types[f.name].simpleString()}, not {f.dataType.simpleString()}"
            for f in schema
            if f.name not in missing and not _is_same_or_smaller_integer(types[f.name], f.dataType)
        ]
        if wrong:
            raise DataError(
                f"table {self.ref(name)} breaks the contract: {'; '.join(wrong)}",
                hint="read it by a source: procnet ingest --source cim TABLE casts, and counts what it cannot",
            )
        columns = {f.name: F.lit(None) if f.name in missing else F.col(f.name) for f in schema}
        return frame.select(
            *[
                n if types.get(n) == schema[n].dataType else c.cast(schema[n].dataType).alias(n)
                for n, c in columns.items()
            ]
        )

    def append(self, name: str, rows: DataFrame) -> None:
        """Append rows; of their columns, those of the contract are written."""
        with table_errors(self.ref(name)):
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
        with table_errors(self.ref(name)):
            rows = self.spark.sql(f"SHOW TBLPROPERTIES {self.ref(name)}").collect()
        return {str(r["key"]): str(r["value"]) for r in rows}

    def version(self, name: str) -> int | None:
        """The table's current Delta version; None if it does not exist."""
        return _version(self.spark, self.ref(name))

    def version_at(self, place: str) -> int | None:
        """The current Delta version of any table, by catalog name or folder; None if it has no versions."""
        return _version(self.spark, table_reference(place))

    def _columns(self, name: str) -> list[str] | None:
        frame = self._frame(name)
        return None if frame is None else frame.columns

    def _frame(self, name: str) -> DataFrame | None:
        """The table as it is; None where there is no table."""
        try:
            with table_errors(self.ref(name)):
                frame = self.spark.table(self.ref(name))
                _ = frame.schema  # Spark Connect resolves the table only here
                return frame
        except AnalysisException as e:
            if e.getCondition() not in _MISSING_TABLE_CONDITIONS:
                raise
            return None

    def _refuse_newer(self, name: str, properties: Mapping[str, str]) -> None:
        if (version := _schema_version(properties)) > SCHEMA_VERSION:
            raise DataError(
                f"table {self.ref(name)} has schema version {version}; this procnet knows up to {SCHEMA_VERSION}",
                hint="update procnet here: a newer version has upgraded the lake",
            )

    def _upgrade(self, name: str, columns: list[str], current: Mapping[str, str]) -> None:
        """Bring an existing table with the properties `current` to the current schema version."""
        if name in CACHE_TABLES and _schema_version(current) < SCHEMA_VERSION:
            self.spark.sql(replace_table_sql(self.ref(name), name, self.settings.maintenance, _new_table_id()))
            return
        if missing := missing_columns(name, columns):
            self.spark.sql(add_columns_sql(self.ref(name), name, missing))
        # Properties that the owner of the table has set stay as they are.
        wanted = default_properties(name, self.settings.maintenance)
        self.set_properties(name, {k: v for k, v in wanted.items() if k == SCHEMA_VERSION_PROPERTY or k not in current})

    def _no_table(self, name: str) -> DataError:
        return DataError(
            f"{self.ref(name)} is no Delta table: there are files, and no log of a table in its _delta_log",
            hint="restore _delta_log from a backup, or move the files away: procnet init then makes an empty table, "
            "which ingest and backfill fill again",
        )

    def _missing_table(self, name: str) -> DataError:
        place = _table_place(self.settings, name)
        if "/" in place and _has_files(self.spark, place):
            return self._no_table(name)
        return DataError(
            f"table {name} does not exist: looked for {self.ref(name)}",
            hint="procnet init creates the tables, procnet ingest fills them; or give --lake DIR",
        )


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


def _schema_version(properties: Mapping[str, str]) -> int:
    return int(properties.get(SCHEMA_VERSION_PROPERTY, 1))


def _has_files(spark: SparkSession, folder: str) -> bool:
    """Whether there is a file at or below the place, but for those of `_delta_log`; as Spark lists it, on any store."""
    files = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    try:
        return not files.load(folder).select("path").isEmpty()
    except Exception:  # nothing is there, or the store does not list it
        return False


def _version(spark: SparkSession, ref: str) -> int | None:
    try:
        with table_errors(ref):
            (row,) = spark.sql(f"DESCRIBE HISTORY {ref} LIMIT 1").select("version").collect()
    except AnalysisException:
        return None
    return int(row[0])


def _is_same_or_smaller_integer(actual: T.DataType, wanted: T.DataType) -> bool:
    """Whether every value of type `actual` is one of type `wanted`."""
    a, b = actual.simpleString(), wanted.simpleString()
    return a == b or (a in _INTEGERS and b in _INTEGERS and _INTEGERS.index(a) < _INTEGERS.index(b))
