"""Reads stack files without Pulumi."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from paths import ROOT
from settings import PROJECT
from settings.errors import SettingsError

# Values that pass the checks of the secret settings: a JSON object, or text for a password.
_PLACEHOLDER = '{"placeholder":"the-stack-file-has-it-encrypted"}'
_PLACEHOLDERS = {"postgresPassword": "the-stack-file-has-it-encrypted"}


def stack_config(stack: str, folder: Path = ROOT) -> tuple[dict[str, str], set[str]]:
    """Return a stack's configuration as Pulumi passes it to the program, and the keys that are secret.

    Encrypted values are not decrypted; each is replaced by a placeholder.

    Args:
        stack: name of the stack.
        folder: folder of Pulumi.yaml and the stack files.

    Raises:
        SettingsError: there is no such stack file, or it is invalid.
    """
    path = folder / f"Pulumi.{stack}.yaml"
    try:
        content = yaml.load(path.read_text(), _StackFile) or {}  # noqa: S506 (a safe loader)
        stored = dict(content.get("config") or {})
    except FileNotFoundError:
        stacks = ", ".join(sorted(file.name.split(".")[1] for file in folder.glob("Pulumi.*.yaml"))) or "none"
        raise SettingsError(f"STACK: there is no {path.name}; the stacks here are: {stacks}") from None
    except (yaml.YAMLError, AttributeError, TypeError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}: {getattr(error, 'problem', '')})" if mark else ""
        raise SettingsError(
            f"{path.name}: is not a stack file{where}; it needs the key config with settings below it"
        ) from None
    project = yaml.safe_load((folder / "Pulumi.yaml").read_text())["config"]
    config, secrets = {}, set()
    for key, declared in project.items():
        config[_full(key)] = _text(declared.get("value", declared.get("default")))
    given = set()
    for key, value in stored.items():
        full = _full(key)
        if full in given:
            raise SettingsError(f"{path.name}: {full} is set twice, with and without {PROJECT}:; keep one")
        given.add(full)
        decrypted = _decrypted(value, _PLACEHOLDERS.get(full.removeprefix(f"{PROJECT}:"), _PLACEHOLDER))
        try:
            config[full] = _text(decrypted)
        except (ValueError, TypeError, RecursionError):
            raise SettingsError(
                f"{path.name}: {full} is not text, a number, a list or a map; see Pulumi.yaml"
            ) from None
        if decrypted != value:
            secrets.add(full)
    return config, secrets


class _StackFile(yaml.SafeLoader):
    """A YAML loader with Pulumi's rules: a duplicate key is an error, and a date is text."""


def _mapping(loader: _StackFile, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key, (mark, _) in zip(keys, node.value, strict=True):
        if keys.count(key) > 1:
            raise yaml.MarkedYAMLError(problem=f"{key} is set twice", problem_mark=mark.start_mark)
    return dict(loader.construct_mapping(node, deep=True))


def _scalar(loader: _StackFile, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_StackFile.add_constructor("tag:yaml.org,2002:map", _mapping)
_StackFile.add_constructor("tag:yaml.org,2002:timestamp", _scalar)


def _full(key: Any) -> str:
    return key if ":" in str(key) else f"{PROJECT}:{key}"


def _decrypted(value: Any, placeholder: str) -> Any:
    """Return ``value`` with a placeholder in place of each encrypted value, at any depth."""
    if isinstance(value, Mapping):
        if set(value) == {"secure"}:
            return placeholder
        return {key: _decrypted(item, placeholder) for key, item in value.items()}
    return [_decrypted(item, placeholder) for item in value] if isinstance(value, list) else value


def _text(value: Any) -> str:
    """Return a value of a stack file as Pulumi passes it to the program."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
