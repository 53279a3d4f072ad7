"""Which connections the network policies allow."""

from typing import Any

import pytest

import ops.lib.recorder
from ops.lib.recorder import record
from ops.lib.recording import Recording
from tests.conftest import run, stack
from tests.network import OPEN, PLACES, PORTS, Place, allowed, policies_of

# The policies apply only to connections from or to a pod of the stack.
OURS = {"flyte", "remedy-development", "remedy-staging", "remedy-production"}


def reachable(recording: Recording, source: str = "", target: str = "") -> set[tuple[str, str, int]]:
    """Source, target and port of every allowed connection, optionally limited to one source or target."""
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


def test_only_the_connections_of_the_table_are_allowed(dev: Recording):
    assert reachable(dev) == OPEN


def test_without_policies_every_connection_is_allowed():
    found = run(network={"enabled": False})

    assert not found.of("NetworkPolicy")
    assert ("task", "postgres", 5432) in reachable(found)


@pytest.mark.parametrize("case", [{}, {"namespaceTemplate": "x-{project}-{domain}", "namespace": "platform"}])
def test_every_namespace_of_the_stack_denies_all_connections_by_default(case: dict[str, Any]):
    found = run(**case)
    closed = {
        policy["metadata"]["namespace"]
        for policy in policies_of(found)
        if policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    }

    assert closed == {namespace.manifest["metadata"]["name"] for namespace in found.of("Namespace")}


def test_tasks_cannot_reach_the_internet_when_the_settings_forbid_it():
    found = run(tasks={"egress": {"internet": False}})

    assert {target for _, target, _ in reachable(found, "task")} == {"minio", "dns", "node-local dns"}


def test_a_private_network_can_be_opened_for_a_single_project():
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


def test_tasks_reach_the_api_of_flyte_only_if_their_project_asks_for_it(dev: Recording):
    found = run(projects=[{"name": "remedy", "egress": {"flyte": True}}])

    assert ("task", "flyte", 8089) in reachable(found)
    assert ("task", "flyte", 8089) not in reachable(dev)
    assert ("task", "minio", 9000) in reachable(dev)


def test_only_tasks_with_a_token_reach_the_api_server(dev: Recording):
    with_token = run(projects=[{"name": "remedy", "serviceAccountToken": True}])

    assert ("task", "api server", 6443) in reachable(with_token)
    assert ("task", "api server", 443) not in reachable(with_token)
    assert ("task", "api server", 6443) not in reachable(dev)


def test_the_namespace_of_an_ingress_controller_can_be_allowed_in():
    found = run(network={"clients": ["media"]})

    assert {port for _, target, port in reachable(found, "pod of another namespace") if target == "flyte"} == {
        8088,
        8089,
    }
    assert ("pod of another namespace", "minio", 9000) in reachable(found)
    assert ("pod of another namespace", "postgres", 5432) not in reachable(found)


def test_the_port_of_the_api_server_is_read_from_the_cluster(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ops.lib.recorder, "API_PORT", 16443)
    policies = policies_of(record(*stack()))

    assert allowed(policies, PLACES["flyte"], PLACES["api server"], 16443)
    assert not allowed(policies, PLACES["flyte"], PLACES["api server"], 6443)


def test_the_policies_are_created_before_flyte_and_deleted_after_it(dev: Recording):
    policies = {found.urn for found in dev.of("NetworkPolicy")}

    assert policies <= set(dev.one("Release").dependencies)
