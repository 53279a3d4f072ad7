"""A Kubernetes on this machine for the stack `dev`.

It runs in Docker, with k3d or kind, whichever is installed; if neither is, kind is downloaded. It can also be k3s as a
system service, which needs root. Its context is added to the kubeconfig; the current context does not change.
"""

import platform
import shutil
import time

from components.cluster.kubeconfig import known_contexts
from ops.lib.dev_cluster.commands import NAME, agrees, answer
from ops.lib.dev_cluster.docker import InDocker, K3d, Kind
from ops.lib.dev_cluster.k3s import K3s
from ops.lib.stack_file import stack_config
from settings import PROJECT
from settings.errors import SettingsError

STACK = "dev"
_PROBE = "--request-timeout=5s"
_START_SECONDS = 180
_DOCKER_HOME = "https://docs.docker.com/get-started/get-docker/"

_KIND = Kind("kind", "io.x-k8s.kind.cluster")
_K3D = K3d("k3d", "k3d.cluster")
_SERVICE = K3s()
_PROVIDERS = (_K3D, _KIND, _SERVICE)
CONTEXTS = tuple(provider.context for provider in _PROVIDERS)
"""Contexts that the cluster can have, one for each provider."""


def create(k3s: bool = False) -> str:
    """Create the cluster, or start it if it exists and does not answer; return its context.

    Args:
        k3s: create it as a system service, which needs root, instead of in Docker.

    Raises:
        SettingsError: nothing on this machine can create a cluster, or a command failed.
    """
    provider = next((provider for provider in _PROVIDERS if provider.exists()), None)
    if provider and answers(provider.context):
        return provider.context
    if provider:
        print(f"The cluster {NAME} exists ({provider.title}); starting it", flush=True)
        provider.start()
        _wait_for(provider.context)
        return provider.context
    chosen = _SERVICE if k3s else _in_docker()
    if not chosen:
        docker = "does not answer; start it" if shutil.which("docker") else f"is not installed, see {_DOCKER_HOME}"
        if platform.system() != "Linux" or not agrees(
            f"Docker {docker}. Or install k3s as a system service, with sudo?"
        ):
            raise SettingsError(
                f"No cluster can be created on this machine: Docker {docker}",
                "make cluster K3S=1 installs k3s as a system service instead, with sudo, on Linux",
                f"make render STACK={STACK} shows what would be deployed, without a cluster",
            )
        chosen = _SERVICE
    print(f"Creating the cluster {NAME}: {chosen.title}", flush=True)
    chosen.create()
    _wait_for(chosen.context)
    return chosen.context


def delete() -> None:
    """Delete the cluster with everything in it.

    Raises:
        SettingsError: there is no such cluster, or it cannot be deleted.
    """
    existing = [provider for provider in _PROVIDERS if provider.exists()]
    if not existing:
        raise SettingsError(f"There is no cluster {NAME} of k3d, kind or k3s on this machine; nothing was changed")
    for provider in existing:
        provider.delete()
    if stack_config(STACK)[0].get("kubernetes:context") in {provider.context for provider in existing}:
        print(
            f"The stack {STACK} still refers to it. To start over: pulumi config rm {PROJECT}:clusterUid --stack "
            f"{STACK} && pulumi stack rm {STACK} --force --preserve-config --yes"
        )


def offer(why: SettingsError) -> str:
    """Offer to create or start the cluster; return its context if the person at the terminal agrees.

    Args:
        why: the reason why no existing cluster can be used.

    Raises:
        SettingsError: the offer was declined, or there is no terminal; the message has ``why`` and what to do.
    """
    if agrees(f"{why}\nCreate or start the cluster {NAME} on this machine?"):
        return create()
    raise SettingsError(
        str(why),
        "make cluster creates one on this machine, in Docker (or with K3S=1 as a system service, which needs root)",
        f"make render STACK={STACK} shows what would be deployed, without a cluster",
    )


def answers(context: str) -> bool:
    """Return whether the kubeconfig has the context and its cluster answers within a few seconds."""
    command = ["kubectl", "--context", context, "get", "namespace", "kube-system", "--output=name", _PROBE]
    return context in known_contexts() and "kube-system" in answer(command)


def _wait_for(context: str) -> None:
    end = time.monotonic() + _START_SECONDS
    while not answers(context):
        if time.monotonic() > end:
            raise SettingsError(
                f"The cluster {NAME} was started, but does not answer after {_START_SECONDS} s: kubectl --context "
                f"{context} get nodes shows why; make cluster-delete deletes it"
            )
        time.sleep(1)


def _in_docker() -> InDocker | None:
    if not answer(["docker", "info"]):
        return None
    return _K3D if shutil.which("k3d") else _KIND
