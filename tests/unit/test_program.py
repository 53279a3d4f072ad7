"""The whole program: rules for every resource of a stack, regardless of the component that creates it."""

import json
import re
from collections import Counter
from typing import Any

import pytest
import yaml

from ops.lib.recording import Recording, Resource, Secret
from settings.errors import SettingsError
from settings.images import IMAGES
from tests.conftest import containers, run
from tests.external_store import AUTHORITY, external
from tests.matrix import STACKS, of_stack
from tests.unit.test_backup_settings import S3

PLANTED = {
    "tidalCreds": '{"token": "planted-tidal"}',
    "tidalCreds__production": '{"token": "planted-production"}',
    "postgresPassword": "planted-postgres",
}


BACKUP = {"backup": S3, "backupCredentials": "planted-store-secret"}
# Everything that docs/fitting-in.md is about.
HOME = {
    **BACKUP,
    "registries": {"logins": [{"host": "registry.home:5000", "user": "flyte"}]},
    "registryPassword": "planted-registry",
    "notifications": {"host": "mail.home.example", "sender": "flyte@home.example", "user": "flyte"},
    "smtpPassword": "planted-smtp",
}
EXTERNAL = {**BACKUP, **external("development", "production", certificateAuthority=AUTHORITY)}
DATABASE = {"mode": "external", "external": {"host": "192.168.1.21", "tls": {"certificateAuthority": AUTHORITY}}}
CASES: dict[str, dict[str, Any]] = {
    "no backup": {},
    "backup": BACKUP,
    "registries and mails": HOME,
    "external store": EXTERNAL,
    "external store and database": {**EXTERNAL, "postgres": DATABASE},
    "everything": {**HOME, **EXTERNAL, "postgres": DATABASE},
}


@pytest.fixture(scope="module", params=[f"{name}, {case}" for name in STACKS for case in CASES])
def stack(request: pytest.FixtureRequest) -> Recording:
    """The program with each stack file of this repository and planted secrets, in each of the `CASES`."""
    name, _, case = request.param.partition(", ")
    return of_stack(name, **PLANTED, **CASES[case])


def kubernetes(recording: Recording) -> list[Resource]:
    return [found for found in recording.resources if found.custom and found.type.startswith("kubernetes:")]


def test_every_kubernetes_resource_uses_a_fenced_provider(stack: Recording):
    behind_fence = {found.urn for found in stack.of("kubernetes") if found.name in {"cluster", "cluster-contents"}}

    assert kubernetes(stack)
    assert {found.provider for found in kubernetes(stack)} <= behind_fence


def test_no_resource_uses_a_default_provider(stack: Recording):
    providers = {found.urn for found in stack.resources if found.type.startswith("pulumi:providers:")}
    others = [found for found in stack.resources if found.custom and found.urn not in providers]

    assert all(found.provider in providers for found in others)


def test_every_resource_is_a_child_of_its_component(stack: Recording):
    roots = {found.name for found in stack.resources if found.parent.endswith("::flyte-home-dev")}
    roots |= {found.name for found in stack.resources if found.parent.endswith("::flyte-home-prod")}
    components = {found.name for found in stack.resources if found.type.startswith("flyte-home:index:")}

    # "flyte" is both the namespace and the component. The platform's login at registries belongs to all components.
    assert roots - {"registries"} == components | {"flyte", "random"}
    assert all(found.type.split(":")[:2] == ["flyte-home", "index"] for found in stack.resources if not found.custom)


def test_urns_are_unique(stack: Recording):
    assert not [urn for urn, times in Counter(found.urn for found in stack.resources).items() if times > 1]


def test_no_two_objects_of_the_cluster_have_the_same_name(stack: Recording):
    names = Counter(
        (found.kind, found.manifest["metadata"].get("namespace"), found.manifest["metadata"]["name"])
        for found in stack.resources
        if found.is_manifest
    )

    assert not [name for name, times in names.items() if times > 1]


