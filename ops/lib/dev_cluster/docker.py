"""Clusters of containers: kind and k3d."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ops.lib.dev_cluster.commands import NAME, answer, run
from ops.tools import TOOLS, provide


@dataclass(frozen=True)
class InDocker:
    """A program that creates the cluster in Docker."""

    program: str
    label: str
    """Label that the program sets on its containers."""

    @property
    def context(self) -> str:
        return f"{self.program}-{NAME}"

    @property
    def title(self) -> str:
        return f"{self.program} in Docker"

    def exists(self) -> bool:
        """Return whether Docker has the cluster's containers; the program may be uninstalled by now."""
        return bool(answer(["docker", "ps", "--all", "--quiet", "--filter", f"label={self.label}={NAME}"]))

    def create(self) -> None:
        """Create the cluster, and add its context to the kubeconfig."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the stopped cluster, and add its context to the kubeconfig."""
        raise NotImplementedError

    def delete(self) -> None:
        """Delete the cluster and its context."""
        raise NotImplementedError


class Kind(InDocker):
    """https://kind.sigs.k8s.io, which is downloaded if it is not installed."""

    def create(self) -> None:
        provide("kind")
        with _same_context():
            run(["kind", "create", "cluster", "--name", NAME, "--wait", "180s"])

    def start(self) -> None:
        provide("kind")
        run(["docker", "start", f"{NAME}-control-plane"])
        with _same_context():
            run(["kind", "export", "kubeconfig", "--name", NAME])

    def delete(self) -> None:
        provide("kind")
        run(["kind", "delete", "cluster", "--name", NAME])


class K3d(InDocker):
    """https://k3d.io, with the pinned version of k3s: the default of an older k3d may be too old for the stack."""

    def create(self) -> None:
        version = TOOLS["k3s-install"].version
        image = f"rancher/k3s:v{version.replace('+', '-')}"
        options = ["--image", image, "--wait", "--timeout", "300s", "--kubeconfig-switch-context=false"]
        run(["k3d", "cluster", "create", NAME, *options])

    def start(self) -> None:
        run(["k3d", "cluster", "start", NAME])
        options = ["--kubeconfig-merge-default", "--kubeconfig-switch-context=false"]
        run(["k3d", "kubeconfig", "merge", NAME, *options])

    def delete(self) -> None:
        run(["k3d", "cluster", "delete", NAME])


@contextmanager
def _same_context() -> Iterator[None]:
    """Restore the current context afterwards: kind always switches to its own and has no option to prevent that."""
    before = answer(["kubectl", "config", "current-context"]).strip()
    yield
    if before:
        run(["kubectl", "config", "use-context", before])
