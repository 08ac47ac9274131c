"""Made-up rules like those of SigmaHQ, with every modifier and every trap that is known, from a small vocabulary.

Records have the same words, so that a rule matches some of them and not others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any
from uuid import UUID

Rule = dict[str, Any]
Record = dict[str, Any]

FOLDERS = ("C:\\Windows\\System32\\", "C:\\Users\\ann\\AppData\\Local\\Temp\\", "C:\\Tools\\", "\\\\srv1\\share\\")
NAMES = ("alpha.exe", "beta.exe", "Gamma.exe", "delta.exe")
WORDS = ("-enc", "/c", "-urlcache", "http://x.example/a", "\\\\srv1\\share\\a.dll", "C:\\Users\\ann\\b.ps1", "50%_off",
         "a*b", "what?", "-Silent", "/quiet", "SGVsbG8gV29ybGQ=", "x-y", "UPPER", "dir")  # fmt: skip
LEVELS = ("Low", "Medium", "High", "System")
HOSTS = ("cdn.x.example", "api.y.example", "files.z.test")
ADDRESSES = ("10.0.0.7", "10.200.1.1", "192.168.1.20", "203.0.113.7", "8.8.8.8", "fe80::1", "2001:db8::5", "::1")
PORTS = (22, 80, 443, 445, 8080, 50001)
USERS = ("CORP\\ann", "NT AUTHORITY\\SYSTEM", "CORP\\bob")


def record(rng: Random) -> Record:
    """A start and a connection of it as one record in Sysmon's fields; nothing is unknown."""
    path, parent = (rng.choice(FOLDERS) + rng.choice(NAMES) for _ in range(2))
    return {
        "Image": path, "ParentImage": parent, "OriginalFileName": rng.choice(NAMES),
        "CommandLine": " ".join([path, *rng.sample(WORDS, rng.randint(0, 4))]),
        "ParentCommandLine": " ".join([parent, *rng.sample(WORDS, rng.randint(0, 2))]),
        "User": rng.choice(USERS), "IntegrityLevel": rng.choice(LEVELS), "ProcessId": rng.choice((8, 9, 77)),
        "ParentProcessId": rng.choice((8, 9, 77)), "Hashes": f"SHA1={rng.choice('AB')}0,IMPHASH={rng.choice('CD')}1",
        "SourceIp": rng.choice(ADDRESSES), "SourcePort": rng.choice(PORTS), "DestinationIp": rng.choice(ADDRESSES),
        "DestinationPort": rng.choice(PORTS), "DestinationHostname": rng.choice(HOSTS),
        "Initiated": rng.choice(("true", "false")), "Protocol": rng.choice(("tcp", "udp")),
    }  # fmt: skip


def sigma(text: str) -> str:
    """A plain text as a rule spells it: with four backslashes for two, and escaped wildcards."""
    return text.replace("\\\\", "\\\\\\\\").replace("*", "\\*").replace("?", "\\?")


def rule(detection: Any, category: str = "process_creation", **more: Any) -> Rule:
    """A rule with the keys that every rule has."""
    return {"title": "made", "logsource": {"category": category, "product": "windows"}, "level": "high",
            "detection": detection, "tags": ["attack.t1059.001"], **more}  # fmt: skip


def one(block: Any) -> Rule:
    return rule({"selection": block, "condition": "selection"})


def net(block: Any, category: str = "network_connection") -> Rule:
    return rule({"selection": block, "condition": "selection"}, category)


def _word(r: Random) -> str:
    return sigma(r.choice(WORDS))


def _names(r: Random) -> list[str]:
    return ["\\" + n for n in r.sample(NAMES, 2)]


def _mixed(r: Random, condition: str) -> Rule:
    blocks = {
        "selection": {"Image|endswith": _names(r), "DestinationPort": r.sample(PORTS, 3)},
        "filter_img": {"Image|startswith": r.choice(FOLDERS[:3])},
        "filter_ip": {"DestinationIp|cidr": "10.0.0.0/8"},
    }
    return rule({**blocks, "condition": condition}, "network_connection")


Make = Callable[[Random], "Rule | tuple[Rule, Rule]"]

