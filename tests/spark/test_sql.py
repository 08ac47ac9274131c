"""What a scan is asked first."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from procnet.spark.sql import among


@pytest.mark.parametrize(
    ("values", "asked"),
    [
        ([2, 1, 2], "(x IN (1, 2))"),
        (["a"], "(x = 'a')"),
        (["a", None], "(x = 'a' OR x IS NULL)"),
        ([None], "(x IS NULL)"),
        ([], "(false)"),
        ([1, 2, 3, 4], "true"),
    ],
)
def test_a_first_question_leaves_out_no_value(values: Sequence[int | str | None], asked: str) -> None:
    assert among("x", values, most=3) == asked
