"""``make leftovers`` on a real API server: what it finds of a stack, and what it leaves out."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ops.leftovers import Left, leftovers
from ops.lib.kubectl import Cluster
from settings import Settings, settings_from
from settings.errors import SettingsError
from tests.api_server import ApiServer, api_server
from tests.conftest import stack
from tests.matrix import manifests

CASE = "traefik, certificates of an issuer, login, links to logs"
# Kinds of a matrix case that this API server does not have.
ADD_ONS = {"Certificate", "Issuer", "ClusterIssuer", "Middleware", "ServersTransport", "VerticalPodAutoscaler"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    with api_server() as started:
        # kubectl must not use its cache of an earlier server for this one.
        monkeypatch.setenv("KUBECACHEDIR", str(started.kubeconfig.parent / "cache"))
        monkeypatch.setenv("PATH", str(started.kubectl.parent), prepend=":")
        yield started


def of(api: ApiServer) -> Cluster:
    return Cluster(api.context, str(api.kubeconfig))


def settings(**changed: Any) -> Settings:
    return settings_from(*stack(**changed))


def found(api: ApiServer, **changed: Any) -> set[tuple[str, str, str]]:
    return {(one.namespace, one.kind, one.name) for one in leftovers(of(api), settings(**changed))}


def an_object(kind: str, name: str, namespace: str = "", version: str = "v1", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **more.pop("metadata", {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def a_volume(name: str, namespace: str) -> dict[str, Any]:
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": "/data"},
        "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": "minio-data"},
    }
    return an_object("PersistentVolume", name, spec=spec)


def test_every_object_of_a_stack_is_found_and_none_of_an_empty_cluster(server: ApiServer):
    assert found(server) == set()

    everything = [manifest for manifest in manifests(CASE).values() if manifest["kind"] not in ADD_ONS]
    server.make_namespaces(manifest for manifest in everything if manifest["kind"] == "Namespace")
    others = [manifest for manifest in everything if manifest["kind"] != "Namespace"]
    assert server.apply(others, dry_run=False) == []

    expected = {
        (manifest["metadata"].get("namespace", ""), manifest["kind"], manifest["metadata"]["name"])
        for manifest in everything
    }
    assert len(expected) >= 50
    assert expected - found(server) == set()
    # The API server itself makes some objects, such as the addresses of a Service.
    assert {kind for _, kind, _ in found(server) - expected} <= {"Endpoints", "EndpointSlice"}


def test_objects_of_the_release_and_of_the_doctor_and_volumes_are_found(server: ApiServer):
    def by_helm(release: str, namespace: str) -> dict[str, Any]:
        annotations = {"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace}
        return {"labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": annotations}

    record = {"labels": {"owner": "helm", "name": "flyte-binary"}}
    server.make_namespaces(
        [
            an_object("Namespace", "flyte"),  # without the labels, as if a person had removed them
            an_object("Namespace", "other"),
            an_object("Namespace", "doctor-1", metadata={"labels": {"flyte-home/doctor": "probe"}}),
        ]
    )
    rbac = "rbac.authorization.k8s.io/v1"
    problems = server.apply(
        [
            an_object("ClusterRole", "ours", version=rbac, rules=[], metadata=by_helm("flyte-binary", "flyte")),
            an_object("ClusterRole", "theirs", version=rbac, rules=[], metadata=by_helm("flyte-binary", "other")),
            an_object("ClusterRole", "traefik", version=rbac, rules=[], metadata=by_helm("traefik", "flyte")),
            an_object("Secret", "sh.helm.release.v1.flyte-binary.v1", "flyte", metadata=record),
            an_object("Secret", "sh.helm.release.v1.flyte-binary.v1", "other", metadata=record),
            a_volume("ours", "flyte"),
            a_volume("theirs", "other"),
        ],
        dry_run=False,
    )

    assert problems == []
    assert found(server) == {
        ("", "Namespace", "flyte"),
        ("", "Namespace", "doctor-1"),
        ("", "ClusterRole", "ours"),
        ("", "PersistentVolume", "ours"),
        ("flyte", "Secret", "sh.helm.release.v1.flyte-binary.v1"),
    }


def test_kept_volumes_do_not_count_and_a_namespace_that_is_being_deleted_is_marked(server: ApiServer):
    server.make_namespaces([an_object("Namespace", "flyte"), an_object("Namespace", "remedy-staging")])
    assert server.apply([a_volume("data", "flyte")], dry_run=False) == []
    # No controller ends the deletion on this server.
    server.run("delete", "namespace", "remedy-staging", "--wait=false")

    assert sorted(leftovers(of(server), settings(keepVolumes=True))) == [
        Left("", "Namespace", "flyte", kept=True),
        Left("", "Namespace", "remedy-staging", going=True),
        Left("", "PersistentVolume", "data", kept=True, claim="flyte/minio-data (policy Retain)"),
    ]
    assert [one.kept for one in leftovers(of(server), settings())] == [False, False, False]


def test_a_user_who_may_not_list_everything_learns_that_the_result_is_unknown(api: ApiServer):
    content = json.loads(api.kubeconfig.read_text())
    content["users"][0]["user"] |= {"as": "visitor"}
    limited = api.kubeconfig.with_name("limited")
    limited.write_text(json.dumps(content))

    with pytest.raises(SettingsError, match=r"does not list everything, so it is unknown what is left: .*forbidden"):
        leftovers(Cluster(api.context, str(limited)), settings())
