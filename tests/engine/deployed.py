"""A stack on a cluster with nodes, and the commands of a laptop for it."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from paths import ROOT
from tests.engine.conftest import STACK, Cluster, Project, kubectl
from tests.processes import free_port

CLIENT = ROOT / "examples" / "remedy_tidal"
TIDAL = '{"token": "planted-tidal-token"}'


@dataclass
class Deployed:
    """A stack on the cluster, and the folder of the program it was deployed from."""

    cluster: Cluster
    project: Project
    ports: dict[str, int]

    def kubectl(self, *arguments: str, given: str = "") -> str:
        return kubectl(self.cluster.kubeconfig, "--context", self.cluster.context, *arguments, given=given)

    def make(self, command: str, *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command of ``ops``."""
        return subprocess.run(
            [sys.executable, "-m", f"ops.{command}", STACK, *arguments],
            cwd=self.project.folder,
            env=os.environ | self.project.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def doctor(self) -> dict[str, list[dict[str, Any]]]:
        """The doctor's findings, by the name of the check."""
        answer = self.make("doctor", "--json")
        assert "planted" not in answer.stdout + answer.stderr
        assert not [key for key in self.keys() if key in answer.stdout + answer.stderr]
        found: dict[str, list[dict[str, Any]]] = {}
        for finding in json.loads(answer.stdout):
            found.setdefault(finding["check"], []).append(finding)
        assert answer.returncode == any(one["state"] == "wrong" for one in json.loads(answer.stdout))
        return found

    def keys(self) -> list[str]:
        """The tasks' keys to the object store."""
        listed = json.loads(self.kubectl("get", "secrets", "-A", "--output=json"))["items"]
        return [
            text
            for secret in listed
            if secret["metadata"]["name"] == "flyte-object-store"
            for text in [secret["data"]["FLYTE_AWS_SECRET_ACCESS_KEY"]]
        ]

    def healthy(self) -> None:
        """Check that the doctor finds nothing wrong."""
        assert troubles(self.doctor()) == []

    def probes(self) -> list[str]:
        """What the doctor's attempts to connect have left in the cluster."""
        kinds = ["get", "namespaces,pods", "--all-namespaces", "--selector=flyte-home/doctor", "--output=name"]
        return self.kubectl(*kinds).split()

    def fix(self, finding: dict[str, Any]) -> None:
        """Run the commands of a finding."""
        for line in finding["mend"].splitlines():
            command = line.split("  # ")[0]
            command = command.replace(f"make up STACK={STACK}", self._up())
            subprocess.run(
                ["bash", "-ec", command],
                cwd=self.project.folder,
                env=os.environ | self.project.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=240,
                check=True,
            )

    @staticmethod
    def _up(*arguments: str) -> str:
        return shlex.join([sys.executable, "-m", "ops.up", STACK, *arguments])


UNENFORCED = "the cluster's network plugin enforces no network policies"


def troubles(found: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The findings that are wrong or skipped, except for what the cluster of the tests lacks itself."""
    everything = [one for findings in found.values() for one in findings]
    return [one for one in everything if one["state"] in {"wrong", "skipped"} and UNENFORCED not in one["says"]]


def endpoints(ports: Mapping[str, int]) -> dict[str, str]:
    """The addresses at which clients on this machine reach Flyte and its object store."""
    return {
        "http": f"http://127.0.0.1:{ports['http']}",
        "grpc": f"dns:///127.0.0.1:{ports['grpc']}",
        "objectStore": f"http://127.0.0.1:{ports['objectStore']}",
    }


@contextmanager
def deployment(cluster: Cluster, new_project: Callable[[], Project], **settings: Any) -> Iterator[Deployed]:
    """A stack with these settings that is destroyed at the end of the context."""
    crds = kubectl(cluster.kubeconfig, "get", "customresourcedefinitions", "--output=name")
    if "flyteworkflows.flyte.lyft.com" in crds:
        pytest.fail(f"the cluster of {cluster.kubeconfig} already has a Flyte; the tests need a cluster without one")
    project = new_project()
    ports = {name: free_port() for name in ("http", "grpc", "objectStore")}
    # One domain is enough here, and three times as fast.
    stack = project.stack(
        cluster, tidalCreds=TIDAL, clientEndpoints=endpoints(ports), domains=["development"], **settings
    )
    copy_client(project)
    found = Deployed(cluster, project, ports)
    try:
        stack.up()
        yield found
    finally:
        # A test that has failed may have left a lock.
        destroyed = found.make("destroy", seconds=600)
        assert destroyed.returncode == 0, destroyed.stdout + destroyed.stderr


def copy_client(project: Project) -> None:
    """Copy the example and Flyte's client, if it is installed, into a project."""
    if (CLIENT / ".venv").exists():
        folder = project.folder / "examples" / "remedy_tidal"
        shutil.copytree(CLIENT, folder, ignore=shutil.ignore_patterns(".venv", "__pycache__"))
        (folder / ".venv").symlink_to((CLIENT / ".venv").resolve())
    else:
        shutil.copytree(CLIENT, project.folder / "examples" / "remedy_tidal")
