"""``make up``, ``make preview`` and ``make destroy``: Pulumi, with what a first run needs set up before it.

Usage: python -m ops.up STACK [--context NAME] [--preview | --destroy | --refresh]
"""

import argparse
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from components.cluster.kubeconfig import known_contexts
from ops import dev_cluster
from ops.cluster import Cluster
from ops.stack_file import stack_config
from ops.tools import provide_pulumi
from paths import ROOT
from settings import PROJECT, SAMPLE_CREDENTIALS
from settings.errors import SettingsError

STATE = ROOT / ".state"
_TRIAL_STACK = "dev"


def main() -> int:
    """The command line; Pulumi's exit code, or 1 with a message where it could not even start."""
    parser = argparse.ArgumentParser(prog="make", description=__doc__)
    parser.add_argument("stack")
    parser.add_argument("--context", default="")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--preview", action="store_true")
    what.add_argument("--destroy", action="store_true")
    what.add_argument("--refresh", action="store_true", help="look at the cluster first, and make what is gone there")
    args = parser.parse_args()
    try:
        config, _ = stack_config(args.stack)
        environment = engine_environment()
        _pulumi(environment, "stack", "select", args.stack, *([] if args.destroy else ["--create"]))
        if not args.destroy and not args.preview:
            pin_or_make(args.stack, config, args.context, environment)
            if args.stack == _TRIAL_STACK and not config.get(f"{PROJECT}:tidalCreds"):
                print(f"{PROJECT}:tidalCreds is not set: a sample that opens nothing takes its place")
                _set(environment, args.stack, f"{PROJECT}:tidalCreds", SAMPLE_CREDENTIALS, secret=True)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    if args.preview:
        return _run(environment, args.stack, "preview", "--diff")
    unattended = [] if sys.stdin.isatty() else ["--yes"]
    if args.destroy:
        # With the program, and so with its fence: without it Pulumi would believe any cluster of the same context.
        return _run(environment, args.stack, "destroy", "--run-program", *unattended)
    # Likewise with the program, and so behind its fence.
    refreshed = ["--refresh", "--run-program"] if args.refresh else []
    return _run(environment, args.stack, "up", *refreshed, *unattended)


def engine_environment() -> dict[str, str]:
    """The environment that Pulumi is started in: this one, with somewhere to keep its state.

    Raises:
        SettingsError: there is no Pulumi.
    """
    pulumi = provide_pulumi()  # first: it may change the PATH
    environment = os.environ | {"PULUMI_SKIP_UPDATE_CHECK": "true"} | pulumi
    return environment | backend(environment, logged_in=_logged_in(environment))


def backend(environment: Mapping[str, str], logged_in: bool, state: Path = STATE) -> dict[str, str]:
    """What to add to the environment so that Pulumi has somewhere to keep its state.

    Nothing where the user already chose: a backend in the environment, or a login. Otherwise a folder of this
    project, with a generated passphrase that only its owner can read.
    """
    if logged_in or environment.get("PULUMI_BACKEND_URL"):
        return {}
    state.mkdir(mode=0o700, exist_ok=True)
    chosen = {"PULUMI_BACKEND_URL": f"file://{state}"}
    if not environment.get("PULUMI_CONFIG_PASSPHRASE") and not environment.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        passphrase = state / "passphrase"
        if not passphrase.exists():
            descriptor = os.open(passphrase, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(32))
        chosen["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(passphrase)
    print(f"State and passphrase are in {state}; back them up. For plain pulumi commands:")
    print("  export " + " ".join(f"{key}={value}" for key, value in chosen.items()))
    return chosen


def choose_context(stack: str, configured: str, asked: str, contexts: list[str]) -> str:
    """The context to pin a stack to at its first run.

    Raises:
        SettingsError: it is not clear which one is meant; the message lists them.
    """
    for name in filter(None, (asked, configured)):
        if name in contexts:
            return name
        if name == asked:
            raise SettingsError(f"CONTEXT: the kubeconfig has no context {name!r}; it has {_listed(contexts)}")
    if stack == _TRIAL_STACK and len(contexts) == 1:
        return contexts[0]
    raise SettingsError(
        f"kubernetes:context: the kubeconfig has no context {configured!r}; it has {_listed(contexts)}. "
        f"Write make up STACK={stack} CONTEXT=NAME with the one to deploy to"
    )


def pin(stack: str, config: Mapping[str, str], asked: str, environment: Mapping[str, str]) -> None:
    """Write context and cluster UID into the stack file, if it names no cluster yet or another context is asked for."""
    configured, uid = config.get("kubernetes:context", ""), config.get(f"{PROJECT}:clusterUid", "")
    if uid and asked in {"", configured}:
        return
    kubeconfig = config.get("kubernetes:kubeconfig", "")
    context = choose_context(stack, configured, asked, known_contexts(kubeconfig, environment))
    there = Cluster.of(context, kubeconfig, environment).uid()
    if uid and uid != there:
        raise SettingsError(
            f"CONTEXT: stack {stack!r} belongs to the cluster {uid}, but {context!r} leads to {there}; nothing "
            f"was changed. If the stack shall move there, first pulumi config rm {PROJECT}:clusterUid --stack {stack}"
        )
    if context != configured:
        _set(environment, stack, "kubernetes:context", context)
    if not uid:
        print(f"Stack {stack} is now pinned to the cluster {there} of context {context}")
        _set(environment, stack, f"{PROJECT}:clusterUid", there)


def pin_or_make(stack: str, config: Mapping[str, str], asked: str, environment: Mapping[str, str]) -> None:
    """Pin the stack as `pin` does; the trial stack to a cluster that is made for it where none answers.

    Raises:
        SettingsError: as `pin`, or nobody agrees to make one.
    """
    contexts = known_contexts(environ=environment)
    ours = next((name for name in dev_cluster.CONTEXTS if name in contexts), "")
    free = stack == _TRIAL_STACK and not asked
    free = free and not config.get(f"{PROJECT}:clusterUid") and not config.get("kubernetes:kubeconfig")
    try:
        pin(stack, config, ours if free else asked, environment)
    except SettingsError as why:
        # A cluster that answers is never passed over, unless one was made for this stack, which is started again.
        if not free or (not ours and any(map(dev_cluster.answers, contexts))):
            raise
        pin(stack, config, dev_cluster.offer(why), environment)


def _run(environment: Mapping[str, str], stack: str, *command: str) -> int:
    # Ctrl-C reaches Pulumi by itself, which then stops in an orderly way; this program only waits for that.
    with subprocess.Popen(["pulumi", *command, "--stack", stack], env=environment, cwd=ROOT) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names)) or "none"


def _logged_in(environment: Mapping[str, str]) -> bool:
    command = ["pulumi", "whoami", "--non-interactive"]
    return subprocess.run(command, env=environment, capture_output=True, cwd=ROOT, check=False).returncode == 0


def _pulumi(environment: Mapping[str, str], *arguments: str, text: str | None = None) -> None:
    result = subprocess.run(
        ["pulumi", *arguments, "--non-interactive"],
        env=environment,
        cwd=ROOT,
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise SettingsError(f"pulumi {' '.join(arguments[:2])}: {result.stderr.strip() or result.stdout.strip()}")


def _set(environment: Mapping[str, str], stack: str, key: str, value: str, secret: bool = False) -> None:
    # Through standard input: arguments can be read by every user of the machine.
    _pulumi(environment, "config", "set", "--stack", stack, key, *(["--secret"] if secret else []), text=value)


if __name__ == "__main__":
    sys.exit(main())
