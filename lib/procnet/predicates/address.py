"""IP addresses as Column functions, no UDF: one spelling, a key that sorts, membership in networks.

Both families. An IPv4-mapped IPv6 address (`::ffff:10.0.0.1`) IS the IPv4 address: it is spelled so, keyed so, held by
IPv4 networks, and by no IPv6 network that is not itself mapped. Python's `ipaddress` is the judge in the tests.

The IPv4 case is one anchored regular expression and never reaches the IPv6 branch, which binds its intermediate
values with `_let`: written out, it is an expression of 1,400 nodes, too long a method for generated code.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable

import pyspark.sql.functions as F
from pyspark.sql import Column

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Destinations at which no public host answers: IANA's special-purpose registries as the family of detections lists
# them, and "this network", the unspecified address, the discard prefix and IPv6 documentation, which that list forgets.
NON_PUBLIC: tuple[str, ...] = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    "::/128", "::1/128", "100::/64", "2001:db8::/32", "fc00::/7", "fe80::/10", "ff00::/8",
)  # fmt: skip

# `\z` and not `$`: Java's `$` also matches before a final line break.
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_V4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_IS_V4 = rf"^{_V4}\z"
_GROUPS = "[0-9a-f]{1,4}(?::[0-9a-f]{1,4})*"
# Eight groups, or at most seven with one `::`.
_IS_V6 = (
    rf"^(?:(?:[0-9a-f]{{1,4}}:){{7}}[0-9a-f]{{1,4}}"
    rf"|(?!:*(?:[0-9a-f]+:+){{7}}[0-9a-f])(?:{_GROUPS})?::(?:{_GROUPS})?)\z"
)
_MAPPED = "0" * 20 + "ffff"  # the first 96 bits of every IPv4-mapped address


def canonical_address(col: Column) -> Column:
    """An address in its one spelling: IPv4 dotted, IPv6 after RFC 5952 without a zone id, IPv4-mapped as IPv4.

    `col` is text in any spelling, spaces around it allowed. Anything that is not an address is null; nothing is raised.
    """
    text = F.trim(col)
    return F.when(text.rlike(_IS_V4), text).otherwise(_let(_v6_key(text), _spelled))


def address_key(col: Column) -> Column:
    """128 bits as 32 lower-case hex digits, which sort as the addresses do; IPv4 as IPv4-mapped; null if no address."""
    text = F.trim(col)
    return F.when(text.rlike(_IS_V4), _v4_key(text)).otherwise(_v6_key(text))


def in_network(col: Column, *networks: str) -> Column:
    """Whether the address lies in any of the networks (`10.0.0.0/8`, `fe80::/10`); null where it is no address.

    Compiled to one pattern a family, so that thirty networks cost what one does. ValueError for what is no network.
    """
    nets = [parse_network(n) for n in networks]
    v4 = _v4_pattern([n for n in nets if n.version == 4])
    key = _v6_key(F.trim(col))
    held = F.when(F.trim(col).rlike(v4), True) if v4 else F
    return (
        held.when(F.trim(col).rlike(_IS_V4), False)
        .otherwise(key.rlike(_key_pattern(nets)))
    )  # fmt: skip


def is_public(col: Column) -> Column:
    """Whether the address lies in none of NON_PUBLIC; null where it is no address, so that no row is lost by it."""
    return ~in_network(col, *NON_PUBLIC)


def parse_network(text: str) -> Network:
    """`10.0.0.0/8` as a network, a mapped one as IPv4. ValueError names the right network where host bits are set."""
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


def _v4_key(dotted: Column) -> Column:
    return F.format_string("0" * 20 + "ffff%02x%02x%02x%02x", *_octets(dotted))


def _octets(dotted: Column) -> list[Column]:
    # try_cast: in ANSI mode a cast in a branch that is not taken may still be evaluated, and raise.
    return [F.split_part(dotted, F.lit("."), F.lit(n)).try_cast("int") for n in (1, 2, 3, 4)]


def _v6_key(text: Column) -> Column:
    return _let(_let(F.regexp_replace(F.lower(text), r"%[^%/]+\z", ""), _without_dots), _key_of_groups)


def _without_dots(text: Column) -> Column:
    tail = F.format_string("%02x%02x:%02x%02x", *_octets(F.substring_index(text, ":", -1)))
    return F.when(text.rlike(rf":{_V4}\z"), F.concat(F.regexp_replace(text, r"[0-9.]+\z", ""), tail)).otherwise(text)


def _key_of_groups(text: Column) -> Column:
    # Every group to four digits, then single colons out: what is left is the digits before and after `::`.
    padded = F.regexp_replace(F.regexp_replace(text, r"\b([0-9a-f]{1,3})\b", "000$1"), r"\b0+([0-9a-f]{4})\b", "$1")
    digits = F.regexp_replace(padded, "(?<!:):(?!:)", "")
    head, rest = F.regexp_replace(digits, "::.*", ""), F.regexp_replace(digits, "^[0-9a-f]*(?:::)?", "")
    return F.when(text.rlike(_IS_V6), F.overlay(F.lpad(rest, 32, "0"), head, 1))


def _spelled(key: Column) -> Column:
    octets = [F.conv(F.substring(key, at, 2), 16, 10) for at in (25, 27, 29, 31)]
    return F.when(key.startswith(_MAPPED), F.concat_ws(".", *octets)).otherwise(_compressed(key))


def _compressed(key: Column) -> Column:
    groups = F.regexp_replace(F.regexp_replace(key, "(.{4})(?!$)", "$1:"), r"\b0{1,3}(?=[0-9a-f])", "")
    # The first run of two or more zero groups after which no longer one comes: the longest, the leftmost of equals.
    return F.regexp_replace(groups, r"^(.*?):?\b(0(?::0)+)\b(?!.*\b\2:0\b):?(.*)$", "$1::$3")


def _v4_pattern(networks: Iterable[Network]) -> str:
    """A pattern over dotted text that matches the addresses of the IPv4 networks, "" for none."""
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
    """A pattern over `address_key` that matches the addresses of the networks; a mapped address is IPv4 only."""
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


def _let(value: Column, use: Callable[[Column], Column]) -> Column:
    """`use(value)` with `value` evaluated once, however often `use` names it."""
    return F.transform(F.array(value), use)[0]
