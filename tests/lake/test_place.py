"""A place that cannot be a lake is refused before Spark starts, in one sentence. Without Spark."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.command import procnet
from procnet.errors import UsageError
from procnet.lake import place
from procnet.lake.place import check_place


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    (tmp_path / "lake" / "findings" / "_delta_log").mkdir(parents=True)
    return tmp_path / "lake"


@pytest.mark.parametrize("to_write", [True, False])
def test_a_file_is_no_lake(lake: Path, to_write: bool) -> None:
    check_place(lake, to_write=to_write)
    check_place(lake / "new" / "lake", to_write=to_write)
    (lake / "file").write_text("content")
    with pytest.raises(UsageError, match=r"file is a file\n"):
        check_place(lake / "file", to_write=to_write)
    with pytest.raises(UsageError, match=r"file/a/b cannot be used: .*/file is a file\n"):
        check_place(lake / "file" / "a" / "b", to_write=to_write)
    (lake / "runs").write_text("content")
    with pytest.raises(UsageError, match=r"runs is a file\n"):
        check_place(lake, to_write=to_write)


@pytest.mark.parametrize("read_only", [".", "findings", "findings/_delta_log"])
def test_a_read_only_lake_can_only_be_read(lake: Path, monkeypatch: pytest.MonkeyPatch, read_only: str) -> None:
    closed = (lake / read_only).resolve()  # by a mode, root could still write
    monkeypatch.setattr(place.os, "access", lambda folder, _: folder != closed)
    check_place(lake, to_write=False)
    with pytest.raises(UsageError, match=rf"lake {lake} is read-only: you may not write to {closed}\n"):
        check_place(lake, to_write=True)


def test_a_read_only_file_system_is_named(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = os.statvfs_result((4096, 4096, 0, 0, 0, 0, 0, 0, os.ST_RDONLY, 255))
    monkeypatch.setattr(place.os, "access", lambda *_: False)
    monkeypatch.setattr(place.os, "statvfs", lambda _: flags)
    with pytest.raises(UsageError, match="its file system is mounted read-only"):
        check_place(lake / "new", to_write=True)


def test_a_command_refuses_the_place_without_a_session(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_session(*_: object, **__: object) -> None:
        raise AssertionError("a session was opened")

    monkeypatch.delenv("SPARK_REMOTE", raising=False)
    monkeypatch.setattr("procnet.cli.options.open_session", no_session)
    (lake / "file").write_text("content")
    for argv in (
        ("init",),
        ("ingest", "--source", "windows_flat", "x.jsonl"),
        ("detect",),
        ("maintain",),
        ("findings",),
    ):
        said = procnet(*argv, "--lake", lake / "file")
        assert (said.code, said.err.count("\n")) == (2, 2), said.err
        assert f"lake {lake / 'file'} is a file" in said.err
