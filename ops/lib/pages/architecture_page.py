"""docs/architecture.md: the components of the stack `dev`, what they depend on, and what they create."""

from collections import Counter
from collections.abc import Mapping

from ops.lib.pages import NOTE
from ops.lib.recorder import record
from ops.lib.recording import Recording, Resource
from ops.lib.stack_file import stack_config
from paths import ROOT
from settings import PROJECT


def recording() -> Recording:
    """Return the recording of the stack `dev`, with a placeholder for its cluster."""
    config, secrets = stack_config("dev")
    plain = {key for key in config if key.endswith(":tidalCreds")}
    return record({**config, f"{PROJECT}:clusterUid": "pinned"}, secrets | plain)


def architecture_page() -> str:
    """The components of the stack `dev`: their dependencies, and what each creates."""
    found = recording()
    owners = {resource.urn: _owner(found, resource) for resource in found.resources}
    names = sorted({owner.name for owner in owners.values() if owner})  # the order of registration varies
    waits = {name: set[str]() for name in names}
    for resource in found.resources:
        owner = owners[resource.urn]
        for urn in resource.dependencies:
            other = owners.get(urn)
            if owner and other and owner.name != other.name:
                waits[owner.name].add(other.name)
    files = sorted((ROOT / "components").rglob("*.py"))
    sources = {file.relative_to(ROOT).as_posix(): file.read_text() for file in files}
    lines = [
        "# Architecture",
        NOTE,
        "",
        "The components of the stack `dev`, as the program registers them. An arrow points to a component that must",
        "exist first. Arrows that follow from others are omitted. So are the arrows to `cluster`, the fence: every",
        "component depends on it.",
        "",
        "```mermaid",
        "flowchart LR",
        *(f"    {name}[{name}]" for name in names),
        *(f"    {name} --> {other}" for name in names for other in sorted(_nearest(name, waits))),
        "```",
        "",
        "| component | file | creates |",
        "| --- | --- | --- |",
    ]
    for name in names:
        own = [resource for resource in found.resources if _is_created_by(owners[resource.urn], name, resource)]
        (component,) = {owner.kind for owner in owners.values() if owner and owner.name == name}
        (file,) = (path for path, text in sources.items() if f"\nclass {component}(" in text)
        kinds = Counter(map(_kind_of, own))
        created = ", ".join(f"{count} {kind}" if count > 1 else kind for kind, count in sorted(kinds.items()))
        lines.append(f"| `{name}` | [{file}](../{file}) | {created} |")
    others = {_kind_of(resource) for resource in found.resources if not owners[resource.urn]}
    lines += ["", f"Outside these components, the program creates: {', '.join(sorted(others))}."]
    return "\n".join(lines) + "\n"


def _owner(found: Recording, resource: Resource) -> Resource | None:
    """The outermost component that creates a resource; None for resources outside components."""
    above = {other.urn: other for other in found.resources}
    owner = None
    current: Resource | None = resource
    while current:
        owner = current if not current.custom else owner
        current = above.get(current.parent)
    return owner


def _is_created_by(owner: Resource | None, name: str, resource: Resource) -> bool:
    return bool(owner and owner.name == name and resource.custom)


def _kind_of(resource: Resource) -> str:
    return f"{resource.kind} provider" if resource.type.startswith("pulumi:providers:") else resource.kind


def _nearest(name: str, waits: Mapping[str, set[str]]) -> set[str]:
    """The direct dependencies of ``name`` that do not follow from its other dependencies."""
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