# Rules that are imported, by kind. Together they have every modifier of a detection file.
IMPORTED: dict[str, Make] = {
    "equal": lambda r: one({"User": sigma(r.choice(USERS)), "IntegrityLevel": r.sample(LEVELS, 2)}),
    "names": lambda r: one([{"Image|endswith": _names(r)}, {"OriginalFileName": r.choice(NAMES).upper()}]),
    "path end": lambda r: one({"Image|endswith": ["\\Temp\\" + r.choice(NAMES), "\\" + r.choice(NAMES)]}),
    "contains": lambda r: one({"CommandLine|contains": [_word(r), _word(r)]}),
    "startswith": lambda r: one({"ParentImage|startswith": r.sample(FOLDERS[:3], 2)}),
    "endswith": lambda r: one({"CommandLine|endswith": [_word(r), _word(r)]}),
    "all": lambda r: one({"CommandLine|contains|all": [sigma(w) for w in r.sample(WORDS, 2)]}),
    "neq": lambda r: one({"Image|endswith": _names(r), "User|neq": [r.choice(USERS), "CORP\\eve"]}),
    "neq contains": lambda r: one({"CommandLine|contains|neq": [_word(r), _word(r)]}),
    "exists": lambda r: one([{"CommandLine|exists": False}, {"User|exists": True, "Image|endswith": _names(r)}]),
    "re": lambda r: one({"CommandLine|re": r.choice((r"-[a-z]+\s/c", r"\.exe\s+-e", r"(enc|urlcache)$", r"UPP.R"))}),
    "re i": lambda r: one({"CommandLine|re|i": r.choice((r"upper$", r"-SILENT", r"[A-Z]:\\tools"))}),
    "re s m": lambda r: one(
        {r.choice(("CommandLine|re|s", "CommandLine|re|m|i")): r.choice((r"^c:.*dir", r"a.*ps1$"))}
    ),
    "cased": lambda r: one({"CommandLine|cased|contains": r.choice(("UPPER", "upper", "-Silent", "-silent"))}),
    "windash": lambda r: one({"CommandLine|windash|contains": [f" {r.choice(('-', '/'))}enc", " -c", "dir"]}),
    "windash two": lambda r: one({"CommandLine|contains|windash": r.choice((" -enc -c", " /quiet -enc", '" -c'))}),
    "windash all": lambda r: one({"CommandLine|contains|all|windash": [" -enc", r.choice((" /c", " -quiet"))]}),
    "base64": lambda r: one({"CommandLine|base64|contains": r.choice(("Hello World", "Hello"))}),
    "base64offset": lambda r: one({"CommandLine|base64offset|contains": r.choice(("World", "ello", "else"))}),
    "wide base64": lambda r: one({"CommandLine|wide|base64offset|contains": [r.choice(("http", "World")), "Hello"]}),
    "wildcards": lambda r: one({"CommandLine|contains": ["Users\\\\*\\b", f"{r.choice(NAMES)}*/?*d"]}),
    "wildcard, backslash": lambda r: one(
        {"Image|startswith": ["C:\\\\*\\AppData\\", "C:\\T?ols\\", r.choice(FOLDERS[:3])]}
    ),
    "equal wildcard": lambda r: one({"CommandLine": [f"*{r.choice(NAMES)}*dir", "*\\b.ps1", "C:\\Tools*"]}),
    "unc": lambda r: one({"CommandLine|contains": sigma(r.choice(("\\\\srv1\\share\\", "\\\\srv1\\")))}),
    "fieldref": lambda r: one({r.choice(("Image", "Image|neq")).replace("Image", "Image|fieldref"): "ParentImage"}),
    "null": lambda r: rule(
        {
            "s": {"Image|endswith": _names(r)},
            "f_a": {"CommandLine": None},
            "f_b": {"User": ""},
            "condition": r.choice(("s and not 1 of f_*", "s or all of f_*")),
        }
    ),
    "numbers": lambda r: one({"ProcessId": [str(r.choice((8, 9))), 77], "ParentProcessId|neq": 8}),
    "gt gte lt lte": lambda r: net(
        [
            {"DestinationPort|gte": r.choice(PORTS), "SourcePort|lt": r.choice(PORTS[1:])},
            {"DestinationPort|gt": r.choice(PORTS[:3]), "SourcePort|lte": r.choice(PORTS)},
        ]
    ),
    "cidr": lambda r: net({"DestinationIp|cidr": [r.choice(("10.0.0.0/8", "192.168.0.0/16")), "fe80::/10"]}),
    "addresses": lambda r: net(
        {"DestinationIp": [r.choice(ADDRESSES[:5]), "::1"], "SourceIp|startswith": ["10.", "192."]}
    ),
    "direction": lambda r: net({"Initiated": r.choice(("true", "false", True)), "Protocol": "TCP"}),
    "host name": lambda r: net({"DestinationHostname|endswith": [".X.example", r.choice(HOSTS)]}),
    "levels": lambda r: one({"IntegrityLevel": ["System", "S-1-16-16384", r.choice(LEVELS)]}),
    "hashes": lambda r: one({"Hashes|contains": ["IMPHASH=C1", f"SHA1={r.choice('AB')}0,"]}),
    "blocks": lambda r: rule(
        {
            "selection_a": {"Image|endswith": _names(r)},
            "selection_b": [{"CommandLine|contains": _word(r)}, {"User": "CORP\\ann"}],
            "filter": {"ParentImage|endswith": _names(r)},
            "condition": r.choice(
                (
                    "all of selection_* and not filter",
                    "1 of selection_* and not (filter)",
                    "all of them",
                    "selection_a and (selection_b or not filter)",
                )
            ),
        }
    ),
    "both sides": lambda r: _mixed(
        r,
        r.choice(
            ("selection and not 1 of filter_*", "all of them", "selection and not filter_img and not (not filter_ip)")
        ),
    ),
    "not a list": lambda r: rule(
        {
            "s": {"Protocol": "tcp"},
            "f": [{"Image|endswith": _names(r)}, {"DestinationIp": r.choice(ADDRESSES[:5])}],
            "condition": "s and not f",
        },
        "network_connection",
    ),
    "pair": lambda r: (
        rule({"s": [{"Image|endswith": _names(r)}, {"CommandLine|contains": _word(r)}], "condition": "1 of them"}),
        rule(
            {
                "s": {"Image|startswith": "C:\\", "DestinationPort": r.sample(PORTS, 3)},
                "f": {"DestinationIp|cidr": "10.0.0.0/8"},
                "condition": "s and not f",
            },
            "network_connection",
        ),
    ),
}

