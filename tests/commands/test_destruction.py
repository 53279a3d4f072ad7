"""What a destroy shows while it waits, and what it gives up so that it ends."""

import io
from typing import Any

import pytest

from components.flyte.names import WORKFLOWS
from ops.lib.destruction import Destruction
from tests.kubectl import FakeCluster

Object = dict[str, Any]
ENDING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
WORKFLOW = {"metadata": {"name": "a1b2", "namespace": "remedy-development", "finalizers": ["flyte-finalizer"]}}


def cluster(definition: Object | None, flyte: Object | None, *namespaces: Object) -> FakeCluster:
    found = FakeCluster()
    found.on("get namespaces", {"items": list(namespaces)})
    found.on(f"get customresourcedefinition {WORKFLOWS}", {"metadata": definition} if definition is not None else "")
    found.on("get deployment flyte-binary", {"status": flyte} if flyte is not None else "")
    found.on(f"get {WORKFLOWS} --all-namespaces", {"items": [WORKFLOW]})
    return found


def watched(found: FakeCluster) -> tuple[Destruction, io.StringIO]:
    out = io.StringIO()
    return Destruction(found, "flyte", ["flyte", "remedy-development"], out), out


def test_a_namespace_that_is_being_deleted_is_shown_once_with_what_it_still_has():
    message = "Some content in the namespace has finalizers remaining: flyte-finalizer in 1 resource instances"
    conditions = [{"type": "NamespaceFinalizersRemaining", "status": "True", "message": message}]
    ending = {"metadata": {"name": "remedy-development", **ENDING}, "status": {"conditions": conditions}}
    other = {"metadata": {"name": "another", **ENDING}, "status": {}}
    seen, out = watched(cluster(None, None, ending, other, {"metadata": {"name": "flyte"}, "status": {}}))

    seen.look(1)
    seen.look(6)

    assert out.getvalue() == f"waiting until it is deleted: namespace/remedy-development: {message}\n"


@pytest.mark.parametrize("flyte", [None, {}, {"readyReplicas": 0}])
def test_workflows_of_a_flyte_that_does_not_run_are_given_up(flyte: Object | None):
    found = cluster(ENDING, flyte)
    patched: list[str] = []
    found.on("patch a1b2 --namespace=remedy-development --type=merge", lambda _: patched.append("a1b2") or "")
    seen, out = watched(found)

    seen.look(100)
    seen.look(110)
    assert patched == []  # Flyte may be restarting
    seen.look(116)

    assert patched == ["a1b2"]
    assert out.getvalue() == "Flyte does not run; giving up its workflow a1b2 in remedy-development\n"


@pytest.mark.parametrize(
    ("definition", "flyte"),
    [({}, None), (None, None), (ENDING, {"readyReplicas": 1})],
)
def test_workflows_stay_while_flyte_runs_or_they_are_not_being_deleted(definition: Object | None, flyte: Object | None):
    found = cluster(definition, flyte)
    found.on("patch", lambda _: pytest.fail("a workflow was given up"))
    seen, out = watched(found)

    for now in range(100, 200, 5):
        seen.look(now)

    assert out.getvalue() == ""
