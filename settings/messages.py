"""Pydantic's errors in the words of this repository: the key, the value if it is harmless, and the remedy."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from settings.stack import PROJECT, Settings
from settings.values import Model

# Settings whose value is never printed, because a credential is easily put there by mistake.
_UNSHOWN = {
    *("setting", "http", "grpc", "objectStore", "repository", "archive"),
    *("caCertificate", "issuer", "kubernetesDashboard", "url", "uri", "query"),
}


def explained(error: ValidationError) -> Iterator[str]:
    """One message for each problem in ``error``."""
    for problem in error.errors(include_url=False):
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]).lstrip(".")
        value, last = problem["input"], str(problem["loc"][-1]) if problem["loc"] else ""
        shown = f" {value!r}" if isinstance(value, str | int | float | bool) and last not in _UNSHOWN else ""
        match problem["type"]:
            case "extra_forbidden":  # the value is not shown: it may be a secret, put there by mistake
                known = _known_keys(problem["loc"][:-1])
                near = difflib.get_close_matches(str(problem["loc"][-1]), known, 1) or known
                yield f"{PROJECT}:{where}: there is no such setting; write {' or '.join(near)}"
            case "value_error":
                yield f"{PROJECT}:{where}:{shown} {problem['ctx']['error']}"
            case "missing":
                yield f"{PROJECT}:{where}: is missing; write it, see Pulumi.yaml"
            case "greater_than" | "greater_than_equal" | "less_than_equal":
                yield f"{PROJECT}:{where}:{shown} is out of range; {problem['msg'][0].lower()}{problem['msg'][1:]}"
            case "string_type" if last in {"size", "memory", "cpu"}:
                yield f"{PROJECT}:{where}:{shown} has no unit; write it as text with one, such as '10Gi'"
            case "string_type":
                yield f"{PROJECT}:{where}:{shown} is not text; put it in quotes"
            case "too_short":
                yield f"{PROJECT}:{where}: is empty; write at least one"
            case "string_pattern_mismatch":
                yield f"{PROJECT}:{where}:{shown} does not have the form this setting needs; see Pulumi.yaml"
            case "list_type":
                yield f"{PROJECT}:{where}: is not a list; see Pulumi.yaml"
            case "dict_type" | "model_type" | "model_attributes_type":
                yield f"{PROJECT}:{where}: is not a map; see Pulumi.yaml"
            case _:
                yield f"{PROJECT}:{where}:{shown} {problem['msg'][0].lower()}{problem['msg'][1:]}; see Pulumi.yaml"


def _known_keys(path: Sequence[str | int]) -> list[str]:
    """The keys of the group at ``path``."""
    model: Any = Settings
    for part in path:
        if isinstance(part, str):
            model = {to_camel(name): field.annotation for name, field in model.model_fields.items()}.get(part, model)
        candidates = [kind for kind in (model, *get_args(model)) if isinstance(kind, type) and issubclass(kind, Model)]
        model = candidates[0] if candidates else model
    return [to_camel(name) for name in model.model_fields]