# Rules that are refused, by kind, and a part of the reason.
REFUSED: dict[str, tuple[Make, str]] = {
    "keywords": (lambda r: one(["mimi", _word(r)]), "words without a field"),
    "keyword modifier": (lambda r: one({"|contains": _word(r)}), "words without a field"),
    "field": (
        lambda r: one({"CommandLine|contains": "a", r.choice(("CurrentDirectory", "Company")) + "|contains": "x"}),
        "no canonical column",
    ),
    "expand": (lambda r: one({"User|expand": "%admins%"}), "placeholder"),
    "part of a time": (lambda r: one({f"UtcTime|{r.choice(('hour', 'day'))}": 3}), "no canonical column"),
    "timeframe": (lambda r: rule({"s": {"User": "x"}, "timeframe": "5m", "condition": "s"}), "counts events"),
    "aggregation": (lambda r: rule({"s": {"User": "x"}, "condition": "s | count() by Computer > 5"}), "counts events"),
    "near": (lambda r: rule({"s": {"User": "x"}, "t": {"User": "y"}, "condition": "s near t"}), "near each other"),
    "n of": (lambda r: rule({"s": {"User": "x"}, "t": {"User": "y"}, "condition": "2 of them"}), "no block '2'"),
    "several conditions": (lambda r: rule({"s": {"User": "x"}, "condition": ["s", "not s"]}), "several rules"),
    "no block": (lambda r: rule({"s": {"User": "x"}, "condition": "s and t"}), "no block 't'"),
    "or of both": (lambda r: _mixed(r, "selection or filter_ip"), "one `or` or `not`"),
    "not of both": (lambda r: _mixed(r, "filter_ip and filter_img and not selection"), "one `or` or `not`"),
    "list of both": (
        lambda r: rule({"s": [{"Image": "a", "DestinationPort": 1}], "condition": "s"}, "network_connection"),
        "process and connection at once",
    ),
    "either side": (
        lambda r: rule(
            {"s": [{"Image|endswith": _names(r)}, {"DestinationIp": r.choice(ADDRESSES[:5])}], "condition": "s"},
            "network_connection",
        ),
        "one `or` or `not`",
    ),
    "wide without base64": (lambda r: one({"CommandLine|wide|contains": "x"}), "two bytes"),
    "base64 wildcard": (lambda r: one({"CommandLine|base64|contains": "x*"}), "has no code"),
    "contains base64": (lambda r: one({"CommandLine|contains|base64": "x"}), "must stand before"),
    "number in a text": (lambda r: one({"CommandLine|contains": r.choice((5, True))}), "is no text"),
    "text in a number": (lambda r: net({"DestinationPort": r.choice(("http", 1.5))}), "a whole number"),
    "port begins": (lambda r: net({"DestinationPort|startswith": "4"}), "is a number"),
    "gt on text": (lambda r: one({"User|gt": 5}), "no meaning here"),
    "foreign re": (lambda r: one({"CommandLine|re": r.choice(("(?P<n>a)", "a++"))}), "common subset"),
    "empty list": (lambda r: one({"User": []}), "an empty list"),
    "empty contains": (lambda r: one({"User|contains": ""}), "empty text"),
    "case is lost": (lambda r: net({"DestinationHostname|cased|endswith": ".Example"}), "its case is lost"),
    "IPv6 begins": (lambda r: net({"DestinationIp|startswith": r.choice(("fe80:", "0:0:"))}), "spelled in another way"),
    "URL": (lambda r: one({"CommandLine|contains": "http://x.example/?a"}), "looks like a URL"),
    "backslash, star": (lambda r: one({"CommandLine|contains": "a\\\\\\*b"}), "cannot be written"),
    "many dashes": (lambda r: one({"CommandLine|windash|contains": " -a -b -c -d"}), "more than 3 dashes"),
    "windash, all": (lambda r: one({"CommandLine|windash|contains|all": [" -a -b", " -c"]}), "several spellings"),
    "modifier": (lambda r: one({"CommandLine|contians": "a"}), "no meaning here"),
    "fieldref": (lambda r: one({"Image|fieldref": r.choice(("Company", "DestinationHostname"))}), "fieldref"),
    "same test": (
        lambda r: one({"CommandLine|contains|all": ["a", "b"], "CommandLine|all|contains": ["c", "d"]}),
        "another test",
    ),
    "category": (lambda r: net({"Image": "a"}, r.choice(("file_event", "dns_query"))), "logsource category"),
    "correlation": (
        lambda r: {"title": "made", "correlation": {"type": "temporal_ordered", "rules": ["a", "b"]}},
        "correlation",
    ),
    "two of a kind": (lambda r: (one({"User": "a"}), one({"User": "b"})), "a pair of"),
    "hidden block": (
        lambda r: rule({"s": {"User": "a"}, "_h": {"User": "b"}, "condition": "_h or 1 of them"}),
        "begin with _",
    ),
}


def generated(number: int = 200, seed: int = 11) -> list[tuple[str, Sequence[Rule]]]:
    """(kind, its rule or pair), each kind in turn; a quarter are of kinds that are refused, which begin with `- `."""
    rng = Random(seed)
    imported, refused = list(IMPORTED), list(REFUSED)
    found: list[tuple[str, Sequence[Rule]]] = []
    for n in range(number):
        kind = f"- {refused[n // 4 % len(refused)]}" if n % 4 == 3 else imported[(n - n // 4) % len(imported)]
        make = REFUSED[kind[2:]][0] if n % 4 == 3 else IMPORTED[kind]
        made = make(rng)
        rules = made if isinstance(made, tuple) else (made,)
        for i, r in enumerate(rules):
            r["title"], r["id"] = f"{kind.strip('- ')} {n}{'ab'[i]}", str(UUID(int=rng.getrandbits(128), version=4))
        found.append((kind, rules))
    return found
