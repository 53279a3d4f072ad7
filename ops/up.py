"""``make up``: deploys a stack, after setting up what the first run needs.

Usage: python -m ops.up STACK [--context NAME] [--refresh]
"""

import argparse
import json
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from ops.lib.engine import engine_environment, pulumi, run, set_config, unattended
from ops.lib.pinning import TRIAL_STACK, pin_or_create
from ops.lib.stack_file import stack_config
from settings import PROJECT, SAMPLE_CREDENTIALS, settings_from
from settings.errors import SettingsError


def main() -> int:
    """Run the command line; return Pulumi's exit code, or print a message and return 1 if Pulumi cannot start."""
    parser = argparse.ArgumentParser(prog="up", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("--context", default="", help="kubeconfig context to pin the stack to")
    parser.add_argument("--refresh", action="store_true", help="read the cluster first, and recreate missing objects")
    args = parser.parse_args()
    try:
        config, _ = stack_config(args.stack)
        environment = engine_environment()
        pulumi(environment, "stack", "select", args.stack, "--create")
        pin_or_create(args.stack, config, args.context, environment)
        if args.stack == TRIAL_STACK and _lacks_a_sample(config):
            print(f"{PROJECT}:tidalCreds is not set; using a sample that gives no access to anything")
            set_config(environment, args.stack, f"{PROJECT}:tidalCreds", SAMPLE_CREDENTIALS, secret=True)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    # A refresh runs the program, and so its fence. Otherwise Pulumi would accept any cluster behind the context.
    refreshed = ["--refresh", "--run-program"] if args.refresh else []
    # Meanwhile, because it takes a second.
    with ThreadPoolExecutor(1) as pool:
        rejected = pool.submit(_rejected_users, args.stack)
        code = run(environment, args.stack, "up", *refreshed, *unattended())
    # What the update itself has changed is not what it was.
    if code or not rejected.result() or not (users := _rejected_users(args.stack)):
        return code
    print(f"The object store rejects the key of {', '.join(users)}. Running its Job again:")
    return run(environment, args.stack, "up", f"--replace={_provisioning(args.stack)}", *unattended())


def _lacks_a_sample(config: Mapping[str, str]) -> bool:
    """Whether the tasks ask for credentials that are not set. Other secret managers than K8s need none here."""
    try:
        manager = json.loads(config.get(f"{PROJECT}:secretManager") or "{}")
    except ValueError:  # the update reports it
        manager = {}
    type_ = manager.get("type", "K8s") if isinstance(manager, dict) else "K8s"
    return type_ == "K8s" and not config.get(f"{PROJECT}:tidalCreds")


def _rejected_users(stack: str) -> list[str]:
    """Return the users whose key the object store rejects; none if that cannot be known."""
    # Imported here, while Pulumi runs, because it takes long.
    from ops.lib.client import Client
    from ops.lib.kubectl import Cluster
    from ops.lib.store_keys import rejected_users

    try:
        settings = settings_from(*stack_config(stack))
        cluster = Cluster.of(settings.context, settings.kubeconfig)
    except SettingsError:  # the update reports it
        return []
    return rejected_users(cluster, settings.namespace, Client.of(settings), settings.minio.bucket)


def _provisioning(stack: str) -> str:
    """Return the URN of the Job that creates the users of the object store."""
    return f"urn:pulumi:{stack}::{PROJECT}::flyte-home:index:Minio$kubernetes:batch/v1:Job::minio-provision"


if __name__ == "__main__":
    sys.exit(main())
