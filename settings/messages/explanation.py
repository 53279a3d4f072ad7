"""Pydantic's errors in the words of this repository: the key, the value if it is harmless, and the remedy."""

from collections.abc import Iterator, Mapping
from typing import Any, get_origin

import yaml
from pydantic import ValidationError

from settings import go_yaml
from settings.messages.commands import remove_command, set_command, typed
from settings.messages.examples import EXAMPLES, STRUCTURES
from settings.messages.groups import Path, choices, field_at, group_at, keys_at, names
from settings.messages.shown import is_harmless, shown
from settings.messages.suggestions import closest
from settings.quantities import is_quantity
from settings.stack import FIELDS, PROJECT
from settings.values import PartError

# Settings whose value is never printed, because a credential is easily put there by mistake.
_UNSHOWN = {
    *("group", "key", "setting", "taskSecrets", "existingSecrets", "globalSecrets", "role", "annotations"),
    *(
        "http",
        "grpc",
        "objectStore",
        "endpoint",
        "clientEndpoint",
        "flyteAnnotations",
        "taskAnnotations",
        "repository",
        "archive",
        "images",
        "image",
        "flyteValues",
        "description",
        "accessKeyId",
        "recoveryKey",
        "reason",
    ),
    *(
        "caCertificate",
        "certificateAuthority",
        "issuer",
        "clientId",
        "scopes",
        "kubernetesDashboard",
        "url",
        "uri",
        "query",
    ),
}
_KINDS: dict[Any, str] = {bool: "bool_type", list: "list_type"}


def explained(error: ValidationError) -> Iterator[str]:
    """One message for each problem in ``error``."""
    for problem in error.errors(include_url=False):
        # Pydantic adds "[key]" to the path of a map whose key is wrong.
        path = [part for part in problem["loc"] if part != "[key]"]
        yield _Problem(path, problem["input"], problem.get("ctx", {})).message(problem["type"], problem["msg"])


def unreadable(key: str, text: str) -> str:
    """The message about a setting whose ``text`` is no JSON, as Pulumi passes everything but text to the program."""
    annotation = FIELDS[key].annotation
    kind = _KINDS.get(get_origin(annotation) or annotation, "dict_type")
    return _Problem([key], text.strip() or None, {}).message(kind, "")


class _Problem:
    """A problem of one value."""

    def __init__(self, path: Path, value: Any, context: dict[str, Any]) -> None:
        self.path, self.value, self.context = path, value, context
        self.field = field_at(path)
        self.key = _key(path)
        shows = isinstance(value, str | int | float) and not _UNSHOWN & {*names(path)}
        self.shown = f" {shown(value)}" if shows else ""

    def message(self, kind: str, said: str) -> str:
        """The sentence about it, with what to write instead."""
        # A map whose keys are wrong or missing says nothing about the part in question.
        if self.value is None and kind != "extra_forbidden":
            remedy = f"; write it{self._such_as()}, or leave it out: {remove_command(self.key)}"
            return f"{self.key}: is empty{remedy}"
        match kind:
            case "extra_forbidden":
                return f"{self.key}: there is no such setting; {self._known()}"
            case "value_error":
                return f"{self.key}:{self.shown} {self.context['error']}{self._remedy(self.context['error'])}"
            case "missing":
                return f"{self.key}: is missing; write it{self._such_as()}"
            case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
                return f"{self.key}:{self.shown} is out of range; write {self._range()}{self._such_as()}"
            case "string_type" if self.field and is_quantity(self.field):
                return f"{self.key}:{self.shown} has no unit; write it with one{self._such_as()}"
            case "string_type":
                return f"{self.key}:{self.shown} is not text; put it in quotes{self._such_as()}"
            case "too_short" | "string_too_short":
                part = "entry" if isinstance(self.value, list | dict) else "character"
                return f"{self.key}: is empty; write at least one {part}{self._such_as()}"
            case "too_long" | "string_too_long":
                longest = self.context["max_length"]
                return f"{self.key}: has {len(self.value)} characters; write at most {longest}{self._such_as()}"
            case "string_pattern_mismatch":
                return f"{self.key}:{self.shown} does not have the form this setting needs; write it{self._such_as()}"
            case "literal_error":
                return f"{self.key}:{self.shown} is not possible; write {self.context['expected']}{self._command()}"
            case "list_type":
                return f"{self.key}: is not a list; write it{self._such_as()}"
            case "dict_type" | "model_type" | "model_attributes_type":
                known = ", ".join(keys_at(self.path))
                return (
                    f"{self.key}: is not a map{f' with the keys {known}' if known else ''}; write it{self._such_as()}"
                )
            case "bool_type" | "bool_parsing":
                return f"{self.key}:{self.shown} is not true or false; write it without quotes{self._such_as()}"
            case "int_type" | "int_parsing" | "int_from_float":
                return f"{self.key}:{self.shown} is not a whole number; write {self._range()}{self._such_as()}"
        return f"{self.key}:{self.shown} is wrong: {said[0].lower()}{said[1:]}; write it{self._such_as()}"

    def _remedy(self, error: ValueError) -> str:
        """The command that makes the value valid. Of a group, only the error itself says which part is wrong."""
        if isinstance(error, PartError):
            return f": {set_command(f'{self.key}.{error.part}', error.example)}"
        return "" if group_at(self.path) else self._command()

    def _known(self) -> str:
        """What to write in place of an unknown key. Its value is not shown: it may be a secret in the wrong place."""
        known, last = keys_at(self.path[:-1]), str(self.path[-1])
        near = closest(last, known)
        remedy = f"did you mean {near}?" if near else f"write {' or '.join(known)}."
        return f"{remedy} To remove it: {remove_command(self.key)}" if is_harmless(last) else remedy.rstrip(".")

    def _such_as(self) -> str:
        """An example, as in the stack file, with the command that sets it."""
        example = _example(self.path, self.value)
        return f", such as {_in_yaml(example)}{self._command()}" if example not in ("", {}) else ""

    def _command(self) -> str:
        """The command that sets the value, or the first part of it, to an example."""
        path, example = _first_part(self.path, _example(self.path, self.value))
        return f": {set_command(_key(path), example)}" if example not in ("", {}) else ""

    def _range(self) -> str:
        bounds = {type(limit).__name__: limit for limit in (self.field.metadata if self.field else [])}
        low, high = getattr(bounds.get("Ge"), "ge", None), getattr(bounds.get("Le"), "le", None)
        return f"a whole number from {low} to {high}" if low is not None and high is not None else "a whole number"


