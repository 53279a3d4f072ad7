"""Follows an execution with Flyte's own client, and prints its progress as lines of JSON.

Usage: python follow.py PROJECT DOMAIN NAME, with the path of Flyte's client configuration in FLYTECTL_CONFIG

`ops.lib.execution` runs this file as a program in the example's environment, because flytekit is installed there and
handles the login. It imports nothing from this repository.

Each change of a node is a line with ``id``, ``node``, ``phase``, ``started`` (seconds since 1970, or null) and
``seconds``. The last line has ``phase``, ``error`` (empty if there is none) and ``outputs`` of the execution.
"""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

from flytekit.configuration import Config  # type: ignore[import-not-found]
from flytekit.models.core.execution import (  # type: ignore[import-not-found]
    NodeExecutionPhase,
    WorkflowExecutionPhase,
)
from flytekit.models.core.identifier import WorkflowExecutionIdentifier  # type: ignore[import-not-found]
from flytekit.remote import FlyteRemote  # type: ignore[import-not-found]

_PERIOD = 1.0
_ENDS = {
    WorkflowExecutionPhase.SUCCEEDED,
    WorkflowExecutionPhase.FAILED,
    WorkflowExecutionPhase.ABORTED,
    WorkflowExecutionPhase.TIMED_OUT,
}


def follow(client: Any, identifier: Any) -> Iterator[dict[str, Any]]:
    """Yield the lines until the execution ends."""
    names: dict[str, str] = {}
    last: dict[str, dict[str, Any]] = {}
    while True:
        # Before the nodes: if the execution has ended, its nodes no longer change after this.
        execution = client.get_execution(identifier)
        closure = execution.closure
        names = names or _names(client, execution.spec.launch_plan)
        nodes, _ = client.list_node_executions(identifier, limit=100)
        for node in sorted(nodes, key=lambda node: str(node.id.node_id)):
            line = _line(node, names)
            if line and line != last.get(line["id"]):
                last[line["id"]] = line
                yield line
        if closure.phase in _ENDS:
            break
        time.sleep(_PERIOD)
    yield {
        "phase": WorkflowExecutionPhase.enum_to_string(closure.phase),
        "error": closure.error.message if closure.error else "",
        "outputs": _outputs(client, identifier) if closure.phase == WorkflowExecutionPhase.SUCCEEDED else {},
    }


def _names(client: Any, launch_plan: Any) -> dict[str, str]:
    """Return the names of a workflow's nodes, by id."""
    workflow = client.get_launch_plan(launch_plan).spec.workflow_id
    template = client.get_workflow(workflow).closure.compiled_workflow.primary.template
    return {node.id: node.metadata.name for node in template.nodes if node.metadata and node.metadata.name}


def _line(node: Any, names: dict[str, str]) -> dict[str, Any]:
    """Return the line of a node; empty for the start and end nodes that Flyte adds."""
    name = node.id.node_id
    if name in {"start-node", "end-node"}:
        return {}
    closure = node.closure
    # A missing time is 1970 in protocol buffers.
    started = closure.started_at.timestamp() if closure.started_at else 0
    return {
        "id": name,
        "node": names.get(name, name),
        "phase": NodeExecutionPhase.enum_to_string(closure.phase),
        "started": started or None,
        "seconds": closure.duration.total_seconds() if closure.duration else 0,
        "error": closure.error.message if closure.error else "",
    }


def _outputs(client: Any, identifier: Any) -> dict[str, str]:
    """Return the outputs: short values themselves, and the location of files."""
    literals = client.get_execution_data(identifier).full_outputs.literals
    found = {}
    for name, literal in literals.items():
        scalar = literal.scalar
        if scalar and scalar.primitive:
            found[name] = str(scalar.primitive.value)
        elif scalar and scalar.blob:
            found[name] = str(scalar.blob.uri)
        else:
            found[name] = "(see the console)"
    return found


def main() -> int:
    """Run the command line; return 0 when the execution has ended, with any result."""
    project, domain, name = sys.argv[1:]
    remote = FlyteRemote(Config.auto(), default_project=project, default_domain=domain)
    for line in follow(remote.client, WorkflowExecutionIdentifier(project, domain, name)):
        print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
