"""The two Delta jars of a local session: found on this machine, or downloaded once into the user's cache folder.

A jar of the cache is compared with its checksum each time it is used (0.05 s for 9.6 MB), since its code runs with the
user's rights. Jars in pyspark's folder and in `$PROCNET_JARS` may be somebody's own build: only their zip structure is
checked.

Delta's own setup resolves 33 artifacts (87 MB) at every session start. These two jars suffice for create, replaceWhere,
merge, optimize and vacuum; a session that gets their paths works offline.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from procnet.errors import SessionError, install_hint
from procnet.spark.java import cache_dir, find_java, launcher_home
from procnet.spark.temporary import remove_folder, temporary_folder

# Checksums of the tested versions. Of a jar of another version the zip structure is checked, after its download also
# the checksum of each of its files.
SHA256 = {
    "delta-spark_4.1_2.13-4.4.0.jar": "75a9400986853c061f5109f012547de2545a5759e5e752e5ef633dabe16a4f10",
    "delta-spark_4.2_2.13-4.4.0.jar": "27d4fd8b1f879535c573ed1c718177d6a27f24d3e626ba02e216369725721ead",
    "delta-storage-4.4.0.jar": "c46735481fa8e326b0957be02b4420cbcab4b325bb08009b7f2045a95133f1cc",
    "delta-spark_2.13-4.0.1.jar": "a1e76860b19fe1e6b205a4ea7a9099a2f9575d39bb71d49b3e679b299d0efb91",
    "delta-storage-4.0.1.jar": "ecc42c5aaa51c423312d9e4e48aa4a12b34740bf2c37de0e8f279277ec3d12e4",
}

SYSTEM_TRUST_STORE = Path("/etc/ssl/certs/java/cacerts")


@dataclass(frozen=True)
class Artifact:
    """A Maven artifact of the group `io.delta`."""

    name: str
    version: str

    @property
    def file(self) -> str:
        return f"{self.name}-{self.version}.jar"

    @property
    def coordinate(self) -> str:
        return f"io.delta:{self.name}:{self.version}"


def required_jars() -> tuple[Artifact, Artifact]:
    """The jars for the installed versions of pyspark and delta-spark. SessionError if either package is missing."""
    try:
        spark, delta = version("pyspark"), version("delta-spark")
    except PackageNotFoundError as e:
        raise SessionError(
            f"the package {e.name} is not installed", hint=f"a local session needs it: {install_hint('spark')}"
        ) from None
    # Delta 4.0 was built only for Spark 4.0. Since 4.1 there is a jar for each minor version of Spark, named after it.
    built_for = "" if delta.startswith("4.0.") else "_" + ".".join(spark.split(".")[:2])
    return Artifact(f"delta-spark{built_for}_2.13", delta), Artifact("delta-storage", delta)


def delta_jars(env: Mapping[str, str] = os.environ) -> list[Path]:
    """Paths of `required_jars`: in pyspark's folder, in the folders of `$PROCNET_JARS`, or in the cache folder.

    Missing jars are downloaded into the cache folder, as are those that have changed there. Raises SessionError if that
    fails, with the folders searched and the jars that have changed.
    """
    import pyspark

    cache = cache_dir(env) / "jars"
    user_folders = [Path(p) for p in env.get("PROCNET_JARS", "").split(os.pathsep) if p]
    folders = [Path(pyspark.__file__).parent / "jars", *user_folders, cache]
    wanted = required_jars()
    if missing := [a for a in wanted if _usable_jar(a, folders, cache) is None]:
        _download(missing, cache, folders, env)
    return [jar for a in wanted if (jar := find_jar(a, folders))]


def find_jar(artifact: Artifact, folders: Sequence[Path]) -> Path | None:
    """The artifact's first intact jar in the folders, None without one; a truncated jar counts as missing."""
    names = (artifact.file, f"io.delta_{artifact.file}")  # the second is Ivy's naming
    return next((f / n for f in folders for n in names if zipfile.is_zipfile(f / n)), None)


