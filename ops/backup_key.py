"""``make backup-key``: makes the recovery key of a stack, shows it once, and makes a set that it opens.

Usage: python -m ops.backup_key STACK [--new]
"""

import argparse
import base64
import json
import secrets
import sys

from components.backup import names
from components.pods import LABELS
from ops.lib.backup.jobs import Job
from ops.lib.backup.recovery_key import RecoveryKey
from ops.lib.backup.sealed_state import keep_state
from ops.lib.backup.sets import check_has_backup, take
from ops.lib.engine import engine_environment, pulumi
from ops.lib.kubectl import Cluster
from ops.lib.stack_file import stack_config
from ops.lib.text import one_line
from ops.lib.workloads import Object
from settings import PROJECT, Settings, settings_from
from settings.errors import SettingsError

_MOUNT = "/run/recovery"
_SETTING = f"{PROJECT}:backup.recoveryKey"


def main() -> int:
    """Run the command line; return 0 once the key is shown and a set exists, 1 with a message otherwise."""
    parser = argparse.ArgumentParser(prog="backup-key", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("--new", action="store_true", help="replace the key that there is")
    args = parser.parse_args()
    try:
        settings = settings_from(*stack_config(args.stack))
        check_has_backup(settings, args.stack)
        if settings.backup.recovery_key and not args.new:
            raise SettingsError(
                f"{_SETTING}: there is a recovery key; it was shown once. If it is lost, write "
                f"make backup-key NEW=yes STACK={args.stack}, which replaces it"
            )
        cluster = Cluster.of(settings.context, settings.kubeconfig)
        cluster.check_is(settings.cluster_uid, args.stack)
        environment = engine_environment()
        key = RecoveryKey.new(args.stack, settings, _credentials(environment, args.stack, settings))
        _add(key, settings, cluster)
        pulumi(environment, "config", "set", "--stack", args.stack, "--path", _SETTING, key.public)
        print("\nThe recovery key. Keep it where you keep passwords, away from this machine. It is not shown again:\n")
        print(f"{key.text}\n", flush=True)
        settings = settings_from(*stack_config(args.stack))
        keep_state(environment, args.stack, settings, cluster)
        made = take(args.stack, settings, cluster, "recovery-key")
    except SettingsError as error:
        print(f"FAILED  {error}", file=sys.stderr)
        return 1
    print(f"ok      set {made[:8]} and all later ones can be recovered with it: make recover CONTEXT=name")
    return 0


def _credentials(environment: dict[str, str], stack: str, settings: Settings) -> str:
    """Return what opens the target, decrypted."""
    if settings.backup.kind == "claim":
        return ""
    return pulumi(environment, "config", "get", f"{PROJECT}:backupCredentials", "--stack", stack).strip()


def _add(key: RecoveryKey, settings: Settings, cluster: Cluster) -> None:
    """Let the key open the repository.

    Raises:
        SettingsError: the cluster or the target does not answer.
    """
    secret = f"backup-recovery-{secrets.token_hex(4)}"
    where = f"--namespace={settings.namespace}"
    content = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret, "namespace": settings.namespace, "labels": dict(LABELS)},
        "data": {"password": base64.b64encode(key.password.encode()).decode()},
    }

    def mount(job: Object) -> None:
        pod = job["spec"]["template"]["spec"]
        pod["volumes"].append({"name": "recovery", "secret": {"secretName": secret, "defaultMode": 0o440}})
        container = pod["containers"][0]
        container["volumeMounts"].append({"name": "recovery", "mountPath": _MOUNT, "readOnly": True})
        container["env"].append({"name": "RECOVERY", "value": _MOUNT})

    created = cluster.run("create", "--filename=-", given=json.dumps(content))
    if created.returncode:
        raise SettingsError(f"a Secret cannot be created in {settings.namespace}: {one_line(created.stderr)}")
    try:
        action = {"ACTION": "add-key"}
        Job(cluster, settings.namespace, names.CHECK, action, removed=True, counts=False, manifest=mount).run()
    finally:
        cluster.run("delete", "secret", secret, where, "--ignore-not-found")


if __name__ == "__main__":
    sys.exit(main())
