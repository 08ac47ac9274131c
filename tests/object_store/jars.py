"""The connector's jars, by coordinates and checksum in jars.lock: hadoop-aws and the modules of AWS's SDK it needs.

They are in the cache folder of Delta's jars, and downloaded into it once.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from procnet.spark.delta_jars import _resolve
from procnet.spark.java import cache_dir

LOCK = Path(__file__).with_name("jars.lock")


def connector_jars() -> list[Path]:
    """Returns the paths of the jars in the lock. ValueError where one cannot be downloaded or has another content."""
    folder = cache_dir(os.environ) / "jars"
    folder.mkdir(parents=True, exist_ok=True)
    paths = {coordinate: folder / file for coordinate, file, _ in locked()}
    if missing := [c for c, path in paths.items() if not path.is_file()]:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            problems = _resolve(missing, Path(scratch), os.environ)
            for coordinate in missing:
                jar = Path(scratch) / "jars" / f"{coordinate.partition(':')[0]}_{paths[coordinate].name}"
                if not jar.is_file():
                    raise ValueError(f"{coordinate} was not downloaded: {problems}")
                os.replace(jar, paths[coordinate])
    for coordinate, file, sha256 in locked():
        if hashlib.sha256((folder / file).read_bytes()).hexdigest() != sha256:
            raise ValueError(f"{folder / file} is not the {coordinate} of {LOCK.name}: delete it")
    return list(paths.values())


def locked() -> Iterator[tuple[str, str, str]]:
    """Yields coordinate, file name and SHA-256 of each jar."""
    for line in LOCK.read_text().splitlines():
        coordinate, _, sha256 = line.partition(" sha256:")
        _, artifact, version = coordinate.split(":")
        yield coordinate, f"{artifact}-{version}.jar", sha256
