"""Database, object store and Flyte are killed in turn while workflows run: what was acknowledged is not lost."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.engine.conftest import Cluster, KubectlError, Project
from tests.engine.deployed import Deployed, deployment
from tests.processes import wait_until

PLATFORM = "--namespace=flyte"
API = "/api/v1/namespaces/flyte/services/flyte-binary-http:8088/proxy/api/v1"
KILLED = {
    "postgres": "app.kubernetes.io/name=postgres",
    "minio": "app.kubernetes.io/name=minio",
    "flyte": "app.kubernetes.io/component=flyte-binary",
}
BETWEEN_KILLS = 3
"""Executions that are acknowledged before each kill, and after the last one."""


@pytest.fixture(scope="module")
def deployed(cluster: Cluster, new_project: Callable[[], Project]) -> Iterator[Deployed]:
    """A stack with one finished execution of the example."""
    with deployment(cluster, new_project) as found:
        answer = found.make("smoke", seconds=300)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        yield found


def ask(deployed: Deployed, path: str, body: Any = None) -> dict[str, Any]:
    """The answer of Flyte's API."""
    if body is None:
        answer = deployed.kubectl("get", "--raw", f"{API}{path}")
    else:
        answer = deployed.kubectl("create", "--raw", f"{API}{path}", "--filename=-", given=json.dumps(body))
    found: dict[str, Any] = json.loads(answer)
    return found


def acknowledged(deployed: Deployed, original: dict[str, str], name: str) -> bool:
    """Whether Flyte confirms that it has taken over an execution."""
    try:
        ask(deployed, "/executions/relaunch", {"id": original, "name": name})
    except KubectlError:
        time.sleep(1)
        return False
    return True


def phase(deployed: Deployed, name: str) -> str:
    time.sleep(1)
    try:
        return str(ask(deployed, f"/executions/remedy/development/{name}")["closure"]["phase"])
    except KubectlError:
        return "Flyte does not answer"


def summary(deployed: Deployed, name: str) -> str:
    """An output of an execution, which Flyte reads from the object store."""
    outputs = ask(deployed, f"/data/executions/remedy/development/{name}")["fullOutputs"]
    return str(outputs["literals"]["summary"]["scalar"]["primitive"]["stringValue"])


def test_no_execution_that_flyte_has_acknowledged_is_lost(deployed: Deployed):
    listed = ask(deployed, "/executions/remedy/development?limit=1")["executions"]
    original = listed[0]["id"]
    expected = summary(deployed, original["name"])
    taken: list[str] = []
    attempts = iter(f"killed{number}" for number in range(600))

    for server in [*KILLED, ""]:
        enough = len(taken) + BETWEEN_KILLS
        while len(taken) < enough:
            name = next(attempts)
            if acknowledged(deployed, original, name):
                taken.append(name)
        if server:
            command = ["delete", "pod", PLATFORM, f"--selector={KILLED[server]}"]
            deployed.kubectl(*command, "--grace-period=0", "--force")

    ended = {"SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"}
    for name in taken:
        wait_until(lambda asked=name: phase(deployed, asked) in ended, f"the end of {name}", 400)
    assert {name: phase(deployed, name) for name in taken} == dict.fromkeys(taken, "SUCCEEDED")
    assert {name: summary(deployed, name) for name in taken} == dict.fromkeys(taken, expected)
    deployed.healthy()
