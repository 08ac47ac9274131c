"""The locale of Spark's Java: the one that a session starts with, and a check of a session that runs already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from procnet.errors import SessionError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# The JVM's locale: Spark's lower() and ILIKE follow it for text beyond ASCII. Measured: Turkish, Azerbaijani and
# Lithuanian give other letters than Python; formats of numbers and times are the same in every locale.
LOCALE = "-Duser.language=en -Duser.country=US -Duser.language.format=en -Duser.country.format=US"
# Its lower case is the same everywhere except in those three languages. As a query over a row, an executor computes it.
_LOCALE_PROBE = "SELECT lower(concat('\u00c9I\u00cc', if(id < 0, '?', ''))) FROM range(0, 1, 1, 1)"
_LOWER_CASE = "\u00e9i\u00ec"
_checked: set[str] = set()  # applications


def check_locale(session: SparkSession) -> None:
    """SessionError where the session's lower case is not Python's; one query of 0.05 s for each application."""
    application = str(session.conf.get("spark.app.id", None))
    if application in _checked:
        return
    (row,) = session.sql(_LOCALE_PROBE).collect()
    if row[0] != _LOWER_CASE:
        raise SessionError(
            f"the session's Java has a locale in which lower('\u00c9I\u00cc') is {row[0]!r}, not {_LOWER_CASE!r}: "
            "detections would miss records",
            hint="start the driver and the executors with another locale: set spark.driver.extraJavaOptions and "
            f'spark.executor.extraJavaOptions to "{LOCALE}"',
        )
    _checked.add(application)
