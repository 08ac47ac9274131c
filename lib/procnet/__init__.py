"""procnet joins process creations with network connections over a security data lake, and evaluates detections on them.

The names of `__all__` are the public API, for notebooks and jobs; modules and their other names are internal. A name is
imported when it is first used, so `import procnet` does not import Spark.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from procnet.api import backfill, detect, ingest, load_detections
    from procnet.attribution.attribute import attribute_connections
    from procnet.attribution.flows import attribute_flows
    from procnet.errors import ConfigError, DataError, PartlyDone, ProcnetError, UsageError, WindowFailed
    from procnet.findings.rows import findings_cim
    from procnet.periods import Window
    from procnet.settings import Settings, load_settings
    from procnet.sources.normalize import normalize
    from procnet.spark.session import open_session

_MODULES = {
    "attribute_connections": "procnet.attribution.attribute",
    "attribute_flows": "procnet.attribution.flows",
    "backfill": "procnet.api",
    "detect": "procnet.api",
    "findings_cim": "procnet.findings.rows",
    "ingest": "procnet.api",
    "load_detections": "procnet.api",
    "load_settings": "procnet.settings",
    "normalize": "procnet.sources.normalize",
    "open_session": "procnet.spark.session",
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
    "attribute_flows",
    "backfill",
    "detect",
    "findings_cim",
    "ingest",
    "load_detections",
    "load_settings",
    "normalize",
    "open_session",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'procnet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
