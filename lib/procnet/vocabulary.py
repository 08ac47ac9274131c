"""Facts of the field, each once: words for an unknown value, protocol names, integrity levels, severities."""

from __future__ import annotations


def severity(score: int) -> str:
    """Splunk ES's band of a risk score: up to 20 informational, 40 low, 60 medium, 80 high, 100 critical."""
    bands = ((20, "informational"), (40, "low"), (60, "medium"), (80, "high"))
    return next((name for top, name in bands if score <= top), "critical")


# What sensors write for "not known". The spelling with entities comes from event XML that was never unescaped.
NULL_WORDS = ("", "-", "null", "unknown", "<unknown process>", "&lt;unknown process&gt;")


# IANA protocol numbers, as Security 5156 and flow records give them.
PROTOCOLS = {"1": "icmp", "2": "igmp", "6": "tcp", "17": "udp", "41": "ipv6", "47": "gre", "58": "ipv6-icmp"}


# Mandatory labels (Security 4688): the last number of the SID is the level; 8448 is "medium plus".
INTEGRITY_LEVELS = {
    "s-1-16-4096": "low",
    "s-1-16-8192": "medium",
    "s-1-16-8448": "medium",
    "s-1-16-12288": "high",
    "s-1-16-16384": "system",
}
