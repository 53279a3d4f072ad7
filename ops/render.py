"""``make render``: writes what a stack deploys to files; needs only Python.

Usage: python -m ops.render STACK OUT [--show-secrets]
"""

import argparse
import gc
import hashlib
import shlex
import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from ops.lib.private_file import write_private
from ops.lib.recorder import record
from ops.lib.recording import Recording, Resource, Secret, map_secrets
from ops.lib.stack_file import stack_config
from settings import PROJECT, go_yaml, is_sample, may_be_secret
from settings.errors import SettingsError

HEADER = "# Rendered by flyte-home; not for editing. "
"""Beginning of every rendered file; the URN of its resource follows."""
REDACTED = "[redacted]"
"""What stands for a secret value. It is not base64, so the API server cannot read a Secret with it."""
READ_ONLY = {"flyte-home/rendered": "for reading, not for kubectl apply"}
"""Label of every rendered Secret. Its spaces make the API server reject the Secret, also one that shows its values:
passwords that Pulumi generates, and encrypted settings, are only placeholders there."""
_NO_UID = "not-pinned"
_LONGEST_NAME = 200


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
            files[_file_name(name)] = _yaml(manifest, resource, show_secrets)
    return files


def _file_name(name: str) -> str:
    """Return the name of a manifest's file. Names of Kubernetes objects can be longer than those of files."""
    if len(name) > _LONGEST_NAME:
        name = f"{name[:_LONGEST_NAME]}.{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return f"{name}.yaml"


def _yaml(content: Any, resource: Resource, show_secrets: bool) -> str:
    def stand_in(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: stand_in(item) for name, item in value.items()}
        return value if show_secrets else REDACTED

    shown = dict(content)
    if resource.kind == "Secret":
        shown = _read_only(shown if show_secrets else _redacted(shown))
    # The two wrap long texts differently. Scripts keep the wrapping that they have in renderings of earlier versions.
    dumper = go_yaml.Dumper if resource.kind == "ConfigMap" and "data" in shown else go_yaml.FastDumper
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

    If anything fails, the folder is as it was before.

    Args:
        files: content by name.
        out: folder, which is created if it is missing.
        private: only the owner can read the files and the folder, whatever the umask and their earlier modes.

    Raises:
        SettingsError: other files in the folder must not be replaced, or keep it from being closed to other users.
    """
    missing = [folder for folder in (out, *out.parents) if not folder.exists()]
    out.mkdir(mode=0o700 if private else 0o777, parents=True, exist_ok=True)
    mode = out.stat().st_mode
    try:
        earlier = _earlier(out)
        _check_others(files, out, earlier, private)
        if private:
            out.chmod(0o700)
        links = [out / name for name in files if (out / name).is_symlink()]
        _replace(files, out, {*earlier, *links}, private)
    except BaseException:
        out.chmod(mode)
        for folder in missing:
            folder.rmdir()
        raise


def _earlier(out: Path) -> list[Path]:
    """Return the files of earlier renderings."""
    begin = HEADER.encode()
    found = []
    for path in out.glob("*.yaml"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(len(begin)) == begin:
                    found.append(path)
    return found


def _check_others(files: Mapping[str, str], out: Path, earlier: Collection[Path], private: bool) -> None:
    for name in files:
        if (out / name).exists() and not (out / name).is_symlink() and out / name not in earlier:
            raise SettingsError(
                f"OUT: {out / name} is not from an earlier rendering, and would be replaced; move it away, or choose a "
                "new folder, such as OUT=rendered-new/"
            )
    if private and out.stat().st_mode & 0o077 and set(out.iterdir()) - set(earlier):
        raise SettingsError(
            f"OUT: {out} is open to other users and contains other files, so secrets are not written there; "
            f"choose a new folder, or close it with chmod 700 {shlex.quote(str(out))}"
        )


def _replace(files: Mapping[str, str], out: Path, before: Collection[Path], private: bool) -> None:
    """Put ``files`` in the place of the files ``before``: everything is written before anything is moved."""
    with tempfile.TemporaryDirectory(dir=out, prefix=".rendering-") as work:
        new, old = Path(work, "new"), Path(work, "old")
        for folder in (Path(work), new, old):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o700)
        for name, content in files.items():
            if private:
                write_private(new / name, content)
            else:
                (new / name).write_text(content)
        moved: list[tuple[Path, Path]] = []
        steps = [(path, old / path.name) for path in before] + [(new / name, out / name) for name in files]
        try:
            for source, target in steps:
                source.rename(target)
                moved.append((source, target))
        except BaseException:
            for source, target in reversed(moved):
                target.rename(source)
            raise


def main() -> int:
    """Run the command line; return 0 if everything was written, or print a message and return 1."""
    parser = argparse.ArgumentParser(prog="render", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("out")
    parser.add_argument("--show-secrets", action="store_true")
    args = parser.parse_args()
    out = Path(args.out)
    try:
        if not args.out.strip():
            raise SettingsError("OUT: is empty; write the name of a folder, such as OUT=rendered/")
        config, secrets = stack_config(args.stack)
        if not config.get(f"{PROJECT}:clusterUid"):
            print(
                f"render: {PROJECT}:clusterUid is not set yet; make up STACK={shlex.quote(args.stack)} sets it",
                file=sys.stderr,
            )
            config[f"{PROJECT}:clusterUid"] = _NO_UID
        plain = {key for key, text in config.items() if may_be_secret(key) and text.strip()} - secrets
        for key in sorted(key for key in plain if not is_sample(config[key])):
            command = f"pulumi config set --secret {shlex.quote(key)} --stack {shlex.quote(args.stack)}"
            print(
                f"render: {key} is in plain text in the stack file; pulumi up will reject it. Change the value where "
                f"it is in use, then write {command}",
                file=sys.stderr,
            )
        recording = record(config, secrets | plain, args.stack)
        # The recording lives until the end; without this, the garbage collector goes through all of it many times.
        gc.freeze()
        files = render(recording, args.show_secrets)
        write(files, out, private=args.show_secrets)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"OUT: cannot write {error.filename}: {error.strerror}; choose another folder, such as OUT=rendered/",
            file=sys.stderr,
        )
        return 1
    note = ", with secrets in plain text; delete them after use" if args.show_secrets else ""
    print(f"{len(files)} files in {out}{note}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
