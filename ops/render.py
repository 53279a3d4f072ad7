"""``make render``: writes what a stack deploys to files; needs only Python.

Usage: python -m ops.render STACK OUT [--show-secrets]
"""

import argparse
import base64
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ops.lib.recorder import record
from ops.lib.recording import Recording, Resource, map_secrets
from ops.lib.stack_file import stack_config
from settings import PROJECT, is_sample, may_be_secret
from settings.errors import SettingsError

HEADER = "# Rendered by flyte-home; not for editing. "
"""Beginning of every rendered file; the URN of its resource follows."""
# PyYAML's safe dumper, in C if PyYAML was built with it, which is fifty times as fast.
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
REDACTED = "redacted"
_NO_UID = "not-pinned"


def render(recording: Recording, show_secrets: bool) -> dict[str, str]:
    """Return the files by name: a manifest for each Kubernetes object, and the values of each Helm release."""
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
    # The two wrap long texts differently. Scripts keep the wrapping that they have in renderings of earlier versions.
    dumper = yaml.SafeDumper if resource.kind == "ConfigMap" else _DUMPER
    return f"{HEADER}{resource.urn}\n" + yaml.dump(map_secrets(shown, stand_in), Dumper=dumper, width=120)


def write(files: Mapping[str, str], out: Path) -> None:
    """Write ``files`` to ``out``, and remove the files of earlier renderings; other files stay as they are."""
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.yaml"):
        if old.read_text().startswith(HEADER):
            old.unlink()
    for name, content in files.items():
        (out / name).write_text(content)


def main() -> int:
    """Run the command line; return 0 if everything was written, or print a message and return 1."""
    parser = argparse.ArgumentParser(prog="render", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("out", type=Path)
    parser.add_argument("--show-secrets", action="store_true")
    args = parser.parse_args()
    try:
        config, secrets = stack_config(args.stack)
        if not config.get(f"{PROJECT}:clusterUid"):
            print(
                f"render: {PROJECT}:clusterUid is not set yet; make up STACK={args.stack} sets it",
                file=sys.stderr,
            )
            config[f"{PROJECT}:clusterUid"] = _NO_UID
        plain = {key for key, text in config.items() if may_be_secret(key) and text.strip()} - secrets
        for key in sorted(key for key in plain if not is_sample(config[key])):
            print(f"render: {key} is in plain text in the stack file; pulumi up will reject it", file=sys.stderr)
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
