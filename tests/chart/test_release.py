"""The release as Helm renders it, from the pinned chart and the values of the program."""

import hashlib
import json
import tarfile
from typing import Any

import pytest
import yaml

from ops.lib.recording import Recording
from settings.chart import CHART_DIR, PINNED_CHART
from settings.images import IMAGES
from settings.merge import merged
from tests.conftest import containers, run
from tests.generated import recordings
from tests.helm import archive, template
from tests.matrix import BACKUP, CASES, CHART_RIGHTS, KUBERNETES, MONITORED, STACKS, of_stack, recording
from tests.scanners import ACCEPTED, SCANNERS, object_name, problems

OLDEST, NEWEST = KUBERNETES
CONFIG = "/etc/flyte/config.d"


def one(manifests: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [manifest for manifest in manifests if object_name(manifest) == name]
    return found


def content_of(file: str) -> dict[str, Any]:
    """The content of a YAML file in the archive."""
    with tarfile.open(archive()) as chart:
        return yaml.safe_load(chart.extractfile(f"{PINNED_CHART.name}/{file}").read())


def deployment(found: Recording) -> dict[str, Any]:
    return one(template(found, NEWEST), "Deployment/flyte-binary")


def configuration(found: Recording) -> dict[str, Any]:
    """The configuration Flyte reads: its files are merged in the order of their names, and later ones win."""
    files = dict(one(template(found, NEWEST), "ConfigMap/flyte-binary-config")["data"])
    files |= found.one("Secret", "flyte-config").plain["stringData"]
    result: dict[str, Any] = {}
    for name in sorted(name for name in files if name.endswith(".yaml")):
        result = merged(result, yaml.safe_load(files[name]))
    return result


def test_the_archive_is_the_pinned_chart():
    assert hashlib.sha256(archive().read_bytes()).hexdigest() == PINNED_CHART.sha256
    chart = content_of("Chart.yaml")
    assert (chart["name"], chart["version"]) == (PINNED_CHART.name, PINNED_CHART.version)


def test_the_flyte_image_matches_the_version_of_the_chart():
    defaults = content_of("values.yaml")

    assert defaults["deployment"]["image"]["tag"] == IMAGES["flyte"].tag
    assert defaults["configuration"]["co-pilot"]["image"]["tag"] == IMAGES["copilot"].tag


def test_the_schema_covers_every_value_of_the_chart_except_credentials_and_other_stores():
    schema = yaml.safe_load((CHART_DIR / "values.schema.json").read_text())

    def unknown(part: dict[str, Any], defaults: Any, path: str) -> list[str]:
        if not isinstance(defaults, dict) or part.get("additionalProperties") is not False:
            return []
        known = part["properties"]
        missing = [f"{path}.{key}" for key in defaults if key not in known]
        inner = [hit for key in defaults if key in known for hit in unknown(known[key], defaults[key], f"{path}.{key}")]
        return missing + inner

    assert sorted(unknown(schema, content_of("values.yaml"), "")) == [
        ".configuration.auth.internal.clientSecret",
        ".configuration.auth.internal.clientSecretHash",
        ".configuration.auth.oidc.clientSecret",
        ".configuration.database.password",
        ".configuration.database.passwordPath",
        ".configuration.externalConfigMap",
        ".configuration.externalSecretRef",
        ".configuration.storage.providerConfig.azure",
        ".configuration.storage.providerConfig.gcs",
        ".configuration.storage.providerConfig.s3.accessKey",
        ".configuration.storage.providerConfig.s3.secretKey",
    ]


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@pytest.mark.parametrize("case", CASES)
def test_helm_renders_the_release(case: str, kubernetes: str):
    names = sorted(object_name(manifest) for manifest in template(recording(case), kubernetes))

    assert names == [
        *(["ClusterRole/flyte-binary-cluster-role"] if case == CHART_RIGHTS else []),
        *(["ClusterRoleBinding/flyte-binary-cluster-role-binding"] if case == CHART_RIGHTS else []),
        "ConfigMap/flyte-binary-cluster-resource-templates",
        "ConfigMap/flyte-binary-config",
        "Deployment/flyte-binary",
        "Secret/flyte-binary-config-secret",
        "Service/flyte-binary-grpc",
        "Service/flyte-binary-http",
        "Service/flyte-binary-webhook",
        "ServiceAccount/flyte-binary",
    ]


def test_neither_helms_input_nor_its_output_has_a_credential():
    found = of_stack("prod", tidalCreds='{"token": "planted-tidal"}', postgresPassword="planted-postgres")
    rendered = template(found, NEWEST)

    text = json.dumps([found.one("Release").plain["values"], rendered])
    assert "planted" not in text
    assert "generated" not in text  # the value of every generated password in a recording
    assert not one(rendered, "Secret/flyte-binary-config-secret").get("stringData")


def test_the_credentials_are_mounted_with_the_configuration_and_read_last():
    found = recording("dev")
    rendered = template(found, NEWEST)
    pod = one(rendered, "Deployment/flyte-binary")["spec"]["template"]["spec"]
    (flyte,) = pod["containers"]

    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "config"]
    secrets = [source["secret"]["name"] for source in volume["projected"]["sources"] if "secret" in source]
    assert found.one("Secret", "flyte-config").manifest["metadata"]["name"] in secrets
    assert {"name": "config", "mountPath": CONFIG} in flyte["volumeMounts"]
    assert f"{CONFIG}/*.yaml" in flyte["args"]
    ours = found.one("Secret", "flyte-config").plain["stringData"]
    assert max(one(rendered, "ConfigMap/flyte-binary-config")["data"]) < min(ours)


