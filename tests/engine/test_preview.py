"""The real engine and provider before anything is deployed: previews against a real API server."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pulumi import automation as auto

from ops.ci.lib.changes import HOLDS_DATA
from ops.lib.recording import Recording
from tests.api_server import ApiServer, api_server
from tests.conftest import run
from tests.engine.conftest import PASSPHRASE, STACK, Cluster, Project, Steps
from tests.engine.states import MANAGER, STATES, load
from tests.tools import require


@pytest.fixture(scope="module")
def empty_api() -> Iterator[ApiServer]:
    """An API server on which nothing is created. Previews need no nodes."""
    with api_server() as started:
        yield started


@pytest.fixture
def cluster(empty_api: ApiServer) -> Cluster:
    return on(empty_api)


def on(api: ApiServer) -> Cluster:
    return Cluster(api.kubeconfig, api.context, api.uid())


@pytest.fixture
def project(new_project: Callable[[], Project]) -> Project:
    return new_project()


def named(recording: Recording) -> set[str]:
    return {f"{found.kind}:{found.name}" for found in recording.resources}


def test_a_first_preview_matches_the_recorder_and_creates_nothing(
    project: Project, cluster: Cluster, empty_api: ApiServer
):
    before = empty_api.run("get", "namespaces,customresourcedefinitions", "--output=name").stdout
    steps = Steps()

    project.stack(cluster).preview(on_event=steps)

    assert {name for _, name in steps.changes} == named(run()) - {"Namespace:cluster-kube-system"}
    assert {operation for operation, _ in steps.changes} == {"create"}
    assert empty_api.run("get", "namespaces,customresourcedefinitions", "--output=name").stdout == before


@pytest.mark.parametrize("uid", ["", "of-another-cluster"])
def test_an_unpinned_cluster_is_rejected_before_any_resource(project: Project, cluster: Cluster, uid: str):
    steps = Steps()

    with pytest.raises(auto.CommandError) as refused:
        project.stack(cluster, clusterUid=uid).preview(on_event=steps)

    assert cluster.uid in str(refused.value)
    assert "flyte-home:clusterUid" in str(refused.value)
    assert not [step for step in steps.all if step.name.startswith(("Namespace:flyte", "StatefulSet:", "Release:"))]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"postgres": {"volume": {"size": "10GB"}}}, "flyte-home:postgres.volume.size: '10GB'"),
        ({"tidalCreds": "planted, but not JSON"}, "flyte-home:tidalCreds: is not JSON"),
    ],
)
def test_a_wrong_setting_ends_in_one_message_without_a_traceback(
    project: Project, cluster: Cluster, settings: dict[str, Any], message: str
):
    with pytest.raises(auto.CommandError) as refused:
        project.stack(cluster, **settings).preview()

    assert message in str(refused.value)
    assert "Traceback" not in str(refused.value)
    assert "planted" not in str(refused.value)


def objects(deployment: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects of a state, without definitions and Secrets, which are encrypted."""
    found = []
    for resource in deployment["resources"]:
        inputs = resource.get("inputs", {})
        if resource.get("external") or inputs.get("kind") in {None, "Secret", "CustomResourceDefinition"}:
            continue
        found.append({**inputs, "metadata": {**inputs["metadata"], "name": resource["outputs"]["metadata"]["name"]}})
    return found


def test_a_changed_passphrase_opens_the_stack_and_the_old_one_no_longer_does(project: Project, cluster: Cluster):
    stack = project.stack(cluster, postgresPassword="planted-password")
    command = [require("pulumi"), "stack", "change-secrets-provider", "passphrase", "--stack", STACK]
    options: dict[str, Any] = {"cwd": project.folder, "capture_output": True, "text": True, "check": False}

    changed = subprocess.run(command, input="another\nanother\n", env=os.environ | project.environment, **options)
    assert changed.returncode == 0, changed.stderr

    show = [require("pulumi"), "config", "get", "flyte-home:postgresPassword", "--stack", STACK]
    answers = {
        passphrase: subprocess.run(
            show, env=os.environ | project.environment | {"PULUMI_CONFIG_PASSPHRASE": passphrase}, **options
        )
        for passphrase in (PASSPHRASE, "another")
    }
    assert "incorrect passphrase" in answers[PASSPHRASE].stderr
    assert answers["another"].stdout.strip() == "planted-password"
    stack.workspace.env_vars["PULUMI_CONFIG_PASSPHRASE"] = "another"
    steps = Steps()
    stack.preview(on_event=steps)
    assert ("create", "StatefulSet:postgres") in steps.changes


def make_objects(file: Path, api: ApiServer) -> None:
    """Create the objects of a stored state on an API server."""
    made = objects(load(file, *on(api).identity)["deployment"])
    api.make_namespaces(manifest for manifest in made if manifest["kind"] == "Namespace")
    # With the field manager of the state: Pulumi would not change fields of a different one.
    said = api.apply(made, dry_run=False, manager=MANAGER)
    assert all(line.startswith("Warning:") for line in said), said


def restore(file: Path, project: Project, cluster: Cluster) -> tuple[auto.Stack, dict[str, Any]]:
    """A stack with a stored state, as if it had been deployed to ``cluster``, and the stored state itself."""
    stored = load(file, *cluster.identity)
    stack = project.stack(cluster, **stored["settings"])
    stack.import_stack(auto.Deployment(version=3, deployment=stored["deployment"]))
    return stack, stored


@pytest.mark.parametrize("file", STATES, ids=lambda file: file.stem)
def test_an_upgrade_from_an_earlier_version_replaces_nothing_that_holds_data(
    project: Project, fresh_api: ApiServer, file: Path
):
    make_objects(file, fresh_api)
    stack, _ = restore(file, project, on(fresh_api))
    steps = Steps()

    stack.preview(on_event=steps)

    assert {"StatefulSet:postgres", "Release:flyte"} <= {step.name for step in steps.all}
    harmless = {"create", "update"}
    lost = {(operation, name) for operation, name in steps.changes if operation not in harmless}
    assert {change for change in lost if change[1].split(":")[0] in HOLDS_DATA} == set()
