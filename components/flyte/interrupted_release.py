"""Recovering from an installation of a Helm release that was killed."""

import shutil
import subprocess
from pathlib import Path

import pulumi

_RECORDS = "owner=helm,name={release}"
_UNFINISHED = f"{_RECORDS},status notin (deployed,superseded)"
_SECONDS = 60


def forget_interrupted_release(
    release: str, namespace: str, context: str, kubeconfig: str
) -> pulumi.ResourceHookBinding:
    """Hooks that remove Helm's records of ``release`` that would keep it from being installed or upgraded.

    Helm never again changes a release whose record says ``pending-``, even if the process that installed it is gone
    (https://github.com/pulumi/pulumi-kubernetes/issues/2054). Without the record, the next attempt starts from the last
    finished revision and takes over the objects, which carry the release's name. The hooks run while Pulumi holds the
    lock on the stack, so no other installation of this stack can be running.

    Before the release is created, all records are removed: an update that was killed may have installed a release that
    Pulumi does not know, and Helm would refuse to install another of that name.

    Raises:
        RuntimeError: in a hook, if kubectl fails or does not answer within a minute.
    """

    def hook(name: str, selector: str) -> pulumi.ResourceHook:
        def forget(_args: pulumi.ResourceHookArgs) -> None:
            if not shutil.which("kubectl"):
                pulumi.log.warn("kubectl is not on the PATH; an interrupted Helm release cannot be cleaned up")
                return
            command = ["kubectl", "--kubeconfig", str(Path(kubeconfig).expanduser()), "--context", context]
            command += ["--namespace", namespace, "delete", "secret", "--selector", selector.format(release=release)]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
            except subprocess.TimeoutExpired:
                raise RuntimeError(f"kubectl got no answer within {_SECONDS} seconds") from None
            if done.returncode:
                raise RuntimeError(f"cannot look for an interrupted Helm release: {done.stderr.strip()}")

        return pulumi.ResourceHook(name, forget)

    return pulumi.ResourceHookBinding(
        before_create=[hook("forget-unknown-release", _RECORDS)],
        before_update=[hook("forget-interrupted-release", _UNFINISHED)],
    )
