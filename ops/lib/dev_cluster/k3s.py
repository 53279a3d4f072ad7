"""A cluster of k3s as a system service."""

import os
import platform
import shutil
import tempfile
from pathlib import Path

import yaml

from ops.lib.dev_cluster.commands import NAME, answer, as_root, run
from ops.tools import TOOLS
from settings.errors import SettingsError

_VERSION = TOOLS["k3s-install"].version


class K3s:
    """A system service on a machine without another k3s: https://docs.k3s.io/installation/configuration."""

    context, title = NAME, "k3s as a system service"
    _service = f"k3s-{NAME}"
    _uninstall = Path("/usr/local/bin") / f"{_service}-uninstall.sh"
    _kubeconfig = "/etc/rancher/k3s/k3s.yaml"

    def exists(self) -> bool:
        """Return whether the service is installed."""
        return self._uninstall.exists()

    def create(self) -> None:
        """Install the service, and add its context to the kubeconfig.

        Raises:
            SettingsError: this is not Linux, there is another k3s, or the installer failed.
        """
        if platform.system() != "Linux":
            raise SettingsError("K3S: k3s runs on Linux only; start Docker instead, and run make cluster")
        if other := shutil.which("k3s"):
            raise SettingsError(
                f"K3S: {other} is installed already and nothing was changed; use its cluster: copy {self._kubeconfig} "
                "to a file that you may read, and run KUBECONFIG=FILE make up STACK=dev"
            )
        installer = TOOLS["k3s-install"].fetch() / "k3s-install"
        print(f"Installing k3s {_VERSION} as the service {self._service}; sudo may ask for your password", flush=True)
        variables = {"INSTALL_K3S_VERSION": f"v{_VERSION}", "INSTALL_K3S_NAME": NAME}
        run(["sh", str(installer), "server"], variables)
        self._add_context()

    def start(self) -> None:
        """Start the stopped service, and add its context to the kubeconfig."""
        print(f"Starting the service {self._service}; sudo may ask for your password", flush=True)
        run([*as_root(), "systemctl", "start", self._service])
        self._add_context()

    def delete(self) -> None:
        """Uninstall the service, and remove its context."""
        run([*as_root(), str(self._uninstall)])
        for kind in ("context", "cluster", "user"):
            run(["kubectl", "config", f"delete-{kind}", NAME])

    def _add_context(self) -> None:
        """Copy the context, which only root may read, into the user's kubeconfig and rename it from `default`."""
        text = answer([*as_root(), "cat", self._kubeconfig])
        if not text:
            raise SettingsError(f"K3S: sudo cannot read {self._kubeconfig}; run make cluster K3S=1 again")
        content = yaml.safe_load(text)
        for kind in ("clusters", "users", "contexts"):
            content[kind][0]["name"] = NAME
        content["contexts"][0]["context"].update(cluster=NAME, user=NAME)
        content.pop("current-context", None)
        path = Path((os.environ.get("KUBECONFIG") or "~/.kube/config").split(os.pathsep)[0]).expanduser().resolve()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Only the owner may read either file. Renaming keeps the kubeconfig whole if this is interrupted.
        with tempfile.TemporaryDirectory(prefix=".k3s-", dir=path.parent) as folder:
            ours, merged = Path(folder) / "ours", Path(folder) / "merged"
            ours.touch(0o600)
            ours.write_text(yaml.safe_dump(content))
            # The first file wins over entries that an earlier cluster of this name left behind.
            files = os.pathsep.join([str(ours), *([str(path)] if path.exists() else [])])
            view = ["kubectl", "config", "view", "--flatten", "--raw"]
            text = answer(view, {"KUBECONFIG": files})
            if not text:
                raise SettingsError(f"KUBECONFIG: kubectl cannot read {path}, which was not changed; fix it")
            merged.touch(0o600)
            merged.write_text(text)
            merged.replace(path)