def _usable_jar(artifact: Artifact, folders: Sequence[Path], cache: Path) -> Path | None:
    """The jar that `find_jar` finds; None if it is in the cache folder and has changed there."""
    jar = find_jar(artifact, folders)
    return None if jar is not None and jar.parent == cache and _has_changed(jar, artifact) else jar


def _has_changed(jar: Path, artifact: Artifact) -> bool:
    """Whether a jar differs from the tested one of its version; False for a version that was not tested."""
    expected = SHA256.get(artifact.file)
    return expected is not None and hashlib.sha256(jar.read_bytes()).hexdigest() != expected


def _download(missing: Sequence[Artifact], cache: Path, folders: Sequence[Path], env: Mapping[str, str]) -> None:
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        # In the cache folder, so that the last step is a rename: another process never sees half a jar.
        scratch = temporary_folder("download", cache)
        try:
            problems = _resolve([a.coordinate for a in missing], scratch, env)
            for artifact in missing:
                jar = find_jar(artifact, [scratch / "jars"])
                if jar is None or not _is_intact(jar, artifact):
                    raise _download_error(artifact, folders, problems if jar is None else f"{jar.name} is damaged")
                os.replace(jar, cache / artifact.file)
        finally:
            remove_folder(scratch)
    except OSError as e:
        raise _download_error(missing[0], folders, str(e)) from None


def _download_error(artifact: Artifact, folders: Sequence[Path], why: str) -> SessionError:
    searched = "\n".join(f"  {f}{_changed_note(artifact, f)}" for f in folders)
    return SessionError(
        f"Delta's jar {artifact.file} is in none of these folders, and could not be downloaded from Maven Central:\n"
        f"{searched}\n{why}",
        hint=f"download {artifact.coordinate} on a machine with a network, and set PROCNET_JARS to the folder with it",
    )


def _changed_note(artifact: Artifact, folder: Path) -> str:
    return "" if find_jar(artifact, [folder]) is None else ": the jar there has changed and is not used"


def _resolve(coordinates: Sequence[str], scratch: Path, env: Mapping[str, str]) -> str:
    """Downloads the artifacts into `scratch/jars`; returns the resolver's error lines, empty without one."""
    # Spark's own resolver, in a separate process: the caller's JVM needs the jars when it starts.
    home = launcher_home(find_java(env), env)
    done = subprocess.run(
        [sys.executable, "-c", _RESOLVE, str(scratch), *coordinates],
        env={**env, "JAVA_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_SUBMIT_OPTS": _java_options(env)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return "\n".join(
        line.strip()
        for line in (done.stdout + done.stderr).splitlines()
        if "unresolved" in line or "access error" in line
    )


def _java_options(env: Mapping[str, str]) -> str:
    # A Java from PyPI has its own list of certificate authorities; the authority of a TLS-inspecting proxy is only in
    # the system's list. $SPARK_SUBMIT_OPTS of the user comes later and takes precedence.
    options = env.get("SPARK_SUBMIT_OPTS", "")
    return f"-Djavax.net.ssl.trustStore={SYSTEM_TRUST_STORE} {options}" if SYSTEM_TRUST_STORE.is_file() else options


_RESOLVE = """
import sys
from pyspark.sql import SparkSession
scratch, *coordinates = sys.argv[1:]
config = {"spark.ui.enabled": "false", "spark.jars.ivy": scratch, "spark.sql.warehouse.dir": scratch}
spark = SparkSession.builder.master("local[1]").config(map=config).getOrCreate()
for c in coordinates:
    spark.sql(f"ADD JAR ivy://{c}?transitive=false")
"""


def _is_intact(jar: Path, artifact: Artifact) -> bool:
    if artifact.file in SHA256:
        return not _has_changed(jar, artifact)
    with zipfile.ZipFile(jar) as z:
        return z.testzip() is None
