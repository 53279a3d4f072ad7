"""``make docs``: writes the parts of the documentation that the program knows best, so that they are never out of date.

Usage: python -m ops.docs [--versions]

In README.md between markers such as ``<!-- settings:begin -->``; docs/settings.md and docs/architecture.md as a whole.
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from annotated_types import Ge, Le, MinLen
from pydantic import SecretStr
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from ops.recorder import Recording, Resource, record
from ops.stack_file import stack_config
from paths import ROOT
from settings import FIELDS, PROJECT
from settings.chart import PINNED_CHART
from settings.images import IMAGES
from settings.values import Model

_NOTE = "<!-- Written by make docs; not for editing. -->"
_SETTINGS_PAGE = "docs/settings.md"
_TOOLS = "ops/tools/tools.yaml"
# What text has to be, by the function that checks it.
_KINDS = {
    "_cpu": "cores",
    "_memory": "bytes, such as 512Mi",
    "_storage": "bytes, such as 10Gi",
    "check_label": "name",
}
_PROVIDER_SETTINGS = {
    "kubernetes:context": ("required", "Context of the kubeconfig to deploy to."),
    "kubernetes:kubeconfig": ("`KUBECONFIG`, `~/.kube/config`", "Path of the kubeconfig."),
}
_SECRET_DEFAULTS = {"postgresPassword": "generated"}


def main() -> int:
    """The command line; says what it has written, or what is pinned and where."""
    parser = argparse.ArgumentParser(prog="docs", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--versions", action="store_true", help="only print what is pinned")
    if parser.parse_args().versions:
        for name, (version, where) in versions().items():
            print(f"{version:<44}{name.replace('`', '')}  ({where})")
        return 0
    for page, text in pages().items():
        file = ROOT / page
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
            print(f"{page} written")
    return 0


def pages() -> dict[str, str]:
    """Path to content of every file that is generated, or has a generated part."""
    readme = (ROOT / "README.md").read_text()
    for name, content in {"settings": settings_table(), "versions": versions_table()}.items():
        readme = replaced(readme, name, content)
    return {"README.md": readme, _SETTINGS_PAGE: settings_page(), "docs/architecture.md": architecture_page()}


def replaced(text: str, name: str, content: str) -> str:
    """``text`` with ``content`` between the markers of ``name``.

    Raises:
        ValueError: the markers are not there, or not once.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"README.md: needs {begin} and, after it, {end}, each once")
    return text[: text.index(begin)] + f"{begin}\n{content}\n{end}" + text[text.index(end) + len(end) :]


# --- settings -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """A setting, or a part of one."""

    # As `pulumi config set --path` wants it, with ``[]`` for each item of a list.
    path: str
    kind: str
    # None: it has to be given.
    default: str | None
    description: str


def entries() -> list[Entry]:
    """Every setting and all parts of those that are structures, in the order of Pulumi.yaml."""
    found = [Entry(key, "text", default, what) for key, (default, what) in _PROVIDER_SETTINGS.items()]
    for key, field in FIELDS.items():
        found += _entries(key, field, field.default)
    return found


def _entries(path: str, field: FieldInfo, default: Any) -> Iterator[Entry]:
    kind, model = _kind(field.annotation, field.metadata)
    description = field.description or (model and _first_sentence(model)) or ""
    # What a structure holds by default is said by its parts.
    parts = isinstance(default, Model)
    yield Entry(path, kind, "" if parts else _default(path, field, default), description)
    if not model:
        return
    below = path if parts or "list" not in kind else f"{path}[]"
    for name, part in model.model_fields.items():
        given = getattr(default, name) if isinstance(default, Model) else part.default
        yield from _entries(f"{below}.{to_camel(name)}", part, given)


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
    """What a person would call this type, and the model of its parts if it has any."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0], arguments[1:])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments), None
    if origin in {Union, UnionType}:
        kinds = [_kind(part) for part in arguments if part is not NoneType]
        return " or ".join(name for name, _ in kinds), next((model for _, model in kinds if model), None)
    if origin is list:
        kind, model = _kind(arguments[0])
        few = next((rule.min_length for rule in metadata if isinstance(rule, MinLen)), 0)
        return f"list of {'maps' if model else kind}{', at least one' if few else ''}", model
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return "map", annotation
    if annotation is SecretStr:
        return "secret text", None
    if annotation is bool:
        return "`true` or `false`", None
    if annotation is int:
        low = next((rule.ge for rule in metadata if isinstance(rule, Ge)), "")
        high = next((rule.le for rule in metadata if isinstance(rule, Le)), "")
        return f"{low} to {high}" if low != "" and high != "" else "number", None
    checks = [getattr(getattr(rule, "func", None), "__name__", "") for rule in metadata]
    return next((_KINDS[check] for check in checks if check in _KINDS), "map" if origin is dict else "text"), None


def _first_sentence(model: type[Model]) -> str:
    return (model.__doc__ or "").strip().splitlines()[0]


def settings_table() -> str:
    """The settings themselves, without their parts, for the README."""
    rows = ["| key | default | what |", "| --- | --- | --- |"]
    every = entries()
    for entry in every:
        if entry.path in FIELDS or ":" in entry.path:
            parts = [part for part in every if part.path.startswith((f"{entry.path}.", f"{entry.path}[]."))]
            more = f" [{len(parts)} parts]({_SETTINGS_PAGE}#{entry.path.lower()})" if parts else ""
            rows.append(f"| `{entry.path}` | {_shown(entry)} | {_escaped(entry.description)}{more} |")
    return "\n".join(rows)


def settings_page() -> str:
    """All settings with all their parts."""
    every = entries()
    lines = [
        "# Settings",
        _NOTE,
        "",
        f"Set one with `pulumi config set {PROJECT}:KEY VALUE`, a part with its path:",
        f"`pulumi config set --path {PROJECT}:postgres.volume.size 20Gi`, a secret with `--secret`. `[]` stands for",
        "the number of an item of a list, from 0; lists and maps are easier to write in the stack file. A structure",
        "that is given in part keeps its defaults in the rest. The keys with a colon are written as they are, without",
        f"the `{PROJECT}:` before them. The defaults are those of the preset `{FIELDS['preset'].default}`.",
    ]
    for entry in every:
        if entry.path in FIELDS or ":" in entry.path:
            lines += ["", f"## {entry.path}", "", *([entry.description, ""] if entry.description else [])]
            lines += ["| path | type | default | what |", "| --- | --- | --- | --- |"]
            own = [entry, *(part for part in every if part.path.startswith((f"{entry.path}.", f"{entry.path}[].")))]
            for part in own:
                what = "" if part is entry else _escaped(part.description)
                lines.append(f"| `{part.path}` | {part.kind} | {_shown(part)} | {what} |")
    return "\n".join(lines) + "\n"


def _shown(entry: Entry) -> str:
    return "**required**" if entry.default is None else _escaped(entry.default)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


# --- versions -----------------------------------------------------------------------------------------------------


def versions() -> dict[str, tuple[str, str]]:
    """What is installed, to its version and the file that pins it: the chart, the images, Python's packages."""
    found = {f"chart `{PINNED_CHART.name}`": (PINNED_CHART.version, "charts/flyte-binary/chart.yaml")}
    for name, image in IMAGES.items():
        confirmed = f"{image.tag}, by digest" if image.digest else f"{image.tag}"
        found[f"image `{name}`: `{image.repository}`"] = (confirmed, "settings/images.py")
    pins = re.findall(r'"(pulumi[\w-]*)==([\w.]+)"', (ROOT / "pyproject.toml").read_text())
    found |= {f"`{name}`": (version, "pyproject.toml") for name, version in pins}
    tools = yaml.safe_load((ROOT / _TOOLS).read_text())
    fetched = {name: tool["version"] for name, tool in tools.items() if not name.startswith("pulumi")}
    return found | {f"`{name}`, where it is fetched": (version, _TOOLS) for name, version in fetched.items()}


