"""docs/settings.md: every setting, with its type, its default and its description."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le, MinLen
from pydantic import SecretStr
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from ops.lib.pages import NOTE
from ops.lib.pages.descriptions import descriptions
from settings import FIELDS, PROJECT, Settings
from settings.values import Model

# Names of types that are strings, by the function that validates them.
_KINDS = {
    "_cpu": "cores",
    "_memory": "bytes, such as 512Mi",
    "_storage": "bytes, such as 10Gi",
    "_storage_limit": "bytes, such as 10Gi, or empty",
    "check_label": "name",
    "optional_label": "name or empty",
}
_PROVIDER_SETTINGS = {
    "kubernetes:context": ("required", "Context of the kubeconfig to deploy to."),
    "kubernetes:kubeconfig": ("`KUBECONFIG`, `~/.kube/config`", "Path of the kubeconfig."),
}
_SECRET_DEFAULTS = {"postgresPassword": "generated"}


@dataclass(frozen=True)
class Entry:
    """A setting, or a part of one."""

    path: str
    """Path of the setting for `pulumi config set --path`, with ``[]`` for the items of a list."""
    kind: str
    """Type of the value, in words."""
    default: str | None
    """Default, as shown on the page; None if the setting is required."""
    description: str


def entries() -> list[Entry]:
    """Every setting, and all parts of settings that are structures, in the order of Pulumi.yaml."""
    found = [Entry(key, "string", default, what) for key, (default, what) in _PROVIDER_SETTINGS.items()]
    described = descriptions(Settings)
    for key, field in FIELDS.items():
        found += _entries(key, field, field.default, described[key])
    return found


def _entries(path: str, field: FieldInfo, default: Any, described: str) -> Iterator[Entry]:
    kind, model = _kind(field.annotation, field.metadata)
    description = described or (model and _first_sentence(model)) or ""
    # The rows of its parts show the default of a structure.
    parts = isinstance(default, Model)
    yield Entry(path, kind, "" if parts else _default(path, field, default), description)
    if not model:
        return
    below = path if parts or "list" not in kind else f"{path}[]"
    parts_described = descriptions(model)
    for name, part in model.model_fields.items():
        given = getattr(default, name) if isinstance(default, Model) else part.default
        yield from _entries(f"{below}.{to_camel(name)}", part, given, parts_described.get(to_camel(name), ""))


def _default(path: str, field: FieldInfo, value: Any) -> str | None:
    if path in _SECRET_DEFAULTS:
        return _SECRET_DEFAULTS[path]
    if field.is_required() and not isinstance(value, str | int | list | dict):
        return None
    if isinstance(value, SecretStr) or value in ("", None):
        return ""
    plain = [item.model_dump(by_alias=True) if isinstance(item, Model) else item for item in _listed(value)]
    if isinstance(value, list):
        return "none" if not value else f"`{_short(plain)}`"
    return "none" if value == {} else f"`{_short(value)}`"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _kind(annotation: Any, metadata: Any = ()) -> tuple[str, type[Model] | None]:
    """The name of this type in words, and the model of its parts if it has any."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0], arguments[1:])
    if origin is Literal:
        return " or ".join(f"`{value}`" if value else "empty" for value in arguments), None
    if origin in {Union, UnionType}:
        kinds = [_kind(part) for part in arguments if part is not NoneType]
        return " or ".join(name for name, _ in kinds), next((model for _, model in kinds if model), None)
    if origin is list:
        kind, model = _kind(arguments[0])
        few = next((rule.min_length for rule in metadata if isinstance(rule, MinLen)), 0)
        return f"list of {kind}s{', at least one' if few else ''}", model
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return "map", annotation
    if annotation is SecretStr:
        return "secret string", None
    if annotation is bool:
        return "`true` or `false`", None
    if annotation is int:
        low = next((rule.ge for rule in metadata if isinstance(rule, Ge)), "")
        high = next((rule.le for rule in metadata if isinstance(rule, Le)), "")
        return f"{low} to {high}" if low != "" and high != "" else "number", None
    checks = [getattr(getattr(rule, "func", None), "__name__", "") for rule in metadata]
    return next((_KINDS[check] for check in checks if check in _KINDS), "map" if origin is dict else "string"), None


def _first_sentence(model: type[Model]) -> str:
    return (model.__doc__ or "").strip().splitlines()[0]


def settings_table() -> str:
    """The settings without their parts, each with a link to its section of the page."""
    rows = ["| key | default | description |", "| --- | --- | --- |"]
    every = entries()
    for entry in every:
        if entry.path in FIELDS or ":" in entry.path:
            parts = [part for part in every if part.path.startswith((f"{entry.path}.", f"{entry.path}[]."))]
            more = f" {len(parts)} parts." if parts else ""
            anchor = entry.path.lower().replace(":", "")
            rows.append(f"| [`{entry.path}`](#{anchor}) | {_shown(entry)} | {_escaped(entry.description)}{more} |")
    return "\n".join(rows)


def settings_page() -> str:
    """The table of all settings, and a section with all parts of each."""
    every = entries()
    lines = [
        "# Settings",
        NOTE,
        "",
        f"To set a key, run `pulumi config set {PROJECT}:KEY VALUE`. To set a part of a structure, use its path:",
        f"`pulumi config set --path {PROJECT}:postgres.volume.size 20Gi`. For a secret, add `--secret`, and write",
        "`< FILE` instead of the value, or neither: then Pulumi asks for it. Parts that you do not set keep their",
        "defaults.",
        "",
        "- In a path, `[]` stands for the index of a list item, starting at 0. Lists and maps are easier to write in",
        "  the stack file.",
        f"- Keys with a colon are complete: do not put `{PROJECT}:` before them.",
        f"- The defaults shown are those of the preset `{FIELDS['preset'].default}`.",
        "- An unknown key, an invalid quantity or a misspelt domain fails before any resource is created. One message",
        "  names each key, what is wrong, and what to write instead.",
        "",
        settings_table(),
    ]
    for entry in every:
        if entry.path in FIELDS or ":" in entry.path:
            lines += ["", f"## {entry.path}", "", *([entry.description, ""] if entry.description else [])]
            lines += ["| path | type | default | description |", "| --- | --- | --- | --- |"]
            own = [entry, *(part for part in every if part.path.startswith((f"{entry.path}.", f"{entry.path}[].")))]
            for part in own:
                what = "" if part is entry else _escaped(part.description)
                lines.append(f"| `{part.path}` | {part.kind} | {_shown(part)} | {what} |")
    return "\n".join(lines) + "\n"


def _shown(entry: Entry) -> str:
    return "**required**" if entry.default is None else _escaped(entry.default)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