def _example(path: Path, given: Any) -> Any:
    """An example of what may be at ``path``, if possible close to what was given; empty if there is none."""
    field = field_at(path)
    kind = get_origin(field.annotation) if field else None
    if kind is list and not isinstance(path[-1], int):
        return _of(STRUCTURES, path) or [_example([*path, 0], given)]
    if group_at(path):
        keys = [key for key in keys_at(path) if (part := field_at([*path, key])) and part.is_required()]
        return {key: _example([*path, key], given) for key in keys or keys_at(path)[:1]}
    if field and kind is dict:
        return _of(STRUCTURES, path)
    if field and (allowed := choices(field.annotation)):
        return closest(str(given), allowed) or allowed[0]
    if field and field.annotation is bool:
        return str(given).lower() not in {"no", "n", "off", "false", "0"}
    if field and isinstance(field.default, str | int) and field.default != "":
        return field.default
    plain = isinstance(given, bool | int | float)
    return _of(EXAMPLES, path) or _of(EXAMPLES, path[:-1]) or (shown(given) if plain else "")


def _first_part(path: Path, example: Any) -> tuple[Path, Any]:
    """The first part of an ``example`` that is no list and no map, with its path."""
    if not isinstance(example, list | dict) or not example:
        return path, example
    key, part = next(iter(example.items() if isinstance(example, dict) else enumerate(example)))
    return _first_part([*path, key], part)


def _in_yaml(example: Any) -> str:
    """``example`` in one line, as in a stack file."""
    text = yaml.dump(example, Dumper=go_yaml.Dumper, default_flow_style=True, sort_keys=False, width=10_000)
    return str(text).removesuffix("...\n").strip()


def _of(examples: Mapping[str, Any], path: Path) -> Any:
    """The example for ``path``: by its last two keys, otherwise by the last one; empty if there is none."""
    keys = names(path)
    return examples.get(".".join(keys[-2:])) or examples.get(".".join(keys[-1:]), "")


def _key(path: Path) -> str:
    """The full key, as Pulumi reads it. A part of it may be a secret, put there by mistake."""
    parts = (
        f"[{part}]" if isinstance(part, int) else typed(part) if is_harmless(part) else ".(key not shown)"
        for part in path
    )
    return f"{PROJECT}:{''.join(parts).lstrip('.')}"
