"""``make render``: what a stack deploys, as files, on a machine that has nothing but Python.

Usage: python -m ops.render STACK OUT [--show-secrets]
"""

import argparse
import base64
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ops.lib.recorder import Recording, Resource, map_secrets, record
from ops.lib.stack_file import stack_config
from settings import PROJECT, SAMPLE_CREDENTIALS, may_be_secret
from settings.errors import SettingsError

# What every file begins with; the URN of its resource follows.
HEADER = "# Rendered by flyte-home; not for editing. "
REDACTED = "redacted"
_NO_UID = "not-pinned"


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
    return f"{HEADER}{resource.urn}\n" + yaml.safe_dump(map_secrets(shown, stand_in), width=120)


def write(files: Mapping[str, str], out: Path) -> None:
    """Make ``out`` hold exactly ``files`` of all those that an earlier rendering wrote; leave everything else alone."""
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.yaml"):
        if old.read_text().startswith(HEADER):
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
