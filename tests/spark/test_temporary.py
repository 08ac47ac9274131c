"""Temporary folders are private, and those of killed processes go; those of others stay. Without Spark."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from procnet.spark import temporary

# Makes a folder in sys.argv[1], waits for a line, then ends as sys.argv[2] says.
OWNER = """
import os, signal, sys
from pathlib import Path
from procnet.spark.temporary import temporary_folder
print(temporary_folder("test", Path(sys.argv[1])), flush=True)
sys.stdin.readline()
if sys.argv[2] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_folder_is_private_and_its_name_cannot_be_predicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary, "_locks", {})  # the folder of this process's Spark session is to stay
    a, b = (temporary.temporary_folder("test", tmp_path) for _ in range(2))
    assert a != b
    assert [stat.S_IMODE(f.stat().st_mode) for f in (a, b)] == [0o700, 0o700]
    assert a.name.startswith("procnet-test-")
    temporary.remove_folder(a)
    assert names(tmp_path) == [b.name], "the folder of a running process stays"
    temporary.remove_own()
    assert names(tmp_path) == []


@pytest.mark.parametrize("end", ["normal", "killed"])
def test_a_folder_lasts_as_long_as_its_process(tmp_path: Path, end: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path), end], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdin is not None
        assert owner.stdout is not None
        folder = Path(owner.stdout.readline().strip())
        (folder / "blocks" / "0c").mkdir(parents=True)
        (folder / "blocks" / "0c" / "shuffle").write_text("rows")
        temporary.remove_abandoned(tmp_path)
        assert (folder / "blocks" / "0c" / "shuffle").exists()
        owner.communicate("\n")
    assert folder.exists() is (end == "killed")
    temporary.remove_folder(temporary.temporary_folder("test", tmp_path))
    assert names(tmp_path) == []


def test_nothing_but_abandoned_folders_of_this_user_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    precious, parent = tmp_path / "precious", tmp_path / "parent"
    for folder in (precious, parent / "procnet-test-old", parent / "procnet-test-no-lock", parent / "another"):
        folder.mkdir(parents=True)
        (folder / "file").write_text("content")
    for folder in (precious, parent / "procnet-test-old", parent / "another"):
        (folder / ".lock").touch()
    (parent / "procnet-test-file").touch()
    (parent / "procnet-test-link").symlink_to(precious)
    (parent / "procnet-test-old" / "link").symlink_to(precious)
    linked_lock = parent / "procnet-test-linked-lock"
    linked_lock.mkdir()
    (linked_lock / ".lock").symlink_to(precious / ".lock")
    before = names(parent)

    monkeypatch.setattr(os, "geteuid", lambda: 12345)  # of another user
    temporary.remove_abandoned(parent)
    assert names(parent) == before
    monkeypatch.undo()
    temporary.remove_abandoned(parent)
    assert names(parent) == [n for n in before if n != "procnet-test-old"]
    assert names(precious) == [".lock", "file"]
