"""A Kubernetes cluster on this machine for the stack `dev`.

In Docker, with k3d or kind, whichever is installed; kind is fetched where neither is. With ``--k3s`` as a system
service, which needs root. Each leaves its context in the kubeconfig and the current context as it was.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from components.cluster.kubeconfig import known_contexts
from ops.lib.stack_file import stack_config
from ops.tools import TOOLS, provide
from settings import PROJECT
from settings.errors import SettingsError

NAME = "flyte-home-dev"
STACK = "dev"
_PROBE = "--request-timeout=5s"
_SECONDS = 60
_START_SECONDS = 180
_DOCKER_HOME = "https://docs.docker.com/get-started/get-docker/"
_K3S = TOOLS["k3s-install"].version


@dataclass(frozen=True)
class InDocker:
    """What makes a cluster of containers."""

    program: str
    # What it puts on its containers.
    label: str

    @property
    def context(self) -> str:
        return f"{self.program}-{NAME}"

    @property
    def title(self) -> str:
        return f"{self.program} in Docker"

    def there(self) -> bool:
        """Whether this has made the cluster; Docker knows, also where the program is gone."""
        return bool(_answer(["docker", "ps", "--all", "--quiet", "--filter", f"label={self.label}={NAME}"]))

    def create(self) -> None:
        """Make it, and add its context to the kubeconfig."""
        raise NotImplementedError

    def wake(self) -> None:
        """Start what is there, and add its context to the kubeconfig."""
        raise NotImplementedError

    def delete(self) -> None:
        """Remove it, and its context."""
        raise NotImplementedError


class Kind(InDocker):
    """https://kind.sigs.k8s.io, which is fetched where it is not installed."""

    def create(self) -> None:
        provide("kind")
        with _same_context():
            _run(["kind", "create", "cluster", "--name", NAME, "--wait", "180s"])

    def wake(self) -> None:
        provide("kind")
        _run(["docker", "start", f"{NAME}-control-plane"])
        with _same_context():
            _run(["kind", "export", "kubeconfig", "--name", NAME])

    def delete(self) -> None:
        provide("kind")
        _run(["kind", "delete", "cluster", "--name", NAME])


class K3d(InDocker):
    """https://k3d.io, with the k3s that is pinned: what an older k3d would take may be too old."""

    def create(self) -> None:
        image = f"rancher/k3s:v{_K3S.replace('+', '-')}"
        options = ["--image", image, "--wait", "--timeout", "300s", "--kubeconfig-switch-context=false"]
        _run(["k3d", "cluster", "create", NAME, *options])

    def wake(self) -> None:
        _run(["k3d", "cluster", "start", NAME])
        options = ["--kubeconfig-merge-default", "--kubeconfig-switch-context=false"]
        _run(["k3d", "kubeconfig", "merge", NAME, *options])

    def delete(self) -> None:
        _run(["k3d", "cluster", "delete", NAME])


class K3s:
    """A system service where no other k3s is: https://docs.k3s.io/installation/configuration."""

    context, title = NAME, "k3s as a system service"
    _service = f"k3s-{NAME}"
    _uninstall = Path("/usr/local/bin") / f"{_service}-uninstall.sh"
    _kubeconfig = "/etc/rancher/k3s/k3s.yaml"

    def there(self) -> bool:
        """Whether this has made the cluster."""
        return self._uninstall.exists()

    def create(self) -> None:
        """Install it, and add its context to the kubeconfig.

        Raises:
            SettingsError: this is not Linux, there is another k3s, or the installer failed.
        """
        if platform.system() != "Linux":
            raise SettingsError("K3S: k3s runs on Linux only; start Docker instead, and write make cluster")
        if other := shutil.which("k3s"):
            raise SettingsError(
                f"K3S: {other} is installed already and nothing was changed; use its cluster: copy {self._kubeconfig} "
                f"to a file that you may read, and write KUBECONFIG=FILE make up STACK={STACK}"
            )
        installer = TOOLS["k3s-install"].fetch() / "k3s-install"
        print(f"Installing k3s {_K3S} as the service {self._service}; sudo may ask for your password", flush=True)
        given = {"INSTALL_K3S_VERSION": f"v{_K3S}", "INSTALL_K3S_NAME": NAME}
        _run(["sh", str(installer), "server"], given)
        self._add_context()

    def wake(self) -> None:
        """Start the service, and add its context to the kubeconfig."""
        print(f"Starting the service {self._service}; sudo may ask for your password", flush=True)
        _run([*_as_root(), "systemctl", "start", self._service])
        self._add_context()

    def delete(self) -> None:
        """Uninstall it, and remove its context."""
        _run([*_as_root(), str(self._uninstall)])
        for kind in ("context", "cluster", "user"):
            _run(["kubectl", "config", f"delete-{kind}", NAME])

    def _add_context(self) -> None:
        """Copy the context, which only root may read, into the user's kubeconfig, by another name than `default`."""
        text = _answer([*_as_root(), "cat", self._kubeconfig])
        if not text:
            raise SettingsError(f"K3S: {self._kubeconfig} cannot be read with sudo; write make cluster K3S=1 once more")
        content = yaml.safe_load(text)
        for kind in ("clusters", "users", "contexts"):
            content[kind][0]["name"] = NAME
        content["contexts"][0]["context"].update(cluster=NAME, user=NAME)
        content.pop("current-context", None)
        path = Path((os.environ.get("KUBECONFIG") or "~/.kube/config").split(os.pathsep)[0]).expanduser().resolve()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Both are readable by their owner only, and the kubeconfig is the old one or the new one, whatever happens.
        with tempfile.TemporaryDirectory(prefix=".k3s-", dir=path.parent) as folder:
            ours, merged = Path(folder) / "ours", Path(folder) / "merged"
            ours.touch(0o600)
            ours.write_text(yaml.safe_dump(content))
            # The first file wins: what an earlier cluster of this name left must not.
            files = os.pathsep.join([str(ours), *([str(path)] if path.exists() else [])])
            view = ["kubectl", "config", "view", "--flatten", "--raw"]
            text = _answer(view, {"KUBECONFIG": files})
            if not text:
                raise SettingsError(f"KUBECONFIG: kubectl cannot read {path}, which was not changed; mend it")
            merged.touch(0o600)
            merged.write_text(text)
            merged.replace(path)


