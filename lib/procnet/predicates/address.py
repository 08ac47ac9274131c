"""IP addresses in SQL, without a UDF: their canonical spelling, and whether they lie in a network.

An IPv4-mapped IPv6 address (`::ffff:10.0.0.1`) is treated as the IPv4 address: it is spelled as IPv4, and lies in IPv4
networks and in no IPv6 network but a mapped one. The tests compare every result with Python's `ipaddress`.

The IPv4 case is one anchored regular expression and never reaches the IPv6 branch. That one binds its intermediate
values with `_let`: without it the expression has 1,400 nodes, too long a method for generated code.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable

import pyspark.sql.functions as F
from pyspark.sql import Column

from procnet.spark.sql import literal

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Networks without public hosts: IANA's special-purpose registries as the Splunk detections list them, and "this
# network", the unspecified address, the discard prefix and the IPv6 documentation prefix, which that list lacks.
NON_PUBLIC: tuple[str, ...] = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    "::/128", "::1/128", "100::/64", "2001:db8::/32", "fc00::/7", "fe80::/10", "ff00::/8",
)  # fmt: skip

# `\z` instead of `$`: Java's `$` also matches before a final line break.
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_V4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_IS_V4 = rf"^{_V4}\z"
# Not from the middle of a run: of 100,000 digits, which are no address, each would be tried as its start.
_ENDS_IN_V4, _DOTTED = rf":{_V4}\z", r"(?<![0-9.])[0-9.]+\z"
_GROUPS = "[0-9a-f]{1,4}(?::[0-9a-f]{1,4})*"
# Eight groups, or at most seven with one `::`.
_IS_V6 = (
    rf"^(?:(?:[0-9a-f]{{1,4}}:){{7}}[0-9a-f]{{1,4}}"
    rf"|(?!:*(?:[0-9a-f]+:+){{7}}[0-9a-f])(?:{_GROUPS})?::(?:{_GROUPS})?)\z"
)
_MAPPED = "0" * 20 + "ffff"  # the first 96 bits of every IPv4-mapped address


def canonical_address(col: Column) -> Column:
    """The address in its canonical spelling: IPv4 dotted, IPv6 by RFC 5952 without a zone id, IPv4-mapped as IPv4.

    `col` is text in any spelling; spaces around it are ignored. Text that is no address gives null, never an error.
    """
    text = F.trim(col)
    spelled = F.call_function("transform", F.array(text), F.expr(f"t -> {_let(_v6_key('t'), _spelled)}"))[0]
    return F.when(text.rlike(_IS_V4), text).otherwise(spelled)


def in_network(address: str, *networks: str) -> str:
    """SQL that says whether an address lies in one of the networks (`10.0.0.0/8`, `fe80::/10`); null for no address.

    `address` is an SQL expression. All networks of a family become one regular expression, so that thirty networks cost
    as much as one. ValueError for a text that is no network.
    """
    nets = [parse_network(n) for n in networks]
    text, v4 = f"trim({address})", _v4_pattern([n for n in nets if n.version == 4])
    in_v4 = f"WHEN {_like(text, v4)} THEN true " if v4 else ""
    return f"CASE {in_v4}WHEN {_like(text, _IS_V4)} THEN false ELSE {_like(_v6_key(text), _key_pattern(nets))} END"


def parse_network(text: str) -> Network:
    """The network that a text such as `10.0.0.0/8` names, an IPv4-mapped one as IPv4.

    ValueError for another text; where host bits are set, it names the network that the address lies in.
    """
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        try:
            right = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise ValueError(
                f"{text!r} is no network: write an address and a prefix length, such as 10.0.0.0/8"
            ) from None
        raise ValueError(f"{text!r} has bits set behind its prefix: the network is {right}") from None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= 96:
        return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network


def _v6_key(text: str) -> str:
    """The address as 32 lower-case hex digits; null if `text` is no IPv6 address."""
    return _let(_let(_replaced(f"lower({text})", r"%[^%/]+\z", ""), _without_dots), _key_of_groups)


def _without_dots(text: str) -> str:
    last = f"substring_index({text}, ':', -1)"
    # try_cast, because in ANSI mode a cast may be evaluated in a branch that is not taken, and raise.
    octets = ", ".join(f"try_cast(split_part({last}, '.', {n}) AS INT)" for n in (1, 2, 3, 4))
    groups = f"concat({_replaced(text, _DOTTED, '')}, format_string('%02x%02x:%02x%02x', {octets}))"
    return f"CASE WHEN {_like(text, _ENDS_IN_V4)} THEN {groups} ELSE {text} END"


def _key_of_groups(text: str) -> str:
    # Pads every group to four digits and removes single colons: the digits before and after `::` remain.
    padded = _replaced(_replaced(text, r"\b([0-9a-f]{1,3})\b", "000$1"), r"\b0+([0-9a-f]{4})\b", "$1")
    digits = _replaced(padded, "(?<!:):(?!:)", "")
    head, rest = _replaced(digits, "::.*", ""), _replaced(digits, "^[0-9a-f]*(?:::)?", "")
    return f"CASE WHEN {_like(text, _IS_V6)} THEN overlay(lpad({rest}, 32, '0'), {head}, 1) END"


def _spelled(key: str) -> str:
    octets = ", ".join(f"conv(substring({key}, {at}, 2), 16, 10)" for at in (25, 27, 29, 31))
    mapped = f"startswith({key}, '{_MAPPED}')"
    return f"CASE WHEN {mapped} THEN concat_ws('.', {octets}) ELSE {_compressed(key)} END"


def _compressed(key: str) -> str:
    groups = _replaced(_replaced(key, "(.{4})(?!$)", "$1:"), r"\b0{1,3}(?=[0-9a-f])", "")
    # Matches the first run of two or more zero groups that no longer run follows: the longest, the leftmost of equals.
    return _replaced(groups, r"^(.*?):?\b(0(?::0)+)\b(?!.*\b\2:0\b):?(.*)$", "$1::$3")


def _like(text: str, pattern: str) -> str:
    return f"rlike({text}, {literal(pattern)})"


def _replaced(text: str, pattern: str, by: str) -> str:
    return f"regexp_replace({text}, {literal(pattern)}, {literal(by)})"


def _v4_pattern(networks: Iterable[Network]) -> str:
    """A pattern for the addresses of the IPv4 networks in dotted spelling, "" without networks."""
    patterns = []
    for network in networks:
        whole, bits = divmod(network.prefixlen, 8)
        octets = network.network_address.packed
        parts = [str(o) for o in octets[:whole]]
        if bits:
            parts.append("(?:" + "|".join(str(o) for o in range(octets[whole], octets[whole] + 2 ** (8 - bits))) + ")")
        patterns.append(r"\.".join(parts + [_OCTET] * (4 - len(parts))))
    return rf"^(?:{'|'.join(patterns)})\z" if patterns else ""


def _key_pattern(networks: Iterable[Network]) -> str:
    """A pattern for the addresses of the networks as `_v6_key` gives them. A mapped one lies in IPv4 networks only."""
    patterns = []
    for network in networks:
        digits = network.network_address.packed.hex()
        whole, bits = divmod(network.prefixlen, 4)
        prefix = digits[:whole]
        if bits:
            first = int(digits[whole], 16)
            prefix += "[" + "".join(f"{d:x}" for d in range(first, first + 2 ** (4 - bits))) + "]"
        patterns.append(_MAPPED + prefix if network.version == 4 else f"(?!{_MAPPED}){prefix}")
    return f"^(?:{'|'.join(patterns)})"


def _let(value: str, use: Callable[[str], str]) -> str:
    """`use(value)`, with `value` evaluated once even if `use` refers to it several times."""
    return f"transform(array({value}), v -> {use('v')})[0]"
