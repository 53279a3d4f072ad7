"""YAML between this program, which uses PyYAML (YAML 1.1), and programs in Go, whose readers follow other rules.

For Go, ``1e3`` and ``09`` are numbers, and for Kubernetes ``y`` is true; PyYAML writes all three without quotes.
https://github.com/go-yaml/yaml/blob/v3.0.1/resolve.go
"""

import re
from datetime import datetime
from typing import Any

import yaml

CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), "null"),
    **dict.fromkeys(("true", "True", "TRUE", "false", "False", "FALSE"), "bool"),
}
"""Texts that stand for a constant, with its kind."""
INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
"""A whole number, without underscores."""
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
"""A number with a point or an exponent, without underscores."""
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_BASES = {"0x": 16, "0b": 2, "0o": 8}
_BOOLEANS = {"y", "Y", "n", "N"}
_NUMBERS = {*"0123456789+-."}
_LONGEST_NUMBER = 1000
_TIME = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)(?:[Tt ](\d\d?):(\d\d?):(\d\d?)(?:\.(\d{1,9}))?(Z|[-+]\d\d:\d\d)?)?", re.ASCII
)


def kind(text: str) -> str:
    """What an unquoted ``text`` is for Go: str, int, float, bool, null or timestamp."""
    if text in CONSTANTS:
        return CONSTANTS[text]
    if _NOT_FINITE.fullmatch(text):
        return "float"
    # Go looks at the first character before it removes underscores.
    if not text[0].isascii() or not (text[0].isdigit() or text[0] in "+-."):
        return "str"
    if time_text(text):
        return "timestamp"
    # A text that begins with a point may have no underscores.
    plain = text if text[0] == "." else text.replace("_", "")
    if INTEGER.fullmatch(plain) and -(2**63) <= whole_number(plain) < 2**64:
        return "int"
    return "float" if FLOAT.fullmatch(plain) and float(plain) not in {float("inf"), float("-inf")} else "str"


def whole_number(text: str) -> int:
    """The number that `INTEGER` matches in ``text``."""
    digits = text.lstrip("+-").lower()
    return int(text, _BASES.get(digits[:2], 8 if digits.startswith("0") else 10))


def time_text(text: str) -> str:
    """``text`` as Go prints a time; empty if it is none."""
    match = _TIME.fullmatch(text)
    if not match:
        return ""
    *numbers, fraction, zone = match.groups()
    if zone and " " in text:
        return ""
    try:
        date = datetime(*(int(number or 0) for number in numbers))  # type: ignore[arg-type]
    except ValueError:
        return ""
    fraction = fraction.rstrip("0") if fraction else ""
    offset = f"{zone.replace(':', '')} {zone.replace(':', '')}" if zone and zone != "Z" else "+0000 UTC"
    return f"{date:%Y-%m-%d %H:%M:%S}{f'.{fraction}' if fraction else ''} {offset}"


def represent_text(dumper: yaml.representer.SafeRepresenter, text: str) -> yaml.Node:
    """``text`` with quotes if Go would read something else without them; for ``add_representer``."""
    quoted = len(text) < _LONGEST_NUMBER and (text in _BOOLEANS or (text[:1] in _NUMBERS and kind(text) != "str"))
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'" if quoted else None)


class Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, for readers in Go."""


# PyYAML's dumper in C, if PyYAML was built with it, is fifty times as fast. It wraps long texts differently.
FastDumper: Any = type("FastDumper", (getattr(yaml, "CSafeDumper", yaml.SafeDumper),), {})
"""The same, but faster."""

Dumper.add_representer(str, represent_text)
FastDumper.add_representer(str, represent_text)


def dump(data: Any, sort_keys: bool = True) -> str:
    """``data`` as YAML that programs in Go read as it is."""
    return str(yaml.dump(data, Dumper=Dumper, sort_keys=sort_keys))
