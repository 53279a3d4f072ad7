"""Who may talk to whom."""

from typing import Any

import pytest

import ops.lib.recorder
from ops.lib.recorder import record
from ops.lib.recording import Recording
from tests.conftest import run, stack
from tests.network import OPEN, PLACES, PORTS, Place, allowed, policies_of

# Policies only concern connections that begin or end at a pod of the stack.
OURS = {"flyte", "remedy-development", "remedy-staging", "remedy-production"}


def reachable(recording: Recording, source: str = "", target: str = "") -> set[tuple[str, str, int]]:
    """From, to and port of every connection that may be opened, all or those of one place."""
    policies = policies_of(recording)
    return {
        (one, other, port)
        for one in PLACES
        for other in PLACES
        for port in PORTS
        if source in (one, "")
        and target in (other, "")
        and one != other
        and {PLACES[one].namespace, PLACES[other].namespace} & OURS
        and allowed(policies, PLACES[one], PLACES[other], port, "UDP" if port == 53 else "TCP")
    }


def test_nobody_reaches_anybody_but_for_the_openings_of_the_table(dev: Recording):
    assert reachable(dev) == OPEN


def test_without_policies_everything_would_be_open():
    found = run(network={"enabled": False})

    assert not found.of("NetworkPolicy")
    assert ("task", "postgres", 5432) in reachable(found)


@pytest.mark.parametrize("case", [{}, {"namespaceTemplate": "x-{project}-{domain}", "namespace": "platform"}])
def test_every_namespace_of_the_stack_is_closed_first(case: dict[str, Any]):
    found = run(**case)
    closed = {
        policy["metadata"]["namespace"]
        for policy in policies_of(found)
        if policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    }

    assert closed == {namespace.manifest["metadata"]["name"] for namespace in found.of("Namespace")}


def test_tasks_reach_the_internet_only_where_the_settings_say_so():
    found = run(tasks={"egress": {"internet": False}})

    assert {target for _, target, _ in reachable(found, "task")} == {"minio", "flyte", "dns", "node-local dns"}


def test_a_network_of_ones_own_is_opened_for_one_project_alone():
    found = run(
        projects=[
            {"name": "remedy", "egress": {"networks": ["192.168.1.20/32"], "internet": False}},
            {"name": "other"},
        ]
    )
    policies = policies_of(found)

    assert ("task", "nas", 2049) in reachable(found, "task")
    assert not [connection for connection in reachable(found, "task") if connection[1] in {"api server", "internet"}]
    other = Place("10.42.0.20", "other-development")
    assert not allowed(policies, other, PLACES["nas"], 2049)
    assert allowed(policies, other, PLACES["internet"], 443)


def test_tasks_can_be_kept_from_flytes_api():
    found = run(tasks={"egress": {"flyte": False}})

    assert ("task", "flyte", 8089) not in reachable(found)
    assert ("task", "minio", 9000) in reachable(found)


def test_tasks_with_a_token_reach_the_api_server_and_others_do_not(dev: Recording):
    with_token = run(projects=[{"name": "remedy", "serviceAccountToken": True}])

    assert ("task", "api server", 6443) in reachable(with_token)
    assert ("task", "api server", 443) not in reachable(with_token)
    assert ("task", "api server", 6443) not in reachable(dev)


def test_an_ingress_controllers_namespace_can_be_let_in():
    found = run(network={"clients": ["media"]})

    assert {port for _, target, port in reachable(found, "pod of another namespace") if target == "flyte"} == {
        8088,
        8089,
        9443,
    }
    assert ("pod of another namespace", "minio", 9000) in reachable(found)
    assert ("pod of another namespace", "postgres", 5432) not in reachable(found)


def test_the_port_of_the_api_server_is_the_one_that_the_cluster_names(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ops.lib.recorder, "API_PORT", 16443)
    policies = policies_of(record(*stack()))

    assert allowed(policies, PLACES["flyte"], PLACES["api server"], 16443)
    assert not allowed(policies, PLACES["flyte"], PLACES["api server"], 6443)


def test_flyte_runs_behind_its_policies_from_the_start_to_the_end(dev: Recording):
    policies = {found.urn for found in dev.of("NetworkPolicy")}

    assert policies <= set(dev.one("Release").dependencies)
