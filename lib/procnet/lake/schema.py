"""DDL of the contract's tables: columns with their comments, partitioning or clustering, table properties."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta

from procnet.contract import EVENT_TABLES, SCHEMA_VERSION, TABLES
from procnet.settings import MaintenanceSettings
from procnet.spark.sql import column, string_constant, table_properties

TABLE_ID_PROPERTY = "procnet.tableId"
SCHEMA_VERSION_PROPERTY = "procnet.schemaVersion"
# Tables whose rows any run may compute again: one of an earlier schema version is replaced by an empty one.
CACHE_TABLES = ("open_processes",)
# Delta's default log retention: catch-up finds late rows as far back as this.
_MIN_LOG_RETENTION = timedelta(days=30)


def create_table_sql(ref: str, name: str, maintenance: MaintenanceSettings, table_id: str) -> str:
    """CREATE TABLE of a contract's table; `ref` is its name in SQL."""
    return f"CREATE TABLE IF NOT EXISTS {_definition(ref, name, maintenance, table_id)}"


def replace_table_sql(ref: str, name: str, maintenance: MaintenanceSettings, table_id: str) -> str:
    """REPLACE TABLE by an empty one of the contract; CREATE OR REPLACE refuses to change a folder's schema."""
    return f"REPLACE TABLE {_definition(ref, name, maintenance, table_id)}"


def _definition(ref: str, name: str, maintenance: MaintenanceSettings, table_id: str) -> str:
    properties = {**default_properties(name, maintenance), TABLE_ID_PROPERTY: table_id}
    return (
        f"{ref} ({_column_definitions(name)}) USING DELTA {_layout(name, maintenance)} "
        f"TBLPROPERTIES ({table_properties(properties)})"
    )


def missing_columns(name: str, existing: Collection[str]) -> list[str]:
    """Columns of the contract that a table with the `existing` ones lacks, in the contract's order."""
    return [n for n in TABLES[name][0].names if n not in existing]


def add_columns_sql(ref: str, name: str, columns: Collection[str]) -> str:
    """ALTER TABLE that adds columns of the contract."""
    return f"ALTER TABLE {ref} ADD COLUMNS ({_column_definitions(name, columns)})"


def set_properties_sql(ref: str, properties: Mapping[str, str]) -> str:
    """ALTER TABLE that sets properties."""
    return f"ALTER TABLE {ref} SET TBLPROPERTIES ({table_properties(properties)})"


def unset_properties_sql(ref: str, keys: Collection[str]) -> str:
    """ALTER TABLE that removes properties."""
    return f"ALTER TABLE {ref} UNSET TBLPROPERTIES IF EXISTS ({', '.join(map(string_constant, keys))})"


def default_properties(name: str, maintenance: MaintenanceSettings) -> dict[str, str]:
    """Properties of a new table under these settings, without its id."""
    log_retention = max(maintenance.keep_versions, _MIN_LOG_RETENTION)
    return {
        SCHEMA_VERSION_PROPERTY: str(SCHEMA_VERSION),
        "delta.deletedFileRetentionDuration": _hours(maintenance.keep_versions),
        "delta.logRetentionDuration": _hours(log_retention),
        # Catch-up reads from the change data feed which commit added a row.
        **({"delta.enableChangeDataFeed": "true"} if name in EVENT_TABLES else {}),
    }


def _column_definitions(name: str, columns: Collection[str] | None = None) -> str:
    return ", ".join(
        f"{column(f.name)} {f.dataType.simpleString()} COMMENT {string_constant(f.metadata['comment'])}"
        for f in TABLES[name][0]
        if columns is None or f.name in columns
    )


def _layout(name: str, maintenance: MaintenanceSettings) -> str:
    _, partitions = TABLES[name]
    if maintenance.layout == "liquid" and (by := maintenance.order.get(name)):  # type: ignore[call-overload]
        return f"CLUSTER BY ({', '.join(map(column, by))})"
    return f"PARTITIONED BY ({', '.join(map(column, partitions))})" if partitions else ""


def _hours(duration: timedelta) -> str:
    return f"interval {duration // timedelta(hours=1)} hours"
