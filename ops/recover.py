"""``make recover``: brings a stack back on a new machine and a new cluster, with its recovery key.

Usage: python -m ops.recover --context NAME [--at SET] [--target TARGET] [--image IMAGE] < KEY

Without a terminal, the key is read from standard input.
"""

import argparse
import getpass
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

from ops.lib.backup.fetched_state import fetched_state
from ops.lib.backup.recovery_key import RecoveryKey
from ops.lib.engine import STATE, bare_environment, engine_environment, has_backend, pulumi
from ops.lib.kubectl import Cluster
from ops.lib.private_file import write_private
from paths import ROOT
from settings import PROJECT
from settings.backup import BackupSettings
from settings.errors import SettingsError
from settings.images import IMAGES


def main() -> int:
    """Run the command line; return 0 if the stack works again, 1 with a message otherwise."""
    parser = argparse.ArgumentParser(prog="recover", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--context", required=True, help="kubeconfig context of the new cluster")
    parser.add_argument("--at", default="latest", help="the set: latest, or the beginning of its id or of its time")
    parser.add_argument("--target", default="", help="the target, if it has moved since the key was made")
    parser.add_argument("--image", default=IMAGES["restic"].reference, help="image of restic")
    args = parser.parse_args()
    begin = time.monotonic()
    try:
        if not args.context:
            raise SettingsError("CONTEXT: is empty; write the kubeconfig context of the new cluster: CONTEXT=name")
        key = RecoveryKey.read(_key())
        if args.target:
            key = replace(key, target=_target(args.target))
        cluster = Cluster.of(args.context)
        uid = cluster.uid()
        environment = bare_environment()
        chosen = has_backend(environment)
        _check_free(key.stack, environment, chosen)
        print(f"fetching the state of the stack {key.stack} from {key.target}", flush=True)
        files = fetched_state(cluster, key, args.at, args.image)
        _write(key.stack, files, args.context, args.target and key.target, chosen)
        print(f"deploying {key.stack} into the cluster {uid} of {args.context}", flush=True)
        _make("ops.up", key.stack, "--context", args.context, "--empty-volumes")
        print("restoring its data", flush=True)
        _make("ops.restore", key.stack, "--at", args.at)
    except SettingsError as error:
        print(f"FAILED  {error}", file=sys.stderr)
        return 1
    print(f"ok      the stack {key.stack} is back, in {time.monotonic() - begin:.0f} s")
    return 0


def _key() -> str:
    return getpass.getpass("Recovery key: ") if sys.stdin.isatty() else sys.stdin.read()


def _target(text: str) -> str:
    try:
        return BackupSettings(target=text).target
    except ValueError as error:
        raise SettingsError(f"TARGET: {text!r} {str(error).partition('Value error, ')[2].partition(' [')[0]}") from None


def _check_free(stack: str, environment: Mapping[str, str], chosen: bool) -> None:
    """Check that no state would be replaced.

    Args:
        stack: name of the stack.
        environment: environment of Pulumi.
        chosen: whether the user has chosen a place for the state.

    Raises:
        SettingsError: there is a state of this stack already.
    """
    if chosen:
        listed = json.loads(pulumi(environment, "stack", "ls", "--json"))
        if any(one["name"].rpartition("/")[2] == stack for one in listed):
            raise SettingsError(
                f"the backend of Pulumi has a stack {stack} already; nothing was changed. Choose another one with "
                "PULUMI_BACKEND_URL, or remove that stack first"
            )
    elif (STATE / ".pulumi" / "stacks" / PROJECT / f"{stack}.json").exists() or (STATE / "passphrase").exists():
        raise SettingsError(
            f"{STATE} has a state already; nothing was changed. Recover in a fresh clone, or move that folder away"
        )


def _write(stack: str, files: Mapping[str, bytes], context: str, target: str, chosen: bool) -> None:
    """Write the stack file and the passphrase, and import the state, without the pin to the lost cluster."""
    passphrase = files.get("passphrase", b"").decode()
    if passphrase and not chosen:
        STATE.mkdir(mode=0o700, exist_ok=True)
        write_private(STATE / "passphrase", passphrase)
    elif passphrase:
        os.environ.setdefault("PULUMI_CONFIG_PASSPHRASE", passphrase)
    (ROOT / f"Pulumi.{stack}.yaml").write_bytes(files[f"Pulumi.{stack}.yaml"])
    environment = engine_environment()
    pulumi(environment, "stack", "select", stack, "--create")
    pulumi(environment, "stack", "import", "--stack", stack, text=files["state.json"].decode())
    pulumi(environment, "config", "rm", f"{PROJECT}:clusterUid", "--stack", stack)
    pulumi(environment, "config", "rm", "kubernetes:kubeconfig", "--stack", stack)
    pulumi(environment, "config", "set", "kubernetes:context", context, "--stack", stack)
    if target:
        pulumi(environment, "config", "set", "--path", f"{PROJECT}:backup.target", target, "--stack", stack)


def _make(module: str, *arguments: str) -> None:
    if subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, stdin=subprocess.DEVNULL).returncode:
        raise SettingsError(
            "this step has failed, as said above. The state is in place: correct the cause, then go on with "
            "make up EMPTY_VOLUMES=yes and make restore"
        )


if __name__ == "__main__":
    sys.exit(main())
