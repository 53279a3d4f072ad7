"""Checks values against the schema of the flyte-binary chart, and explains what is wrong with them."""

import functools
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from settings.chart import CHART_DIR
from settings.messages.commands import set_command, typed
from settings.messages.shown import is_harmless
from settings.messages.suggestions import closest

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

# What the schema may ask for, with an example in YAML.
_KINDS = {
    "array": ("a list", "[{name: TZ, value: Europe/Berlin}]"),
    "boolean": ("true or false", "true"),
    "integer": ("a whole number", "3"),
    "number": ("a number", "0.5"),
    "object": ("a map", "{team: home}"),
    "pattern": ("a name that Kubernetes accepts", "home"),
    "string": ("text", "home, or '3'"),
}
# Parts that Kubernetes needs.
_PARTS = {"name": "home", "image": "mirror.home:5000/sidecar:1", "mountPath": "/data"}


def schema_problems(values: Mapping[str, Any], setting: str) -> Iterator[str]:
    """Values that the chart has not, or that have the wrong type. They are not shown: they may be anything.

    Args:
        values: the values, by key.
        setting: where they are, for the messages.
    """
    for error in sorted(_validator().iter_errors(values), key=lambda error: list(map(str, error.path))):
        where = setting
        for part in error.absolute_path:
            where = f"{where}[{part}]" if isinstance(part, int) else part_of(where, part)
        yield from _explained(error, where)


def part_of(where: str, key: Any) -> str:
    """The path of a part of a value. A key may be a secret, put there by mistake."""
    return f"{where}{typed(key) if is_harmless(str(key)) else '.(key not shown)'}"


@functools.cache
def _validator() -> "Draft202012Validator":
    # Imported here, because most commands check no values of the chart, and the import takes long.
    import jsonschema

    return jsonschema.Draft202012Validator(json.loads((CHART_DIR / "values.schema.json").read_text()))


def _explained(error: Any, where: str) -> Iterator[str]:
    if "propertyNames" in error.schema_path:
        yield f"{where}: has a key with capital letters, which Flyte may confuse with another; use lower case"
    elif error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        for key in sorted(set(error.instance) - set(known)):
            remedy = f"write {closest(str(key), known) or ' or '.join(known)}" if known else "leave it out"
            yield (
                f"{part_of(where, key)}: the chart has no such value and would ignore it, or it is a credential, which "
                f"must not be in Helm values; {remedy}"
            )
    elif error.validator == "required":
        for key in sorted(set(error.validator_value) - set(error.instance)):
            yield f"{where}.{key}: is missing; write {set_command(f'{where}.{key}', _PARTS[key])}"
    elif error.validator == "enum":
        first = set_command(where, str(error.validator_value[0]))
        yield f"{where}: is not possible; write {' or '.join(map(str, error.validator_value))}: {first}"
    else:
        wanted = str(error.validator_value if error.validator == "type" else error.validator)
        kind, example = _KINDS.get(wanted, ("a possible value", "that of charts/flyte-binary/values.yaml"))
        yield f"{where}: is not {kind}; write it like {example}"
