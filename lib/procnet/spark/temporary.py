"""Temporary folders of this process: private, removed when it ends; a later start removes those of killed processes."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path

PREFIX = "procnet-"
# Locked by the folder's owner for as long as it runs: the kernel releases the lock of a killed process. A process id in
# the name could belong to another process by now, or to one of another container that has the same temporary folder.
_LOCK = ".lock"
# Descriptors of the locks of this process's folders. A forked child shares them, and must not remove the folders.
_locks: dict[Path, int] = {}
_owner = os.getpid()


def temporary_folder(purpose: str, parent: Path | None = None) -> Path:
    """Makes a folder `procnet-PURPOSE-xxxxxxxx` of mode 700 in `parent`, and returns its path.

    By default `parent` is the system's temporary folder. The folder is removed by `remove_folder`, or as this process
    ends. Folders of procnet in the same `parent` whose process was killed are removed first.
    """
    parent = Path(tempfile.gettempdir()) if parent is None else parent
    remove_abandoned(parent)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{purpose}-", dir=parent))
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        if _is_locked_now(descriptor):
            _locks[folder] = descriptor
            return folder
        os.close(descriptor)  # another start took the new folder for an abandoned one, and removes it


def remove_folder(folder: Path) -> None:
    """Removes a folder of `temporary_folder`, as far as that is possible; nothing if it is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    if (descriptor := _locks.pop(folder, None)) is not None:
        os.close(descriptor)


@atexit.register
def remove_own() -> None:
    """Removes every folder of this process."""
    if os.getpid() == _owner:
        for folder in list(_locks):
            remove_folder(folder)


def remove_abandoned(parent: Path) -> None:
    """Removes folders of procnet in `parent` whose process has ended.

    Only folders of this user that have a lock which nobody holds. Links are not followed.
    """
    try:
        candidates = [Path(e.path) for e in os.scandir(parent) if e.name.startswith(PREFIX)]
    except OSError:
        return
    for folder in candidates:
        try:
            _remove_if_abandoned(folder)
        except OSError:
            continue  # not ours, no folder, without a lock, or removed by another start


def _remove_if_abandoned(folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(directory).st_uid != os.geteuid():
            return
        descriptor = os.open(_LOCK, os.O_RDWR | os.O_NOFOLLOW, dir_fd=directory)
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode) and _is_locked_now(descriptor):
                shutil.rmtree(folder, ignore_errors=True)  # follows no link, neither as `folder` nor below it
        finally:
            os.close(descriptor)
    finally:
        os.close(directory)


def _is_locked_now(descriptor: int) -> bool:
    """Whether this process got the lock; False where another one has it, or the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
