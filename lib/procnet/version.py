"""The version of this package, as installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def package_version() -> str:
    """`0.1.0`, or `0+unknown` where procnet runs from a folder that was never installed."""
    try:
        return version("procnet")
    except PackageNotFoundError:
        return "0+unknown"
