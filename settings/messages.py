"""Pydantic's errors in the words of this repository: the key, the value if it is harmless, and the remedy."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from settings.commands import set_command, typed
from settings.shown import is_harmless, shown
from settings.stack import PROJECT, Settings
from settings.values import Model

# Settings whose value is never printed, because a credential is easily put there by mistake.
_UNSHOWN = {
    *("group", "key", "setting", "taskSecrets", "existingSecrets", "globalSecrets", "role", "annotations"),
    *(
        "http",
        "grpc",
        "objectStore",
        "repository",
        "archive",
        "images",
        "image",
        "flyteValues",
        "description",
        "reason",
    ),
    *("caCertificate", "issuer", "clientId", "scopes", "kubernetesDashboard", "url", "uri", "query"),
}
# What a setting may be, where its default is empty or shows nothing.
_EXAMPLES = {
    **{
        "name": "remedy",
        "description": "Mends playlists",
        "group": "tidal-creds",
        "key": "json",
        "setting": "tidalCreds",
    },
    **{"size": "20Gi", "storageClass": "local-path", "cpu": "500m", "memory": "2Gi", "bucketQuota": "50Gi"},
    **{"taskSecrets": "tidal-creds", "existingSecrets": "spotify", "globalSecrets": "spotify", "scopes": "openid"},
    **{"networks": "192.168.1.20/32", "namespaces": "vault", "clients": "traefik", "domains": "development"},
    **{"console": "flyte.home.example", "grpc": "dns:///127.0.0.1:8089", "objectStore": "s3.home.example"},
    **{"className": "traefik", "namespace": "flyte", "issuer": "letsencrypt", "secret": "wildcard", "role": "flyte"},
    **{"reason": "only my laptop reaches it", "image": "mirror.home:5000/sidecar:1", "flyteValues": "value"},
    **{"kubernetesDashboard": "https://dashboard.home.example", "url": "https://grafana.home.example"},
    **{"clusterUid": "1f0c7a8e-0000-4000-8000-000000000001", "uri": "https://logs.home.example/?pod={{ .podName }}"},
    **{"serviceAccounts": "reader", "priorityClasses": "low", "images": "mirror.home:5000/postgres:17"},
}
_LISTS = {
    "projects": "[{name: remedy}]",
    "taskSecrets": "[{group: tidal-creds, keys: [{key: json, setting: tidalCreds, format: json}]}]",
    "keys": "[{key: json, setting: tidalCreds, format: json}]",
    "custom": "[{name: Logs, uri: 'https://logs.home.example'}]",
    "tolerations": "[{key: dedicated, value: flyte, effect: NoSchedule}]",
}


def explained(error: ValidationError) -> Iterator[str]:
    """One message for each problem in ``error``."""
    for problem in error.errors(include_url=False):
        yield _Problem(problem["loc"], problem["input"], problem.get("ctx", {})).message(
            problem["type"], problem["msg"]
        )


class _Problem:
    """A problem of one value."""

    def __init__(self, path: Sequence[str | int], value: Any, context: dict[str, Any]) -> None:
        self.path, self.value, self.context = path, value, context
        self.last = next((part for part in reversed(path) if isinstance(part, str)), "")
        self.field = _field(path)
        self.key = f"{PROJECT}:{''.join(map(_typed, path)).lstrip('.')}"
        hidden = _UNSHOWN & {part for part in path if isinstance(part, str)}
        self.shown = f" {shown(value)}" if isinstance(value, str | int | float) and not hidden else ""

    def message(self, kind: str, said: str) -> str:
        """The sentence about it, with what to write instead."""
        match kind:
            case "extra_forbidden":  # the value is not shown: it may be a secret, put there by mistake
                known = _known_keys(self.path[:-1])
                near = difflib.get_close_matches(str(self.path[-1]), known, 1) or known
                return f"{self.key}: there is no such setting; write {' or '.join(near)}"
            case "value_error":
                return f"{self.key}:{self.shown} {self.context['error']}{self._command()}"
            case "missing":
                return f"{self.key}: is missing; write it{self._such_as()}"
            case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
                return f"{self.key}:{self.shown} is out of range; write {self._range()}{self._such_as()}"
            case "string_type" if self.last in {"size", "memory", "cpu"}:
                return f"{self.key}:{self.shown} has no unit; write it as text with one{self._such_as()}"
            case "string_type":
                return f"{self.key}:{self.shown} is not text; put it in quotes{self._such_as()}"
            case "too_short" | "string_too_short":
                return f"{self.key}: is empty; write at least one {self._part()}{self._such_as()}"
            case "too_long" | "string_too_long":
                longest = self.context["max_length"]
                return f"{self.key}: has {len(self.value)} characters; write at most {longest}{self._such_as()}"
            case "string_pattern_mismatch":
                return f"{self.key}:{self.shown} does not have the form this setting needs; write it{self._such_as()}"
            case "literal_error":
                return f"{self.key}:{self.shown} is not possible; write {self.context['expected']}{self._choice()}"
            case "list_type":
                return f"{self.key}: is not a list; write it like {_LISTS.get(self.last, f'[{self._example()}]')}"
            case "dict_type" | "model_type" | "model_attributes_type":
                return f"{self.key}: is not a map; write it like {{{' or '.join(_known_keys(self.path)) or 'a'}: ...}}"
            case "bool_type" | "bool_parsing":
                return f"{self.key}:{self.shown} is not true or false; write true or false without quotes"
            case "int_type" | "int_parsing" | "int_from_float":
                return f"{self.key}:{self.shown} is not a whole number; write {self._range()}{self._such_as()}"
        return f"{self.key}:{self.shown} is wrong: {said[0].lower()}{said[1:]}{self._such_as()}"

    def _part(self) -> str:
        return "entry" if isinstance(self.value, list | dict) else "character"

    def _example(self) -> str:
        default = self.field.default if self.field else None
        if isinstance(default, str | int) and not isinstance(default, bool) and default != "":
            return str(default)
        return _EXAMPLES.get(self.last, "")

    def _such_as(self) -> str:
        """An example, with the command that sets it."""
        if self.last in _LISTS and isinstance(self.value, list):
            return f", such as {_LISTS[self.last]}"
        example = self._example()
        return f", such as {example!r}{self._command()}" if example else ""

    def _choice(self) -> str:
        return self._command(str(self.context["expected"]).split("'")[1])

    def _command(self, example: str = "") -> str:
        example = example or self._example()
        if not example or isinstance(self.value, list | dict):
            return ""
        as_text = bool(self.field and isinstance(self.field.default, str))
        return f": {set_command(self.key, example, as_text)}"

    def _range(self) -> str:
        bounds = {type(limit).__name__: limit for limit in (self.field.metadata if self.field else [])}
        low, high = getattr(bounds.get("Ge"), "ge", None), getattr(bounds.get("Le"), "le", None)
        return f"a whole number from {low} to {high}" if low is not None and high is not None else "a whole number"


def _typed(part: str | int) -> str:
    """A part of a path in a message. A key may be a secret, put there by mistake."""
    if isinstance(part, int):
        return f"[{part}]"
    return typed(part) if is_harmless(part) else ".(key not shown)"


def _field(path: Sequence[str | int]) -> FieldInfo | None:
    """The field at ``path``; None for an entry of a map."""
    *groups, last = [part for part in path if isinstance(part, str)] or [""]
    model = _model(groups)
    return {to_camel(name): field for name, field in model.model_fields.items()}.get(last) if model else None


def _known_keys(path: Sequence[str | int]) -> list[str]:
    """The keys of the group at ``path``."""
    model = _model([part for part in path if isinstance(part, str)])
    return [to_camel(name) for name in model.model_fields] if model else []


def _model(path: Sequence[str]) -> type[Model] | None:
    """The group at ``path``; None if another kind of value is there."""
    model: type[Model] | None = Settings
    for part in path:
        fields = {to_camel(name): field for name, field in model.model_fields.items()} if model else {}
        model = _group_in(fields[part].annotation) if part in fields else None
    return model


def _group_in(annotation: Any) -> type[Model] | None:
    """The group that an annotation such as ``list[Project]`` or ``Quota | None`` names."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    return next((found for part in get_args(annotation) if (found := _group_in(part))), None)
