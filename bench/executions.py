"""Executions of the workflows in bench/flows.py: register, start, await, and the times of their parts."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

from bench.life import DOMAIN, PROJECT_NAME, seconds
from ops.lib.client import Client
from ops.lib.example_workflow import pyflyte
from ops.lib.flyte_rest import ask
from ops.lib.kubectl import Cluster, documents
from settings.errors import SettingsError

NAMESPACE = f"{PROJECT_NAME}-{DOMAIN}"
_FLOWS = Path(__file__).with_name("flows.py")
ENDED = {"SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"}
_PERIOD = 0.25
# Parts of the time of a task, in their order.
PARTS = ("queue", "pod start", "flytekit's start", "upload and end")
NEXT = "way to the next node"


@dataclass(frozen=True)
class Flows:
    """The registered workflows."""

    client: Client
    version: str

    def start(self, name: str, numbers: Collection[int] | None = None) -> str:
        """Start a workflow; return the name of its execution.

        Args:
            name: name of the workflow in bench/flows.py.
            numbers: its input, if it has one.

        Raises:
            FlyteError: Flyte rejects it.
        """
        execution = f"b{token_hex(8)}"
        plan = {
            "resource_type": "LAUNCH_PLAN",
            "project": PROJECT_NAME,
            "domain": DOMAIN,
            "name": f"flows.{name}",
            "version": self.version,
        }
        literals = {"numbers": _list_of_integers(numbers)} if numbers is not None else {}
        body = {
            "project": PROJECT_NAME,
            "domain": DOMAIN,
            "name": execution,
            "spec": {"launch_plan": plan, "metadata": {"mode": "MANUAL"}},
            "inputs": {"literals": literals},
        }
        ask(self.client, "POST", "/api/v1/executions", body)
        return execution

    def closure(self, execution: str) -> dict[str, Any]:
        """What Flyte says about an execution: its phase and times.

        Raises:
            FlyteError: Flyte does not answer.
        """
        path = f"/api/v1/executions/{PROJECT_NAME}/{DOMAIN}/{execution}"
        closure: dict[str, Any] = ask(self.client, "GET", path)["closure"]
        return closure

    def wait(self, execution: str, limit: float) -> dict[str, Any]:
        """Wait until an execution has ended; return its closure.

        Raises:
            SettingsError: it did not succeed within ``limit`` seconds.
        """
        end = time.monotonic() + limit
        while (closure := self.closure(execution))["phase"] not in ENDED and time.monotonic() < end:
            time.sleep(_PERIOD)
        if closure["phase"] != "SUCCEEDED":
            raise SettingsError(f"the execution {execution} is {closure['phase']} after {limit:.0f} s: {closure}")
        return closure

    def nodes(self, execution: str) -> dict[str, float]:
        """When the nodes of an execution were created, in seconds since 1970, by their ids."""
        path = f"/api/v1/node_executions/{PROJECT_NAME}/{DOMAIN}/{execution}?limit=1000"
        listed = ask(self.client, "GET", path).get("node_executions") or []
        return {node["id"]["node_id"]: seconds(node["closure"]["created_at"]) for node in listed}

    def begins(self, execution: str) -> list[float]:
        """What an execution returned: when its tasks began, in seconds since 1970."""
        path = f"/api/v1/data/executions/{PROJECT_NAME}/{DOMAIN}/{execution}"
        outputs = ask(self.client, "GET", path).get("full_outputs", {}).get("literals", {})
        return [found for literal in outputs.values() for found in floats(literal)]


def floats(literal: Mapping[str, Any]) -> list[float]:
    """All numbers with a fraction in a literal of Flyte, in their order."""
    if "collection" in literal:
        return [found for one in literal["collection"].get("literals") or [] for found in floats(one)]
    primitive = literal.get("scalar", {}).get("primitive", {})
    return [float(primitive["float_value"])] if "float_value" in primitive else []


def _list_of_integers(numbers: Collection[int]) -> dict[str, Any]:
    return {"collection": {"literals": [{"scalar": {"primitive": {"integer": str(number)}}} for number in numbers]}}


def register(client: Client, image: str) -> Flows:
    """Register the workflows with a new version.

    Args:
        client: client of the stack.
        image: image of the tasks; empty for flytekit's own.

    Raises:
        ExampleError: Flyte's client is not installed.
        SettingsError: Flyte's client failed.
    """
    version = token_hex(6)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(_FLOWS, folder)
        config = Path(folder, ".config", "config.yaml")
        client.write_config(config)
        command = [pyflyte("bench"), "register", "--project", PROJECT_NAME, "--domain", DOMAIN, "--version", version]
        command += [*(["--image", image] if image else []), "flows.py"]
        environment = os.environ | {"FLYTECTL_CONFIG": str(config)}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SettingsError(f"the workflows cannot be registered:\n{(done.stdout + done.stderr)[-3000:]}")
    return Flows(client, version)


def pods(cluster: Cluster, execution: str) -> list[dict[str, Any]]:
    """The pods of an execution, in the order of their nodes."""
    selector = f"--selector=execution-id={execution}"
    found = documents(cluster.ask("get", "pods", f"--namespace={NAMESPACE}", selector, "--output=json"))
    return sorted(found, key=_order)


def _order(pod: Mapping[str, Any]) -> tuple[float, int]:
    """When a pod was created, and its number in a map, which is the end of its name."""
    number = pod["metadata"]["name"].rsplit("-", 1)[-1]
    created = seconds(pod["metadata"]["creationTimestamp"])
    return (0.0, int(number)) if _mapped(pod) else (created, 0)


def _mapped(pod: Mapping[str, Any]) -> bool:
    """Whether a pod belongs to a map: its name then has two more numbers than the node's attempt."""
    parts = pod["metadata"]["name"].split("-")
    return len(parts) > 3 and parts[-1].isdigit() and parts[-2].isdigit()


def parts(
    found: Sequence[Mapping[str, Any]], nodes: Mapping[str, float], begins: Sequence[float]
) -> dict[str, list[float]]:
    """The seconds that each part of the tasks took; Kubernetes' times have no fraction, so each is right to a second.

    Args:
        found: the pods, in the order of ``begins``.
        nodes: when the nodes were created.
        begins: when the tasks began.
    """
    times: dict[str, list[float]] = {name: [] for name in (*PARTS, NEXT)}
    before = 0.0
    for pod, began in zip(found, begins, strict=True):
        state = pod["status"]["containerStatuses"][0]["state"]["terminated"]
        created, started, ended = (
            seconds(when) for when in (pod["metadata"]["creationTimestamp"], state["startedAt"], state["finishedAt"])
        )
        if node := nodes.get(pod["metadata"]["labels"].get("node-id", "")):
            times["queue"].append(created - node)
        times["pod start"].append(started - created)
        times["flytekit's start"].append(began - started)
        times["upload and end"].append(ended - began)
        if before and not _mapped(pod):
            times[NEXT].append(created - before)
        before = ended
    return times


def total(closure: Mapping[str, Any]) -> float:
    """Seconds from the creation of an execution to its end, as Flyte measured it."""
    return float(str(closure["duration"]).rstrip("s"))
