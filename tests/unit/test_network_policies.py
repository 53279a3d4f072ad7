"""Which connections the network policies allow."""

from typing import Any

import pytest

import ops.lib.recorder
from ops.lib.recorder import record
from ops.lib.recording import Recording
from tests.conftest import run, stack
from tests.network import OPEN, PLACES, PORTS, Place, allowed, policies_of
from tests.unit.test_backup_settings import CLAIM, S3, SFTP, SSH_KEY, STORE_SECRET

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


# --- the backup ---------------------------------------------------------------------------------------------------

BACKUP = Place("10.42.0.30", "flyte", {"app.kubernetes.io/name": "backup"})
REHEARSAL = Place("10.42.0.31", "flyte-drill", {"app.kubernetes.io/name": "backup-drill"})
NAS = {**S3, "target": "s3:http://192.168.1.20:9000/bucket"}


def with_backup(backup: dict[str, Any], credentials: str | None = STORE_SECRET) -> Recording:
    return run(backup=backup, backupCredentials=credentials)


def opened(recording: Recording, source: Place, more: tuple[int, ...] = ()) -> set[tuple[str, int]]:
    """Target and port of every connection that a pod may open."""
    policies = policies_of(recording)
    return {
        (name, port)
        for name, place in PLACES.items()
        for port in (*PORTS, *more)
        if allowed(policies, source, place, port, "UDP" if port == 53 else "TCP")
    }


DNS = {("dns", 53), ("node-local dns", 53)}


def test_without_a_backup_no_policy_mentions_it(dev: Recording):
    assert "backup" not in str(policies_of(dev))
    assert "drill" not in str(policies_of(dev))
    # A pod with the labels of the backup is a stranger.
    assert not opened(dev, BACKUP)


def test_pods_of_the_backup_reach_both_servers_and_the_address_of_the_target():
    found = opened(with_backup(NAS), BACKUP)

    assert found == {("postgres", 5432), ("minio", 9000), ("nas", 9000), *DNS}


def test_an_address_as_a_target_is_the_only_one_that_is_reached():
    outside = [
        peer["ipBlock"]["cidr"]
        for policy in policies_of(with_backup(NAS))
        if policy["metadata"]["name"] in {"backup", "backup-drill"}
        for rule in policy["spec"]["egress"]
        for peer in rule.get("to", [])
        if "ipBlock" in peer
    ]

    assert sorted(outside) == ["169.254.20.10/32"] * 2 + ["192.168.1.20/32"] * 2


def test_a_target_with_a_name_is_reached_at_its_port_only():
    found = opened(with_backup(SFTP, SSH_KEY), BACKUP, more=(22,))

    assert {port for name, port in found if name in {"nas", "internet", "vpn"}} == {22}
    assert {port for name, port in found if name == "postgres"} == {5432}


def test_a_claim_as_a_target_opens_nothing_because_the_node_mounts_it():
    found = with_backup(CLAIM, None)

    assert opened(found, BACKUP) == {("postgres", 5432), ("minio", 9000), *DNS}
    assert opened(found, REHEARSAL) == DNS


def test_a_rehearsal_reaches_the_target_and_nothing_of_the_stack():
    assert opened(with_backup(NAS), REHEARSAL) == {("nas", 9000), *DNS}


@pytest.mark.parametrize("target", [BACKUP, REHEARSAL])
def test_nothing_connects_to_a_pod_of_the_backup(target: Place):
    policies = policies_of(with_backup(NAS))

    assert not [
        (name, port) for name, place in PLACES.items() for port in PORTS if allowed(policies, place, target, port)
    ]


def test_a_backup_changes_no_connection_of_the_other_pods():
    assert reachable(with_backup(NAS)) == OPEN


def test_without_policies_a_backup_creates_none():
    assert not run(backup=NAS, backupCredentials=STORE_SECRET, network={"enabled": False}).of("NetworkPolicy")