_KIND = Kind("kind", "io.x-k8s.kind.cluster")
_K3D = K3d("k3d", "k3d.cluster")
_SERVICE = K3s()
_MAKERS = (_K3D, _KIND, _SERVICE)
CONTEXTS = tuple(maker.context for maker in _MAKERS)


def create(k3s: bool = False) -> str:
    """The context of the cluster of this name, which is started or made unless it answers.

    Args:
        k3s: make it as a system service, which needs root, and not in Docker.

    Raises:
        SettingsError: there is nothing to make it with, or that failed.
    """
    maker = next((maker for maker in _MAKERS if maker.there()), None)
    if maker and answers(maker.context):
        return maker.context
    if maker:
        print(f"The cluster {NAME} is there ({maker.title}) and is started", flush=True)
        maker.wake()
        _wait_for(maker.context)
        return maker.context
    chosen = _SERVICE if k3s else _in_docker()
    if not chosen:
        docker = "does not answer; start it" if shutil.which("docker") else f"is not installed, see {_DOCKER_HOME}"
        if platform.system() != "Linux" or not _agrees(
            f"Docker {docker}. Or install k3s as a system service, with sudo?"
        ):
            raise SettingsError(
                f"No cluster can be made on this machine: Docker {docker}",
                "make cluster K3S=1 installs k3s as a system service instead, with sudo, on Linux",
                f"make render STACK={STACK} shows what would be deployed, without a cluster",
            )
        chosen = _SERVICE
    print(f"Making the cluster {NAME}: {chosen.title}", flush=True)
    chosen.create()
    _wait_for(chosen.context)
    return chosen.context


def delete() -> None:
    """Remove the cluster of this name, with all that is in it; nothing else is touched.

    Raises:
        SettingsError: there is none, or it cannot be removed.
    """
    made = [maker for maker in _MAKERS if maker.there()]
    if not made:
        raise SettingsError(f"There is no cluster {NAME} of k3d, kind or k3s on this machine; nothing was changed")
    for maker in made:
        maker.delete()
    if stack_config(STACK)[0].get("kubernetes:context") in {maker.context for maker in made}:
        print(
            f"The stack {STACK} still refers to it. To begin anew: pulumi config rm {PROJECT}:clusterUid --stack "
            f"{STACK} && pulumi stack rm {STACK} --force --preserve-config --yes"
        )


def offer(why: SettingsError) -> str:
    """The context of a cluster that is made, or started, if whoever sits at the terminal agrees.

    Args:
        why: what is wrong with the clusters there are.

    Raises:
        SettingsError: nobody agrees; ``why``, and what to do.
    """
    if _agrees(f"{why}\nMake or start the cluster {NAME} on this machine?"):
        return create()
    raise SettingsError(
        str(why),
        "make cluster makes one on this machine, in Docker (or with K3S=1 as a system service, which needs root)",
        f"make render STACK={STACK} shows what would be deployed, without a cluster",
    )


def answers(context: str) -> bool:
    """Whether the cluster of a context of the kubeconfig answers within a few seconds."""
    command = ["kubectl", "--context", context, "get", "namespace", "kube-system", "--output=name", _PROBE]
    return context in known_contexts() and "kube-system" in _answer(command)


def _wait_for(context: str) -> None:
    end = time.monotonic() + _START_SECONDS
    while not answers(context):
        if time.monotonic() > end:
            raise SettingsError(
                f"The cluster {NAME} was started, but does not answer after {_START_SECONDS} s: kubectl --context "
                f"{context} get nodes says why; make cluster-delete removes it"
            )
        time.sleep(1)


def _in_docker() -> InDocker | None:
    if not _answer(["docker", "info"]):
        return None
    return _K3D if shutil.which("k3d") else _KIND


@contextmanager
def _same_context() -> Iterator[None]:
    """Leave the current context as it is: kind makes its own the current one, and has no option against that."""
    before = _answer(["kubectl", "config", "current-context"]).strip()
    yield
    if before:
        _run(["kubectl", "config", "use-context", before])


def _agrees(question: str) -> bool:
    """Whether somebody sits at the terminal, and says yes. A job of CI is nobody."""
    if not sys.stdin.isatty() or os.environ.get("CI"):
        return False
    return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}


def _as_root() -> list[str]:
    return [] if os.geteuid() == 0 else ["sudo"]


def _run(command: list[str], more: Mapping[str, str] | None = None) -> None:
    """Run the command on the user's terminal."""
    try:
        failed = subprocess.run(command, env=os.environ | dict(more or {}), check=False).returncode
    except FileNotFoundError:
        raise SettingsError(f"{command[0]} is not on the PATH, and is what the cluster {NAME} was made with") from None
    if failed:
        raise SettingsError(f"{' '.join(command[:3])} failed, see above")


def _answer(command: list[str], more: Mapping[str, str] | None = None) -> str:
    """What the command prints; nothing where it fails, is not there, or takes long."""
    environment = os.environ | dict(more or {})
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
