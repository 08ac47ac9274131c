"""Settings: the shipped file is valid, overrides reach any key, and every error names file, key and value."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from procnet.errors import ConfigError, UsageError
from procnet.lake.tables import table_ref
from procnet.settings import HostMatch, Settings, default_conf_dir, load_settings


def conf(folder: Path, text: str) -> Path:
    file = folder / "c.yml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_shipped_settings_load_and_are_the_defaults() -> None:
    settings = load_settings(default_conf_dir() / "local.yml")
    assert settings.attribution == Settings().attribution
    assert settings.window == Settings().window
    assert settings.host == Settings().host


def test_an_override_reaches_a_nested_key_and_spark_keys_keep_their_dots(tmp_path: Path) -> None:
    settings = load_settings(
        conf(tmp_path, "lake: here\n"),
        overrides=["attribution.clock_skew=2s", "host.match=full", "spark.spark.sql.shuffle.partitions=8"],
    )
    assert settings.attribution.clock_skew == timedelta(seconds=2)
    assert settings.host.match is HostMatch.FULL
    assert settings.spark == {"spark.sql.shuffle.partitions": "8"}


def test_an_override_changes_one_of_two_groups_that_an_alias_makes_equal(tmp_path: Path) -> None:
    file = conf(tmp_path, "sources: {a: &s {mapping: cim, tables: [t]}, b: *s}\n")
    settings = load_settings(file, overrides=["sources.a.mapping=ecs"])
    assert [settings.sources[name].mapping for name in "ab"] == ["ecs", "cim"]


def test_a_sensors_clock_may_be_behind_and_no_tolerance_may_be_negative(tmp_path: Path) -> None:
    source = "sources: {a: {mapping: cim, tables: [t], clock_ahead: -90}}\n"
    assert load_settings(conf(tmp_path, source)).sources["a"].clock_ahead == timedelta(seconds=-90)
    keys = ("attribution.end_grace", "attribution.start_tolerance", "attribution.clock_skew", "window.delay",
            "attribution.state_over", "maintenance.keep_versions", "maintenance.zorder_over")  # fmt: skip
    for key in keys:
        with pytest.raises(ConfigError, match=f"{key}: a duration is not negative"):
            load_settings(conf(tmp_path, ""), overrides=[f"{key}=-1"])


def test_an_empty_file_has_the_defaults(tmp_path: Path) -> None:
    assert load_settings(conf(tmp_path, "# nothing yet\n")) == Settings()


def test_a_wrong_key_is_named_with_file_and_value(tmp_path: Path) -> None:
    file = conf(tmp_path, "windw: {length: 1h}\nattribution: {clock_skew: soon}\n")
    with pytest.raises(ConfigError) as e:
        load_settings(file)
    assert str(file) in str(e.value)
    assert "windw" in str(e.value)
    assert "attribution.clock_skew" in str(e.value)
    assert "'soon'" in str(e.value)


def test_a_removed_key_may_be_deleted(tmp_path: Path) -> None:
    file = conf(tmp_path, "attribution: {max_age: 24h, clock_skew: soon}\n")
    with pytest.raises(ConfigError) as e:
        load_settings(file)
    removed, wrong = e.value.message.splitlines()
    assert removed == f"{file}: attribution.max_age: this setting never had an effect and was removed; delete the line"
    assert wrong.startswith(f"{file}: attribution.clock_skew: ")


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
        (Settings(lake="s3a://bucket/lake/"), "delta.`s3a://bucket/lake/findings`"),
        (Settings(lake=Path("/odd`; DROP")), "delta.`/odd``; DROP/findings`"),
    ],
)
def test_a_table_is_named_by_path_or_catalog_and_quoted(settings: Settings, expected: str) -> None:
    assert table_ref(settings, "findings") == expected


def test_a_lake_in_an_object_store_is_text_with_a_bucket_and_a_folder() -> None:
    assert load_settings(default_conf_dir() / "local.yml", lake="s3a://bucket/lake").local_lake is None
    assert load_settings(default_conf_dir() / "local.yml", lake="here").local_lake == Path("here")
    for wrong in (Path("s3a://bucket/lake"), "s3a:/bucket/lake", "s3a://bucket", "s3a:///lake"):
        with pytest.raises(ConfigError, match="write it like s3a://bucket/lake"):
            load_settings(default_conf_dir() / "local.yml", lake=wrong)


def test_the_error_for_a_table_without_a_place_names_the_settings_that_give_one() -> None:
    with pytest.raises(ConfigError, match=r"tables\.findings, lake and namespace"):
        table_ref(Settings(), "findings")