def test_changed_credentials_and_changed_configuration_restart_flyte():
    pods = [
        json.dumps(deployment(run(**settings))["spec"]["template"])
        for settings in ({}, {"postgresPassword": "another-password"}, {"flyte": {"logLevel": 5}})
    ]

    assert len(set(pods)) == len(pods)


def test_flytes_configuration_matches_the_settings():
    found = configuration(
        run(
            projects=[{"name": "a", "description": "with {{ braces }}"}, {"name": "b"}],
            domains=["d-dev"],
            namespaceTemplate="103020-{project}-x-{domain}",
            minio={"bucket": "other"},
            flyte={"logLevel": 4, "maxParallelism": 7},
            clientEndpoints={"objectStore": "https://s3.home.example"},
        )
    )

    assert found["flyte"]["admin"]["seedProjectsWithDetails"] == [
        {"name": "a", "description": "with {{ braces }}"},
        {"name": "b", "description": ""},
    ]
    assert found["domains"] == [{"id": "d-dev", "name": "d-dev"}]
    assert found["namespace_mapping"] == {"template": "103020-{{ project }}-x-{{ domain }}"}
    assert found["database"]["postgres"]["password"] == "generated"
    assert found["database"]["postgres"]["host"].startswith("postgres.")
    assert found["storage"]["container"] == "other"
    assert found["storage"]["signedURL"]["stowConfigOverride"]["endpoint"] == "https://s3.home.example"
    assert found["storage"]["stow"]["config"]["auth_type"] == "iam"
    assert not {"access_key_id", "secret_key"} & found["storage"]["stow"]["config"].keys()
    assert found["propeller"]["rawoutput-prefix"].startswith("s3://other/")
    assert found["propeller"]["create-flyteworkflow-crd"] is False
    assert found["server"]["security"] == {"allowCors": False}
    assert found["flyteadmin"]["maxParallelism"] == 7
    assert found["logger"]["level"] == 4


def test_flyte_runs_no_webhook_and_shows_its_configuration_at_no_port():
    found = configuration(recording("dev"))

    assert found["flyte"]["propeller"]["disableWebhook"] is True
    assert found["prof"] == {"disableConfigEndpoint": True}


def test_flytes_configuration_gives_access_to_the_data_of_every_project():
    assert configuration(recording("dev"))["storage"]["enable-multicontainer"] is True


def test_the_network_policies_and_roles_apply_to_the_pod_of_the_chart():
    recorded = recording("dev")
    pod = deployment(recorded)["spec"]["template"]
    (policy,) = [found.manifest for found in recorded.of("NetworkPolicy") if found.name == "network-flyte-binary"]
    (subject,) = recorded.one("ClusterRoleBinding").manifest["subjects"]

    assert policy["spec"]["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    (flyte,) = pod["spec"]["containers"]
    ports = {port["containerPort"] for port in flyte["ports"]}
    opened = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
    # Tasks do not reach the gRPC API unless their project asks for it, and the chart's port of the webhook is unused.
    assert opened == {8088}
    assert opened < ports
    assert subject["name"] == pod["spec"]["serviceAccountName"]


@pytest.mark.parametrize("stack", STACKS)
def test_every_container_has_resources_and_an_image_of_the_table(stack: str):
    images = {image.reference for image in IMAGES.values()}

    for container in containers(deployment(recording(stack))):
        assert container["image"] in images
        assert container["imagePullPolicy"] == "IfNotPresent"
        for amounts in ("requests", "limits"):
            assert set(container["resources"][amounts]) == {"cpu", "memory"}


def test_only_the_startup_probe_uses_the_database():
    (flyte,) = deployment(recording("dev"))["spec"]["template"]["spec"]["containers"]

    assert flyte["startupProbe"]["httpGet"]["path"].startswith("/api/v1/projects")
    for probe in ("readinessProbe", "livenessProbe"):
        assert flyte[probe]["httpGet"]["path"] == "/healthcheck"
        assert flyte[probe]["periodSeconds"] >= 10
        assert "initialDelaySeconds" not in flyte[probe]


@pytest.mark.parametrize("stack", STACKS)
def test_the_pod_of_flyte_runs_hardened(stack: str):
    found = deployment(recording(stack))
    pod = found["spec"]["template"]["spec"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["enableServiceLinks"] is False
    for container in containers(found):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_the_outputs_name_the_existing_services():
    rendered, outputs = template(recording("dev"), NEWEST), recording("dev").outputs

    assert one(rendered, f"Service/{outputs['services']['http']}")["spec"]["ports"][0]["port"] == 8088
    assert one(rendered, f"Service/{outputs['services']['grpc']}")["spec"]["ports"][0]["port"] == 8089
    for manifest in rendered:
        if manifest["kind"] == "Service":
            assert manifest["spec"]["type"] == "ClusterIP"


@pytest.mark.parametrize("scanner", SCANNERS)
def test_scanners_find_in_the_release_only_what_is_accepted_with_a_reason(scanner: str):
    assert problems(scanner, [manifest for stack in STACKS for manifest in template(recording(stack), OLDEST)]) == []


def test_every_accepted_finding_still_occurs():
    there = {object_name(manifest) for manifest in template(recording("dev"), OLDEST)}
    # With a backup and with monitoring, which have pods of their own.
    resources = [found for case in ("dev", BACKUP, MONITORED) for found in recording(case).resources]
    there |= {object_name(found.manifest) for found in resources if found.is_manifest}

    for entry in ACCEPTED:
        assert [name for name in there if entry.covers(name)], entry


def test_helm_renders_the_release_of_generated_settings_that_are_accepted():
    for found in recordings():
        assert one(template(found, NEWEST), "Deployment/flyte-binary")
