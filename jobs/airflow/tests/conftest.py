"""Sets up an Airflow for the tests: a temporary home, a SQLite database, copies of the shipped DAGs.

Airflow reads its environment when it is imported, so the environment is set here, before any test is imported.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
HOME = Path(tempfile.mkdtemp(prefix="procnet-airflow-"))
CALLS = HOME / "calls"

for name in [n for n in os.environ if n.startswith(("AIRFLOW", "PROCNET_RUNS", "PROCNET_SINCE", "PROCNET_DELAY"))]:
    del os.environ[name]
os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(HOME / "dags"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW_CONN_SPARK_DEFAULT": '{"conn_type": "spark", "host": "local[1]"}',
    "NO_COLOR": "1",
    "PATH": f"{HOME / 'bin'}:{os.environ['PATH']}",
    "CASES_PROGRAM": str(HOME / "bin" / "exits"),
}

# In place of procnet and spark-submit: writes its arguments, one a line, and exits with the code that they name.
EXITS = f"""#!{sys.executable}
import re, sys
with open({str(CALLS)!r}, "a") as f:
    f.write("\\n".join(sys.argv[1:]) + "\\n\\n")
print("printed by the program")
sys.exit(int(re.search(r"exit-(\\d+)|$", " ".join(sys.argv[1:]))[1] or 0))
"""


def pytest_configure() -> None:
    shutil.copytree(HERE.parent, HOME / "dags", ignore=shutil.ignore_patterns("tests", "__pycache__"))
    shutil.copy(HERE / "dags" / "cases.py", HOME / "dags")
    (HOME / "bin").mkdir()
    for name in ("exits", "spark-submit"):
        (HOME / "bin" / name).write_text(EXITS)
        (HOME / "bin" / name).chmod(0o755)


def pytest_unconfigure() -> None:
    shutil.rmtree(HOME, ignore_errors=True)


def airflow(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of Airflow; stdout and stderr are one text."""
    return subprocess.run(
        [sys.executable, "-m", "airflow", *words], env=os.environ | env, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip


def calls() -> list[list[str]]:
    """Returns the arguments of each call of the EXITS program since this function was last called."""
    text = CALLS.read_text() if CALLS.exists() else ""
    CALLS.unlink(missing_ok=True)
    return [part.split("\n") for part in text.split("\n\n") if part]


@pytest.fixture(scope="session")
def database() -> None:
    done = airflow("db", "migrate")
    assert done.returncode == 0, done.stdout
