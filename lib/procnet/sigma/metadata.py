"""Translates the metadata of Sigma rules to keys of a detection file, and notes what such a file has no key for."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

Rule = Mapping[str, Any]
SCORES = {"informational": 10, "low": 25, "medium": 50, "high": 75, "critical": 95}
_SYSMON = ("Sysmon EventID 1", "Sysmon EventID 3")
_OTHERS = ("process_creation", "network_connection")
_IDS = uuid.UUID(
    "7d1ff1f0-4c0e-5a52-9b0a-1a2f63a5f1c9"
)  # namespace of the ids made here, so that they are the same each time
# Keys of a rule that have no counterpart in a detection file.
_WITHOUT_KEY = ("fields", "related", "license", "simulation", "regression_tests_path")
_TECHNIQUE = re.compile(r"attack\.(t\d{4}(?:\.\d{3})?)", re.IGNORECASE)


def notes_on(rule: Rule) -> list[str]:
    """Notes on what a detection file does not express, though it does not change what the rule matches."""
    notes = [f"{key}: a detection has no place for it" for key in _WITHOUT_KEY if rule.get(key)]
    source = rule.get("logsource")
    if isinstance(source, Mapping):
        notes += ["logsource service: not tested, records of all sensors match"] if source.get("service") else []
        notes += [f"the rule needs: {prose(source['definition'])}"] if source.get("definition") else []
    tags = [t for t in _listed([rule], "tags") if not _TECHNIQUE.fullmatch(t)]
    notes += [f"tags {', '.join(tags)}: only ATT&CK techniques are kept"] if tags else []
    if prose(rule.get("level")).lower() not in SCORES:
        notes.append(f"level {rule.get('level')}: scored as medium")
    return notes


def head(rules: Sequence[Rule]) -> dict[str, Any]:
    """The keys before the sections. They name the authors, as the licence of SigmaHQ's rules demands."""
    ids = [_id(r) for r in rules]
    titles = [prose(r.get("title")) or f"Sigma rule {i}" for r, i in zip(rules, ids, strict=True)]
    authors = list(dict.fromkeys(a for r in rules if (a := prose(r.get("author")))))
    descriptions = [prose(r.get("description")) or title for r, title in zip(rules, titles, strict=True)]
    sentences = [d if d.endswith((".", "!", "?")) else f"{d}." for d in descriptions]
    origin = f"From the Sigma rule{'s' * (len(ids) > 1)} {' and '.join(ids)}"
    windows = any((r.get("logsource") or {}).get("product") in ("windows", None) for r in rules)
    return {
        # A pair is another detection than either rule, so it has another id.
        "id": ids[0] if len(ids) == 1 else str(uuid.uuid5(_IDS, " ".join(sorted(ids)))),
        "name": " and ".join(titles),
        "version": 1,
        "status": "experimental",
        "description": " ".join([*sentences, f"{origin}{' by ' + '; '.join(authors) if authors else ''}."]),
        "data_sources": list(_SYSMON if windows else _OTHERS),
    }


def tail(rules: Sequence[Rule], sections: Mapping[str, Any], notes: Sequence[str]) -> dict[str, Any]:
    """The keys after the sections, without the cases; `sections` are the sections by name."""
    title = " and ".join(prose(r.get("title")) for r in rules).replace("{", "{{").replace("}", "}}")
    techniques = [m[1].upper() for t in _listed(rules, "tags") if (m := _TECHNIQUE.fullmatch(t))]
    misses = []
    if "network" not in sections:
        misses.append("A process that makes no connection: the rule is about the start, a finding about a connection.")
    if "process" in sections:
        misses.append("Command line and parent of a process whose start was not recorded, or lies more than 24 h back.")
    misses += [f"Not carried as it stands: {note}." for note in notes]
    return {
        "lookback": "24h",
        "risk": {
            "score": max(SCORES.get(prose(r.get("level")).lower(), SCORES["medium"]) for r in rules),
            "message": f"{{process_name}} on {{host}} connected to {{dest_ip}} port {{dest_port}}: {title}",
            "objects": [{"field": "host", "type": "system"}, {"field": "user", "type": "user"}],
            "threat_objects": [{"field": "process_name", "type": "process_name"},
                               {"field": "dest_ip", "type": "ip_address"}],
        },
        "annotations": {"mitre_attack": list(dict.fromkeys(techniques))},
        "false_positives": "; ".join(_listed(rules, "falsepositives")) or "The rule names none.",
        "misses": " ".join(misses) or "Nothing that the rule itself would find.",
        "references": _listed(rules, "references"),
    }  # fmt: skip


def _id(rule: Rule) -> str:
    try:
        return str(uuid.UUID(str(rule.get("id"))))
    except ValueError:
        return str(uuid.uuid5(_IDS, yaml.safe_dump([rule.get("title"), rule.get("detection")])))


def _listed(rules: Sequence[Rule], key: str) -> list[str]:
    values = [v for r in rules for v in (r[key] if isinstance(r.get(key), list) else [r.get(key)])]
    return list(dict.fromkeys(t for v in values if (t := prose(v))))


def prose(value: object) -> str:
    """The value as text on one line, "" for null."""
    return "" if value is None else " ".join(str(value).split())
