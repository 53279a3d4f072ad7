"""Reads YAML like Pulumi, whose reader (yaml.v3 of Go) follows YAML 1.2, while PyYAML follows YAML 1.1.

For example, ``yes`` and ``1:30`` are text, ``1e3`` is a number, and ``010`` is 8.
https://github.com/go-yaml/yaml/blob/v3.0.1/resolve.go
"""

import base64
from decimal import Decimal
from typing import Any

import yaml

from settings import go_yaml
from settings.messages.shown import is_harmless

# Pulumi stores larger integers as floating-point numbers.
_LARGEST_INTEGER = 2**63 - 1
_PREFIX = "tag:yaml.org,2002:"


class StackYamlError(yaml.MarkedYAMLError):
    """YAML that Pulumi rejects. Unlike the messages of PyYAML, this one quotes no value."""


class StackYamlLoader(yaml.SafeLoader):
    """A safe YAML loader that gives the values Pulumi reads, and rejects duplicate keys."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next node. An anchor may be set again, which PyYAML rejects."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if not isinstance(event, yaml.AliasEvent):
            self.anchors.pop(getattr(event, "anchor", None), None)
        return super().compose_node(parent, index)

    def resolve(self, kind: type[yaml.Node], value: str, implicit: Any) -> str:
        """Return the tag of a node. Only plain scalars have another one than in YAML 1.1."""
        if kind is yaml.ScalarNode and implicit[0]:
            return _PREFIX + go_yaml.kind(value)
        return str(super().resolve(kind, value, (False, True)))  # type: ignore[no-untyped-call]


def _mapping(loader: StackYamlLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value == "<<":
            key.tag = f"{_PREFIX}merge"
    merges = [key for key, _ in node.value if key.tag == f"{_PREFIX}merge"]
    seen: dict[str, yaml.Mark] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise StackYamlError(problem="a key is a list or a map", problem_mark=key.start_mark)
        name = "<<" if key in merges else number_text(loader.construct_object(key))
        if name in seen:
            described = name if is_harmless(name) else "a key"
            raise StackYamlError(problem=f"{described} is set twice", problem_mark=seen[name])
        seen[name] = key.start_mark
    loader.flatten_mapping(node)
    # Keys become text here: for Python, 1 and true are the same key.
    pairs = [(loader.construct_object(key), loader.construct_object(value, deep=True)) for key, value in node.value]
    return {number_text(key): value for key, value in pairs}


def _bool(_loader: StackYamlLoader, node: yaml.ScalarNode) -> bool:
    if go_yaml.CONSTANTS.get(node.value) != "bool":
        raise StackYamlError(problem="a value is not true or false", problem_mark=node.start_mark)
    return str(node.value).lower() == "true"


def _int(_loader: StackYamlLoader, node: yaml.ScalarNode) -> int | float:
    plain = node.value.replace("_", "").lower()
    if not go_yaml.INTEGER.fullmatch(plain):
        raise StackYamlError(problem="a value is not a whole number", problem_mark=node.start_mark)
    number = go_yaml.whole_number(plain)
    # Beyond 64 bits, Go continues with a floating-point number.
    return number if -(2**63) <= number < 2**64 else float(number)


def _float(_loader: StackYamlLoader, node: yaml.ScalarNode) -> float:
    plain = node.value.replace("_", "")
    if not go_yaml.FLOAT.fullmatch(plain):
        raise StackYamlError(problem="a value is not a finite number", problem_mark=node.start_mark)
    return float(plain)


def _null(_loader: StackYamlLoader, node: yaml.ScalarNode) -> None:
    if go_yaml.CONSTANTS.get(node.value) != "null":
        raise StackYamlError(problem="a value is not null", problem_mark=node.start_mark)


def _text(_loader: StackYamlLoader, node: yaml.ScalarNode) -> str:
    return _valid(go_yaml.time_text(node.value) or node.value, node)


def _binary(_loader: StackYamlLoader, node: yaml.ScalarNode) -> str:
    try:
        return base64.b64decode("".join(node.value.split()), validate=True).decode()
    except ValueError:
        raise StackYamlError(problem="a value is not text in base64", problem_mark=node.start_mark) from None


def _valid(text: str, node: yaml.Node) -> str:
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise StackYamlError(problem="a value has half a character", problem_mark=node.start_mark)
    return text


def _untagged(loader: StackYamlLoader, node: yaml.Node) -> Any:
    """Return a value whose tag Pulumi ignores."""
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return _valid(node.value, node)


StackYamlLoader.add_constructor(f"{_PREFIX}map", _mapping)
StackYamlLoader.add_constructor(f"{_PREFIX}bool", _bool)
StackYamlLoader.add_constructor(f"{_PREFIX}int", _int)
StackYamlLoader.add_constructor(f"{_PREFIX}float", _float)
StackYamlLoader.add_constructor(f"{_PREFIX}timestamp", _text)
StackYamlLoader.add_constructor(f"{_PREFIX}null", _null)
StackYamlLoader.add_constructor(f"{_PREFIX}binary", _binary)
StackYamlLoader.add_constructor(f"{_PREFIX}str", _untagged)
for _tag in ("set", "omap", "pairs"):
    StackYamlLoader.add_constructor(f"{_PREFIX}{_tag}", _untagged)
StackYamlLoader.add_multi_constructor("!", lambda loader, _suffix, node: _untagged(loader, node))


def number_text(value: Any) -> str:
    """Return a scalar as Pulumi writes it: ``1e3`` is 1000, and ``12.50`` is 12.5."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, float):
        return str(value)
    if value == 0:
        return "0"
    if 1e-6 <= abs(value) < 1e21:
        text = format(Decimal(repr(value)), "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    digits, _, exponent = repr(value).partition("e")
    return f"{digits.removesuffix('.0')}e{exponent[0]}{exponent[1:].lstrip('0')}"


def as_json(value: Any) -> Any:
    """Return a structure with the numbers that Pulumi passes to the program in JSON."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and value > _LARGEST_INTEGER:
        value = float(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(Decimal(repr(value)))
    return value
