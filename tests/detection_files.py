"""Minimal detection files, for tests that change one thing in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from procnet.detections.detection import Detection, detection_of
from procnet.detections.schema import DetectionFile

Values = dict[str, Any]


def values(number: int = 1, **changes: Any) -> Values:
    """The keys of a valid file whose id has this number, with changes; a key that is changed to None is left out."""
    valid: Values = {
        "id": f"{number:08d}-0000-4000-8000-000000000000",
        "name": f"detection {number}",
        "version": 1,
        "status": "experimental",
        "description": "a test",
        "process": {"image": {"process_name": "msiexec.exe"}, "condition": "image"},
        "network": {"web": {"dest_port": [80, 443]}, "condition": "web"},
        "lookback": "24h",
        "risk": {"score": 35, "message": "{process_name} on {host}", "objects": [{"field": "host", "type": "system"}]},
        "false_positives": "none",
        "misses": "all else",
        "cases": [{"name": "a connection", "connections": [{"at": "10:00:00"}], "expect": "none"}],
    }
    return {k: v for k, v in {**valid, **changes}.items() if v is not None}


def detection(number: int = 1, **changes: Any) -> Detection:
    """The detection of such a file."""
    resolved, problems = detection_of(DetectionFile.model_validate(values(number, **changes)), Path(f"{number}.yml"))
    assert resolved is not None, problems
    return resolved


def write(folder: Path, name: str, content: Values | str) -> Path:
    """A detection file of these keys, or of this text."""
    file = folder / name
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return file
