"""``make render``: writes what a stack deploys to files; needs only Python.

Usage: python -m ops.render STACK OUT [--show-secrets]
"""

import argparse
import gc
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ops.lib.private_file import write_private
from ops.lib.recorder import record
from ops.lib.recording import Recording, Resource, Secret, map_secrets
from ops.lib.stack_file import stack_config
from settings import PROJECT, is_sample, may_be_secret
from settings.errors import SettingsError

HEADER = "# Rendered by flyte-home; not for editing. "
"""Beginning of every rendered file; the URN of its resource follows."""
# PyYAML's safe dumper, in C if PyYAML was built with it, which is fifty times as fast.
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
REDACTED = "[redacted]"
"""What stands for a secret value. It is not base64, so the API server cannot read a Secret with it."""
READ_ONLY = {"flyte-home/rendered": "for reading, not for kubectl apply"}
"""Label of every rendered Secret. Its spaces make the API server reject the Secret, also one that shows its values:
passwords that Pulumi generates, and encrypted settings, are only placeholders there."""
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
    if resource.kind == "Secret":
        shown = _read_only(shown if show_secrets else _redacted(shown))
    # The two wrap long texts differently. Scripts keep the wrapping that they have in renderings of earlier versions.
    dumper = yaml.SafeDumper if resource.kind == "ConfigMap" and "data" in shown else _DUMPER
    return f"{HEADER}{resource.urn}\n" + yaml.dump(map_secrets(shown, stand_in), Dumper=dumper, width=120)


def _redacted(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Secret with `REDACTED` for its values, below ``data``: below ``stringData``, it would be a value."""
    given = manifest.get("stringData", {})
    text = map_secrets(given, lambda value: value)
    rest = {} if isinstance(given, Secret) else {key: value for key, value in given.items() if value == text[key]}
    hidden = [*map_secrets(manifest.get("data", {}), lambda value: value), *(text.keys() - rest.keys())]
    kept = {key: value for key, value in manifest.items() if key not in {"data", "stringData"}}
    return kept | {"data": dict.fromkeys(hidden, REDACTED)} | ({"stringData": rest} if rest else {})


def _read_only(manifest: Mapping[str, Any]) -> dict[str, Any]:
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), **READ_ONLY}}}


def write(files: Mapping[str, str], out: Path, private: bool = False) -> None:
    """Write ``files`` to ``out``, and remove the files of earlier renderings; other files stay as they are.

    Args:
        files: content by name.
        out: folder, which is created if it is missing.
        private: only the owner can read the files and the folder, whatever the umask and their earlier modes.

    Raises:
        SettingsError: the folder is open to other users and contains other files, so it must not be closed.
    """
    out.mkdir(mode=0o700 if private else 0o777, parents=True, exist_ok=True)
    earlier = [old for old in out.glob("*.yaml") if old.read_text().startswith(HEADER)]
    if private and out.stat().st_mode & 0o077 and set(out.iterdir()) - set(earlier):
        raise SettingsError(
            f"OUT: {out} is open to other users and contains other files, so secrets are not written there; "
            "choose a new folder, or close it with chmod 700"
        )
    for old in earlier:
        old.unlink()
    for name, content in files.items():
        if private:
            write_private(out / name, content)
        else:
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
        # The recording lives until the end; without this, the garbage collector goes through all of it many times.
        gc.freeze()
        files = render(recording, args.show_secrets)
        write(files, args.out, private=args.show_secrets)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"OUT: cannot write {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    note = ", with secrets in plain text; delete them after use" if args.show_secrets else ""
    print(f"{len(files)} files in {args.out}{note}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