def test_configured_secrets_appear_only_as_encrypted_values(stack: Recording):
    def visible(value: Any) -> Any:
        if isinstance(value, Secret):
            return "encrypted"
        if isinstance(value, dict):
            return {key: visible(item) for key, item in value.items()}
        return [visible(item) for item in value] if isinstance(value, list) else value

    for found in stack.resources:
        text = json.dumps(visible(found.inputs))
        assert "planted" not in text, found.urn
        assert "cGxhbnRl" not in text, found.urn  # the same text in base64
        assert "Zmx5dGU6cGxhbnRl" not in text, found.urn  # with the user before it
    assert "planted" not in json.dumps(visible(stack.outputs))


def test_generated_passwords_are_encrypted_everywhere(stack: Recording):
    def paths(value: Any, secret: bool, path: str) -> list[str]:
        if isinstance(value, Secret):
            return paths(value.value, True, path)
        if isinstance(value, dict):
            return [hit for key, item in value.items() for hit in paths(item, secret, f"{path}.{key}")]
        if isinstance(value, list):
            return [hit for item in value for hit in paths(item, secret, path)]
        return [path] if not secret and value == "generated" else []

    assert [hit for found in stack.resources for hit in paths(found.inputs, False, found.urn)] == []
    # One for each server, one for the webhook, Flyte's key for the object store, and the task keys of three domains.
    # Flyte's database password is configured here, so it is not generated.
    # A backup has a password for its repository, one for its rehearsals, and its own key for the object store.
    # The keys of an external store are settings.
    expected = 10 if stack.of("Backup") else 7
    expected = 4 if stack.of("ExternalObjectStore") else expected
    # The superuser of the database.
    assert len(stack.of("RandomPassword")) == expected - len(stack.of("ExternalPostgres"))


def test_every_secret_object_has_only_encrypted_values(stack: Recording):
    for found in stack.of("Secret"):
        for field in ("data", "stringData"):
            values = found.inputs.get(field, {})
            assert isinstance(values, Secret) or all(isinstance(value, Secret) for value in values.values()), found.urn


def test_every_container_of_the_platform_runs_an_image_from_the_table(stack: Recording):
    allowed = {image.reference for image in IMAGES.values()}
    workloads = [found.plain for kind in ("StatefulSet", "Job") for found in stack.of(kind)]
    workloads += [found.plain["spec"]["jobTemplate"] for found in stack.of("CronJob")]

    expected = 9 if stack.of("Backup") else 5
    expected = 7 if stack.of("ExternalObjectStore") else expected
    assert len(workloads) == expected - len(stack.of("ExternalPostgres"))
    assert {container["image"] for found in workloads for container in containers(found)} <= allowed


def test_every_image_can_be_replaced():
    mirror = {name: f"registry.home:5000/{name.lower()}:1" for name in IMAGES}
    # With a backup, because only the backup runs restic. What runs the image of a database cluster is no part of this.
    recording = run(images=mirror, **BACKUP)
    text = json.dumps([found.plain for found in recording.resources])

    assert all(
        reference in text for name, reference in mirror.items() if name not in {"flyte", "copilot", "postgresCluster"}
    )
    assert not re.search(r"docker\.io|cr\.flyte\.org", text)
    values = recording.one("Release").plain["values"]
    assert values["deployment"]["image"] == {"repository": "registry.home:5000/flyte", "tag": "1"}


