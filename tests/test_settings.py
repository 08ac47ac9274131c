"""Settings: the shipped file is valid, overrides reach any key, and every error names file, key and value."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from procnet.errors import ConfigError, UsageError
from procnet.lake.tables import table_ref
from procnet.settings import HostMatch, Settings, default_conf_dir, load_settings


def test_the_shipped_settings_load_and_are_the_defaults() -> None:
    settings = load_settings(default_conf_dir() / "local.yml")
    assert settings.attribution == Settings().attribution
    assert settings.window == Settings().window
    assert settings.host == Settings().host


def test_an_override_reaches_a_nested_key_and_spark_keys_keep_their_dots(tmp_path: Path) -> None:
    file = tmp_path / "c.yml"
    file.write_text("lake: here\n")
    settings = load_settings(
        file, overrides=["attribution.clock_skew=2s", "host.match=full", "spark.spark.sql.shuffle.partitions=8"]
    )
    assert settings.attribution.clock_skew == timedelta(seconds=2)
    assert settings.host.match is HostMatch.FULL
    assert settings.spark == {"spark.sql.shuffle.partitions": "8"}


def test_a_wrong_key_is_named_with_file_and_value(tmp_path: Path) -> None:
    file = tmp_path / "c.yml"
    file.write_text("windw: {length: 1h}\nattribution: {clock_skew: soon}\n")
    with pytest.raises(ConfigError) as e:
        load_settings(file)
    assert str(file) in str(e.value)
    assert "windw" in str(e.value)
    assert "attribution.clock_skew" in str(e.value)
    assert "'soon'" in str(e.value)


def test_a_missing_file_and_a_bad_override_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_settings(tmp_path / "none.yml")
    with pytest.raises(UsageError, match="no key=value"):
        load_settings(default_conf_dir() / "local.yml", overrides=["lake"])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(lake=Path("/data/lake")), "delta.`/data/lake/findings`"),
        (Settings(namespace="main.security"), "`main`.`security`.`findings`"),
        (Settings(namespace="main.security", tables={"findings": "other.t.f"}), "`other`.`t`.`f`"),
        (Settings(tables={"findings": "s3://bucket/f"}), "delta.`s3://bucket/f`"),
        (Settings(lake=Path("/odd`; DROP")), "delta.`/odd``; DROP/findings`"),
    ],
)
def test_a_table_is_named_by_path_or_catalog_and_quoted(settings: Settings, expected: str) -> None:
    assert table_ref(settings, "findings") == expected


def test_a_table_that_nobody_placed_says_what_was_looked_for() -> None:
    with pytest.raises(ConfigError, match=r"tables\.findings, lake and namespace"):
        table_ref(Settings(), "findings")
