"""procnet: which process, on which host, talked to where, and should it have?

The names below are the public ones, for notebooks and jobs; the rest is private by place. They are loaded when first
used, so that `import procnet` starts nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from procnet.attribution.attribute import attribute_connections
    from procnet.detections.catalog import load_detections
    from procnet.errors import ConfigError, DataError, PartlyDone, ProcnetError, UsageError, WindowFailed
    from procnet.findings.rows import findings_cim
    from procnet.periods import Window
    from procnet.runs.backfill import backfill
    from procnet.runs.detect import detect
    from procnet.settings import Settings, load_settings
    from procnet.sources.normalize import normalize

_HOMES = {
    "attribute_connections": "procnet.attribution.attribute",
    "backfill": "procnet.runs.backfill",
    "detect": "procnet.runs.detect",
    "findings_cim": "procnet.findings.rows",
    "load_detections": "procnet.detections.catalog",
    "load_settings": "procnet.settings",
    "normalize": "procnet.sources.normalize",
    "Settings": "procnet.settings",
    "Window": "procnet.periods",
    **dict.fromkeys(
        ("ConfigError", "DataError", "PartlyDone", "ProcnetError", "UsageError", "WindowFailed"), "procnet.errors"
    ),
}

__all__ = [
    "ConfigError",
    "DataError",
    "PartlyDone",
    "ProcnetError",
    "Settings",
    "UsageError",
    "Window",
    "WindowFailed",
    "attribute_connections",
    "backfill",
    "detect",
    "findings_cim",
    "load_detections",
    "load_settings",
    "normalize",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'procnet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