@pytest.mark.parametrize("kind", ["StatefulSet", "Job"])
def test_pods_of_the_platform_run_hardened(stack: Recording, kind: str):
    for found in stack.of(kind):
        pod = found.plain["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(found.plain):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            for amounts in ("requests", "limits"):
                assert set(container["resources"][amounts]) == {"cpu", "memory"}
            assert container["imagePullPolicy"] == "IfNotPresent"


def test_selectors_match_the_labels_of_their_pods(stack: Recording):
    for found in stack.of("StatefulSet"):
        spec = found.plain["spec"]
        (service,) = [other.plain for other in stack.of("Service") if other.name == found.name]
        assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
        assert service["spec"]["selector"].items() <= spec["template"]["metadata"]["labels"].items()
        assert spec["serviceName"] == service["metadata"]["name"]


def test_flyte_waits_for_namespaces_database_buckets_and_secrets(dev: Recording):
    dependencies = set(dev.one("Release").dependencies)
    waits = {f"{found.kind}:{found.name}" for found in dev.resources if found.urn in dependencies}

    assert {
        "Namespace:remedy-development",
        "ResourceQuota:remedy-development",
        "PodTemplate:remedy-production",
        "StatefulSet:postgres",
        "Job:minio-provision",
        "Secret:tidal-creds-remedy-staging",
        "Secret:flyte-object-store-remedy-staging",
        "Secret:flyte-config",
        "MutatingWebhookConfiguration:webhook",
    } <= waits


def test_task_secrets_wait_for_their_namespaces(dev: Recording):
    waits = {dev.by_urn(urn).name for urn in dev.one("Secret", "tidal-creds-remedy-staging").dependencies}

    assert "remedy-staging" in waits


def test_the_fence_is_checked_before_anything_is_created(dev: Recording):
    (provider,) = [found for found in dev.of("kubernetes") if found.name == "cluster"]

    assert provider.inputs["context"] == "home"
    assert any("cluster-kube-system" in urn for urn in provider.dependencies)


def test_nothing_is_protected_or_kept_unless_the_stack_file_asks_for_it(dev: Recording):
    assert not [found.urn for found in dev.resources if found.protect or found.retain_on_delete]


def test_prod_protects_everything_that_holds_data_and_what_destroy_would_delete_first(prod: Recording):
    protected = {f"{found.kind}:{found.name}" for found in prod.resources if found.protect}

    assert protected == {
        "Namespace:flyte",
        "PersistentVolumeClaim:postgres-data",
        "PersistentVolumeClaim:minio-data",
        "StatefulSet:postgres",
        "StatefulSet:minio",
        "Release:flyte",
        "CustomResourceDefinition:flyte-workflows",
    }


def test_kept_volumes_and_their_namespace_stay_in_the_cluster_and_can_be_adopted_later(prod: Recording):
    kept = {f"{found.kind}:{found.name}": found for found in prod.resources if found.retain_on_delete}
    contents = prod.one("kubernetes", "cluster-contents")

    assert set(kept) == {"Namespace:flyte", "PersistentVolumeClaim:postgres-data", "PersistentVolumeClaim:minio-data"}
    assert {found.provider for found in kept.values()} == {contents.urn}
    assert contents.inputs["upsertExistingObjects"] == "true"


def test_only_objects_inside_a_namespace_of_the_stack_are_adopted(dev: Recording):
    careful = dev.one("kubernetes", "cluster")
    assert careful.inputs["upsertExistingObjects"] == "false"

    for found in kubernetes(dev):
        inside = "namespace" in found.manifest["metadata"] if found.is_manifest else True
        assert dev.by_urn(found.provider).name == ("cluster-contents" if inside else "cluster"), found.urn


def test_the_outputs_describe_the_services_and_how_to_reach_them():
    outputs = run(
        clientEndpoints={"http": "http://127.0.0.1:18088", "objectStore": "https://s3.home:9443"}, context="k3s"
    ).outputs

    assert outputs["namespace"] == "flyte"
    assert outputs["services"] == {"http": "flyte-binary-http", "grpc": "flyte-binary-grpc", "objectStore": "minio"}
    assert outputs["consoleUrl"] == "http://127.0.0.1:18088/console"
    assert yaml.safe_load(outputs["clientConfig"]) == {
        "admin": {"endpoint": "dns:///127.0.0.1:8089", "insecure": True},
        "console": {"endpoint": "http://127.0.0.1:18088"},
    }
    assert outputs["portForwards"] == [
        "kubectl --context k3s --namespace flyte port-forward service/flyte-binary-http 18088:8088",
        "kubectl --context k3s --namespace flyte port-forward service/flyte-binary-grpc 8089:8089",
    ]


def test_a_wrong_setting_stops_the_program_before_any_resource():
    with pytest.raises(SettingsError, match="10GB"):
        run(postgres={"volume": {"size": "10GB"}})
