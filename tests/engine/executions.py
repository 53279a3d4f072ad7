"""Executions of a stack on a cluster, started and read through Flyte's API."""

import json
import time
from typing import Any

from tests.engine.conftest import KubectlError
from tests.engine.deployed import Deployed
from tests.processes import wait_until

API = "/api/v1/namespaces/flyte/services/flyte-binary-http:8088/proxy/api/v1"


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


def first(deployed: Deployed) -> dict[str, str]:
    """The identity of the newest execution."""
    found: dict[str, str] = ask(deployed, "/executions/remedy/development?limit=1")["executions"][0]["id"]
    return found


def all_succeed(deployed: Deployed, taken: list[str], expected: str) -> None:
    """Check that each of these executions ends well, with the expected summary."""
    ended = {"SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"}
    for name in taken:
        wait_until(lambda asked=name: phase(deployed, asked) in ended, f"the end of {name}", 400)
    assert {name: phase(deployed, name) for name in taken} == dict.fromkeys(taken, "SUCCEEDED")
    assert {name: summary(deployed, name) for name in taken} == dict.fromkeys(taken, expected)
