"""``make up``: deploys a stack, after setting up what the first run needs.

Usage: python -m ops.up STACK [--context NAME] [--empty-volumes] [--database-moved] [--store-moved]
"""

import argparse
import json
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from components.object_store.external import CHECK
from components.pods import NAME
from ops.doctor.run import causes, lines
from ops.lib.backup.sealed_state import keep_state
from ops.lib.engine import engine_environment, pulumi, set_config
from ops.lib.kubectl import Cluster
from ops.lib.major_version import check_major_version
from ops.lib.pinning import TRIAL_STACK, pin_or_create
from ops.lib.record import deployed
from ops.lib.stack_file import stack_config
from ops.lib.state import check_space, open_state
from ops.lib.store_mode import isolation_warnings
from ops.lib.update import perform, prepare
from ops.lib.watch import Watch
from settings import PROJECT, SAMPLE_CREDENTIALS, Settings, settings_from
from settings.errors import SettingsError


def main() -> int:
    """Run the command line; return Pulumi's exit code, or print a message and return 1 if Pulumi cannot start."""
    parser = argparse.ArgumentParser(prog="up", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("--context", default="", help="kubeconfig context to pin the stack to")
    parser.add_argument("--empty-volumes", action="store_true", help="replace volumes that have disappeared")
    parser.add_argument("--database-moved", action="store_true", help="use another database, which has the rows")
    parser.add_argument("--store-moved", action="store_true", help="use another object store, which has the data")
    args = parser.parse_args()
    try:
        config, _ = stack_config(args.stack)
        environment = engine_environment()
        backend = open_state(environment, args.stack)
        pulumi(environment, "stack", "select", args.stack, "--create")
        pin_or_create(args.stack, config, args.context, environment)
        if args.stack == TRIAL_STACK and _lacks_a_sample(config):
            print(f"{PROJECT}:tidalCreds is not set; using a sample that gives no access to anything")
            set_config(environment, args.stack, f"{PROJECT}:tidalCreds", SAMPLE_CREDENTIALS, secret=True)
        settings = settings_from(*stack_config(args.stack))
        cluster = prepare(
            environment,
            backend,
            args.stack,
            settings,
            "up",
            args.empty_volumes,
            database_moved=args.database_moved,
            store_moved=args.store_moved,
        )
        if not args.empty_volumes:
            check_major_version(cluster, settings, args.stack)
        code = deploy(environment, backend, args.stack, settings, cluster)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    return code


def deploy(
    environment: Mapping[str, str],
    backend: Path | None,
    stack: str,
    settings: Settings,
    cluster: Cluster,
    *options: str,
    again: str = "up",
) -> int:
    """Run the update, record its commit, or print why it has failed; return Pulumi's exit code.

    Args:
        environment: environment of Pulumi.
        backend: folder of the state, see `ops.lib.state.open_state`.
        stack: name of the stack.
        settings: settings of the stack.
        cluster: cluster of the stack.
        options: options of ``pulumi up``.
        again: the make target that goes on after a failure.

    Raises:
        SettingsError: the user does not agree, or the cluster does not answer.
    """
    code = _update(environment, stack, settings, cluster, *options)
    if code:
        _explain(backend, stack, settings, again)
    else:
        if settings.minio.mode == "external":
            for warning in isolation_warnings(cluster, settings.namespace, f"{NAME}={CHECK}"):
                print(f"warning: {warning}")
        keep_state(environment, stack, settings, cluster)
    if not code and again == "up":
        deployed(cluster, settings.namespace)
    return code


def _update(environment: Mapping[str, str], stack: str, settings: Settings, cluster: Cluster, *options: str) -> int:
    """Run the update; return Pulumi's exit code."""
    # Meanwhile, because it takes a second.
    with ThreadPoolExecutor(1) as pool:
        rejected = pool.submit(_rejected_users, settings, cluster)
        code = perform(environment, stack, "up", Watch(cluster, settings.namespace), *options)
    # What the update itself has changed is not what it was.
    if code or not rejected.result() or not (users := _rejected_users(settings, cluster)):
        return code
    print(f"The object store rejects the key of {', '.join(users)}. Running its Job again:")
    again = f"--replace={_provisioning(stack)}"
    return perform(environment, stack, "up", Watch(cluster, settings.namespace), *options, again)


def _explain(backend: Path | None, stack: str, settings: Settings, again: str) -> None:
    """Print what is wrong with a stack whose update has failed, and what to do."""
    print("\nLooking for the cause:", flush=True)
    check_space(backend)
    found = list(causes(stack, settings))
    for finding in found:
        print(lines(finding), flush=True)
    if not found:
        print("nothing is wrong in the cluster; the reason is in the messages above")
    print(f"Then run again: make {again} STACK={stack}  # it goes on where this one stopped")


def _lacks_a_sample(config: Mapping[str, str]) -> bool:
    """Whether the tasks ask for credentials that are not set. Other secret managers than K8s need none here."""
    try:
        manager = json.loads(config.get(f"{PROJECT}:secretManager") or "{}")
    except ValueError:  # the update reports it
        manager = {}
    type_ = manager.get("type", "K8s") if isinstance(manager, dict) else "K8s"
    return type_ == "K8s" and not config.get(f"{PROJECT}:tidalCreds")


def _rejected_users(settings: Settings, cluster: Cluster) -> list[str]:
    """Return the users whose key the object store rejects; none if that cannot be known."""
    # Imported here, while Pulumi runs, because it takes long.
    from ops.lib.client import Client
    from ops.lib.store_keys import rejected_users

    return rejected_users(cluster, settings.namespace, Client.of(settings), settings.minio.bucket)


def _provisioning(stack: str) -> str:
    """Return the URN of the Job that creates the users of the object store."""
    return f"urn:pulumi:{stack}::{PROJECT}::flyte-home:index:Minio$kubernetes:batch/v1:Job::minio-provision"


if __name__ == "__main__":
    sys.exit(main())
