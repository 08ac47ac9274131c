"""Facts of the field, each stated once: severities, words for an unknown value, protocols, integrity levels, and how
the values of canonical columns are cleaned."""

from __future__ import annotations

# Splunk ES's bands of a risk score: the highest score of a band, and its name.
SEVERITY_BANDS = ((20, "informational"), (40, "low"), (60, "medium"), (80, "high"), (100, "critical"))

# What Sysmon writes for the image of a process that it does not know. The second spelling comes from event XML whose
# entities were never resolved.
UNKNOWN_PROCESS = ("<unknown process>", "&lt;unknown process&gt;")
# What sensors write for an unknown value, in lower case. A canonical column holds null instead.
NULL_WORDS = ("", "-", "null", "unknown", *UNKNOWN_PROCESS)
# Characters cut from the ends of every text but a command line.
BLANKS = " \t\r\n"

# IANA protocol numbers, as Security 5156 and flow records give them. Other numbers stay as they are.
PROTOCOLS = {"1": "icmp", "2": "igmp", "6": "tcp", "17": "udp", "41": "ipv6", "47": "gre", "58": "ipv6-icmp"}

# Types of DNS records by number (IANA). Other numbers stay as they are.
DNS_TYPES = {
    "1": "A", "2": "NS", "5": "CNAME", "6": "SOA", "12": "PTR", "13": "HINFO", "15": "MX", "16": "TXT", "28": "AAAA",
    "33": "SRV", "35": "NAPTR", "41": "OPT", "43": "DS", "46": "RRSIG", "47": "NSEC", "48": "DNSKEY", "52": "TLSA",
    "64": "SVCB", "65": "HTTPS", "251": "IXFR", "252": "AXFR", "255": "ANY", "*": "ANY", "257": "CAA",
}  # fmt: skip
_RESPONSE_CODES = (
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH",
    "NOTZONE",
)  # fmt: skip
# Response codes of DNS by number (IANA); by the Windows error that stands for one, as Sysmon and the DNS client write
# it (9000 and the code; 9501 says that the name has no records of the type); and by OCSF's captions, in upper case.
# Other words and numbers stay as they are, such as 9701, no record, and 1460, a timeout.
RESPONSE_CODES = {
    **{str(n): name for n, name in enumerate(_RESPONSE_CODES)},
    **{str(9000 + n): name for n, name in enumerate(_RESPONSE_CODES) if n},
    "9501": "NOERROR", "FORMERROR": "FORMERR", "SERVERROR": "SERVFAIL",
}  # fmt: skip

# Mandatory labels by SID (Security 4688), in lower case: the last number is the level, and 8448 is "medium plus".
INTEGRITY_LEVELS = {
    "s-1-16-4096": "low",
    "s-1-16-8192": "medium",
    "s-1-16-8448": "medium",
    "s-1-16-12288": "high",
    "s-1-16-16384": "system",
}
# Mandatory labels by name, in lower case, as Splunk's XML has them: `Mandatory Label\Medium Plus Mandatory Level`.
INTEGRITY_LABEL = r"^mandatory label\\(\w+)( plus)? mandatory level$"

# Process ids of Windows (a DWORD) without 0, the idle process, which sensors write for an unknown one; ports.
PROCESS_IDS = (1, 2**32 - 1)
PORTS = (0, 65535)

# Columns by how their values are cleaned. Blanks at the ends of a command line are evidence and stay.
COMMAND_LINE_COLUMNS = frozenset({"command_line", "parent_command_line"})
ADDRESS_COLUMNS = frozenset({"src_ip", "dest_ip"})
# Names that a process asked for, or a client wrote into a handshake.
NAME_COLUMNS = frozenset({"query_name", "dest_name", "server_name"})
LOWER_CASE_COLUMNS = NAME_COLUMNS | {
    "host", "process_name", "parent_process_name", "integrity_level", "dest_host", "transport", "direction", "action",
    "app", "protocol_version",
}  # fmt: skip
# Columns of a path, with the column of its base name.
BASE_NAMES = {"process_path": "process_name", "parent_process_path": "parent_process_name"}
# A host name contains no colon and does not consist of digits and dots.
ADDRESS_LIKE = r"^[0-9.]+$|:"


def severity(score: int) -> str:
    """The severity of a risk score, 1 to 100."""
    return next(name for highest, name in SEVERITY_BANDS if score <= highest)