def versions_table() -> str:
    """The versions, for the README."""
    rows = [f"| {name} | {version} | `{file}` |" for name, (version, file) in versions().items()]
    return "\n".join(["| what | version | pinned in |", "| --- | --- | --- |", *rows])


# --- architecture -------------------------------------------------------------------------------------------------


def recording() -> Recording:
    """What the stack `dev` registers, on some cluster."""
    config, secrets = stack_config("dev")
    plain = {key for key in config if key.endswith(":tidalCreds")}
    return record({**config, f"{PROJECT}:clusterUid": "pinned"}, secrets | plain)


def architecture_page() -> str:
    """The components of the stack `dev`: which waits for which, and what each makes."""
    found = recording()
    owners = {resource.urn: _owner(found, resource) for resource in found.resources}
    names = sorted({owner.name for owner in owners.values() if owner})  # not registered in the same order each time
    waits = {name: set[str]() for name in names}
    for resource in found.resources:
        owner = owners[resource.urn]
        for urn in resource.dependencies:
            other = owners.get(urn)
            if owner and other and owner.name != other.name:
                waits[owner.name].add(other.name)
    sources = {f"components/{file.name}": file.read_text() for file in sorted((ROOT / "components").glob("*.py"))}
    lines = [
        "# Architecture",
        _NOTE,
        "",
        "What the stack `dev` is made of, as the program registers it. An arrow leads to what has to be there before;",
        "those that follow from others are left out, and so are those to `cluster`, the fence, which are everywhere.",
        "",
        "```mermaid",
        "flowchart LR",
        *(f"    {name}[{name}]" for name in names),
        *(f"    {name} --> {other}" for name in names for other in sorted(_nearest(name, waits))),
        "```",
        "",
        "| component | file | makes |",
        "| --- | --- | --- |",
    ]
    for name in names:
        own = [resource for resource in found.resources if _is_made_by(owners[resource.urn], name, resource)]
        (component,) = {owner.kind for owner in owners.values() if owner and owner.name == name}
        (file,) = (path for path, text in sources.items() if f"\nclass {component}(" in text)
        kinds = Counter(resource.kind for resource in own)
        made = ", ".join(f"{count} {kind}" if count > 1 else kind for kind, count in sorted(kinds.items()))
        lines.append(f"| `{name}` | [{file}](../{file}) | {made} |")
    others = Counter(resource.kind for resource in found.resources if not owners[resource.urn])
    lines += ["", f"Beside them, in `__main__.py`: {', '.join(sorted(others))}."]
    return "\n".join(lines) + "\n"


def _owner(found: Recording, resource: Resource) -> Resource | None:
    """The outermost component that makes a resource; None for what the program makes itself."""
    above = {other.urn: other for other in found.resources}
    owner = None
    current: Resource | None = resource
    while current:
        owner = current if not current.custom else owner
        current = above.get(current.parent)
    return owner


def _is_made_by(owner: Resource | None, name: str, resource: Resource) -> bool:
    return bool(owner and owner.name == name and resource.custom)


def _nearest(name: str, waits: Mapping[str, set[str]]) -> set[str]:
    """What ``name`` waits for and none of the others it waits for does."""
    direct = waits[name]
    return direct - {far for other in direct for far in _all(other, waits)}


def _all(name: str, waits: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(waits[name])
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting += waits[other]
    return found


if __name__ == "__main__":
    sys.exit(main())
