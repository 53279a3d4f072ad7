"""``make render``: what a stack deploys, as files, on a machine that has nothing but Python.

Usage: python -m ops.render STACK OUT [--show-secrets]
"""

import argparse
import base64
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from components.chart import ROOT
from components.errors import SettingsError
from ops.recorder import Recording, Resource, map_secrets, record
from settings import PROJECT, SAMPLE_CREDENTIALS, may_be_secret

_HEADER = "# Rendered by flyte-home; not for editing. "
REDACTED = "redacted"
# Values that the checks of the secret settings accept: a JSON object, except where it would be a password.
_PLACEHOLDER = '{"placeholder":"the-stack-file-has-it-encrypted"}'
_PLACEHOLDERS = {"postgresPassword": "the-stack-file-has-it-encrypted"}
_NO_UID = "not-pinned"


def stack_config(stack: str, folder: Path = ROOT) -> tuple[dict[str, str], set[str]]:
    """The configuration of a stack as Pulumi would hand it to the program, and which of its keys are secret.

    Encrypted values stay encrypted; a placeholder stands for each.

    Raises:
        SettingsError: there is no such stack file, or it is not one.
    """
    path = folder / f"Pulumi.{stack}.yaml"
    try:
        content = yaml.load(path.read_text(), _StackFile) or {}  # noqa: S506 (a safe loader)
        stored = dict(content.get("config") or {})
    except FileNotFoundError:
        there = ", ".join(sorted(file.name.split(".")[1] for file in folder.glob("Pulumi.*.yaml"))) or "none"
        raise SettingsError(f"STACK: there is no {path.name}; the stacks here are: {there}") from None
    except (yaml.YAMLError, AttributeError, TypeError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}: {getattr(error, 'problem', '')})" if mark else ""
        raise SettingsError(
            f"{path.name}: is not a stack file{where}; it has the key config, and below it settings"
        ) from None
    project = yaml.safe_load((folder / "Pulumi.yaml").read_text())["config"]
    config, secrets = {}, set()
    for key, declared in project.items():
        config[_full(key)] = _text(declared.get("value", declared.get("default")))
    given = set()
    for key, value in stored.items():
        full = _full(key)
        if full in given:
            raise SettingsError(f"{path.name}: {full} is there twice, with and without {PROJECT}:; keep one")
        given.add(full)
        decrypted = _decrypted(value, _PLACEHOLDERS.get(full.removeprefix(f"{PROJECT}:"), _PLACEHOLDER))
        try:
            config[full] = _text(decrypted)
        except (ValueError, TypeError, RecursionError):
            raise SettingsError(
                f"{path.name}: {full} holds what is not text, number, list or map; see Pulumi.yaml"
            ) from None
        if decrypted != value:
            secrets.add(full)
    return config, secrets


class _StackFile(yaml.SafeLoader):
    """YAML as Pulumi reads it: a key that is there twice is an error, and a date is text."""


def _mapping(loader: _StackFile, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key, (mark, _) in zip(keys, node.value, strict=True):
        if keys.count(key) > 1:
            raise yaml.MarkedYAMLError(problem=f"{key} is there twice", problem_mark=mark.start_mark)
    return dict(loader.construct_mapping(node, deep=True))


def _scalar(loader: _StackFile, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_StackFile.add_constructor("tag:yaml.org,2002:map", _mapping)
_StackFile.add_constructor("tag:yaml.org,2002:timestamp", _scalar)


def _full(key: Any) -> str:
    return key if ":" in str(key) else f"{PROJECT}:{key}"


def _decrypted(value: Any, placeholder: str) -> Any:
    """``value`` with the placeholder for each encrypted value in it, as deep as it may be."""
    if isinstance(value, Mapping):
        if set(value) == {"secure"}:
            return placeholder
        return {key: _decrypted(item, placeholder) for key, item in value.items()}
    return [_decrypted(item, placeholder) for item in value] if isinstance(value, list) else value


def _text(value: Any) -> str:
    """A value of a stack file as Pulumi hands it to the program."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def render(recording: Recording, show_secrets: bool) -> dict[str, str]:
    """File name to content: a manifest for each Kubernetes object, and the values of each Helm release."""
    files = {}
    for resource in recording.resources:
        if resource.kind == "Release":
            files[f"{resource.inputs['name']}.values.yaml"] = _yaml(resource.inputs["values"], resource, show_secrets)
        elif resource.is_manifest:
            manifest = resource.manifest
            metadata = manifest["metadata"]
            where = [metadata["namespace"]] if "namespace" in metadata else []
            name = ".".join([manifest["kind"].lower(), *where, metadata["name"]])
            files[f"{name}.yaml"] = _yaml(manifest, resource, show_secrets)
    return files


def _yaml(content: Any, resource: Resource, show_secrets: bool) -> str:
    def stand_in(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: stand_in(item) for name, item in value.items()}
        return value if show_secrets else REDACTED

    shown = dict(content)
    if not show_secrets and "data" in shown and resource.kind == "Secret":
        redacted = base64.b64encode(REDACTED.encode()).decode()
        shown["data"] = dict.fromkeys(map_secrets(shown["data"], lambda value: value), redacted)
    return f"{_HEADER}{resource.urn}\n" + yaml.safe_dump(map_secrets(shown, stand_in), width=120)


def write(files: Mapping[str, str], out: Path) -> None:
    """Make ``out`` hold exactly ``files`` of all those that an earlier rendering wrote; leave everything else alone."""
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.yaml"):
        if old.read_text().startswith(_HEADER):
            old.unlink()
    for name, content in files.items():
        (out / name).write_text(content)


def main() -> int:
    """The command line; 0 if everything was written, 1 with a message otherwise."""
    parser = argparse.ArgumentParser(prog="render", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("out", type=Path)
    parser.add_argument("--show-secrets", action="store_true")
    args = parser.parse_args()
    try:
        config, secrets = stack_config(args.stack)
        if not config.get(f"{PROJECT}:clusterUid"):
            print(
                f"render: {PROJECT}:clusterUid is not set yet; pulumi preview says which cluster answers",
                file=sys.stderr,
            )
            config[f"{PROJECT}:clusterUid"] = _NO_UID
        plain = {key for key, text in config.items() if may_be_secret(key) and text.strip()} - secrets
        for key in sorted(key for key in plain if config[key] != SAMPLE_CREDENTIALS):
            print(f"render: {key} is in plain text in the stack file; pulumi up will refuse it", file=sys.stderr)
        recording = record(config, secrets | plain, args.stack)
        files = render(recording, args.show_secrets)
        write(files, args.out)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"OUT: cannot write {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{len(files)} files in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
