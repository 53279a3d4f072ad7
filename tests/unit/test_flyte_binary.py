"""The flyte-binary release."""

import yaml

from ops.lib.recording import Recording
from settings.chart import CHART_DIR
from tests.conftest import run


def values(recording: Recording) -> dict:
    return recording.one("Release").plain["values"]


def test_the_release_installs_the_pinned_chart_under_a_fixed_name(dev: Recording):
    release = dev.one("Release").plain

    assert release["name"] == "flyte-binary"
    assert release["chart"].endswith("/.charts/flyte-binary-v1.16.8.tgz")
    assert release["atomic"] is True
    assert release["timeout"] >= 300


def test_the_password_is_in_a_file_that_flyte_merges_last_and_the_key_in_one_that_flyte_does_not_read(dev: Recording):
    files = dev.one("Secret", "flyte-config").plain["stringData"]

    assert sorted(files) == ["202-database.yaml", "object-store-key"]
    assert yaml.safe_load(files["202-database.yaml"]) == {"database": {"postgres": {"password": "generated"}}}
    assert files["object-store-key"].splitlines() == [
        "[default]",
        "aws_access_key_id = flyte",
        "aws_secret_access_key = generated",
    ]


def test_aws_library_finds_the_key_where_the_chart_mounts_it(dev: Recording):
    values = dev.one("Release").plain["values"]

    assert values["deployment"]["extraEnvVars"] == [
        {"name": "AWS_SHARED_CREDENTIALS_FILE", "value": "/etc/flyte/config.d/object-store-key"}
    ]
    assert values["configuration"]["storage"]["providerConfig"]["s3"]["authType"] == "iam"


def test_a_password_that_looks_like_a_number_remains_text():
    files = run(postgresPassword="1234567890").one("Secret", "flyte-config").plain["stringData"]

    assert yaml.safe_load(files["202-database.yaml"])["database"]["postgres"]["password"] == "1234567890"


def test_changed_credentials_restart_flyte_because_the_secret_gets_a_new_name():
    first, second = run(postgresPassword="first-password"), run(postgresPassword="second-password")

    assert values(first)["configuration"]["inlineSecretRef"] != values(second)["configuration"]["inlineSecretRef"]
    assert (
        values(first)["configuration"]["inlineSecretRef"]
        == first.one("Secret", "flyte-config").manifest["metadata"]["name"]
    )


def test_only_the_projects_of_the_stack_are_registered(dev: Recording):
    admin = values(run(projects=[{"name": "a", "description": "of {{ braces }}"}, {"name": "b"}]))
    admin = admin["flyte-core-components"]["admin"]

    assert admin["seedProjects"] == ["a", "b"]
    assert [project["name"] for project in admin["seedProjectsWithDetails"]] == ["a", "b"]
    # The chart renders this with `tpl`, which turns it back into two braces.
    assert admin["seedProjectsWithDetails"][0]["description"] == "of {{`{{`}} braces }}"
    assert "flytesnacks" not in str(values(dev))


def test_flytesnacks_is_registered_when_configured():
    assert values(run(projects=[{"name": "flytesnacks"}]))["flyte-core-components"]["admin"]["seedProjects"] == [
        "flytesnacks"
    ]


def test_the_domains_and_the_namespace_mapping_match_the_task_namespaces():
    inline = values(run(domains=["d-dev"], namespaceTemplate="x-{domain}-{project}"))["configuration"]["inline"]

    assert inline["domains"] == [{"id": "d-dev", "name": "d-dev"}]
    assert inline["namespace_mapping"]["template"].replace("{{`{{`}}", "{{") == "x-{{ domain }}-{{ project }}"


def test_flyte_creates_neither_namespaces_nor_its_custom_resource_definition(dev: Recording):
    found = values(dev)

    assert found["flyte-core-components"]["admin"]["disableClusterResourceManager"] is True
    assert found["configuration"]["inline"]["propeller"]["create-flyteworkflow-crd"] is False
    assert found["configuration"]["propeller"]["createCRDs"] is True  # keeps the definition out of the release


def test_workflows_are_deleted_while_flyte_can_still_remove_their_finalizers(dev: Recording):
    definition = dev.one("CustomResourceDefinition")

    assert definition.manifest["metadata"]["name"] == "flyteworkflows.flyte.lyft.com"
    assert dev.one("Release").urn in definition.dependencies
    schema = definition.manifest["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert schema == {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def test_uploads_are_signed_for_the_address_clients_use():
    inline = values(run(clientEndpoints={"objectStore": "https://s3.home.example"}))["configuration"]["inline"]

    assert inline["storage"]["signedURL"]["stowConfigOverride"]["endpoint"] == "https://s3.home.example"


def test_flyte_is_asked_to_finish_before_it_is_ended(dev: Recording):
    command = values(dev)["deployment"]["lifecycleHooks"]["preStop"]["exec"]["command"]

    assert command[:2] == ["sh", "-c"]
    assert command[2].split(" && ") == ["kill -TERM 1", "sleep 1", "kill -HUP 1"]


def test_a_startup_probe_replaces_the_initial_delay_of_the_chart(dev: Recording):
    deployment = values(dev)["deployment"]

    assert deployment["startupProbe"]["periodSeconds"] == 1
    assert deployment["startupProbe"]["httpGet"]["path"].startswith("/api/v1/projects")
    for probe in ("readinessProbe", "livenessProbe"):
        assert "initialDelaySeconds" not in deployment[probe]
        assert deployment[probe]["httpGet"]["path"] == "/healthcheck"
        assert deployment[probe]["periodSeconds"] >= 10


def test_flyte_runs_hardened_and_with_the_configured_resources():
    deployment = values(
        run(flyte={"resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "3", "memory": "4Gi"}}})
    )
    deployment = deployment["deployment"]

    assert deployment["resources"] == {
        "requests": {"cpu": "1", "memory": "1Gi"},
        "limits": {"cpu": "3", "memory": "4Gi"},
    }
    assert deployment["podSecurityContext"]["runAsNonRoot"] is True
    for context in (deployment["securityContext"], deployment["waitForDB"]["securityContext"]):
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}


def test_task_defaults_are_left_to_the_pod_template_and_the_maximum_comes_from_the_settings():
    resources = values(run(tasks={"maximum": {"cpu": "6", "memory": "12Gi"}}))["configuration"]["inline"][
        "task_resources"
    ]

    assert resources == {"defaults": {"cpu": "0", "memory": "0"}, "limits": {"cpu": "6", "memory": "12Gi"}}


def test_values_of_the_stack_file_are_merged_last_and_leave_the_others_unchanged():
    found = values(
        run(flyteValues={"deployment": {"labels": {"team": "home"}}, "configuration": {"logging": {"level": 5}}})
    )

    assert found["deployment"]["labels"] == {"team": "home"}
    assert found["configuration"]["logging"]["level"] == 5
    assert found["configuration"]["database"]["username"] == "flyte"


def test_the_static_values_contain_nothing_specific_to_a_stack():
    static = yaml.safe_load((CHART_DIR / "values.yaml").read_text())

    assert not {"host", "username", "dbname"} & set(static["configuration"]["database"])
    assert "image" not in static["deployment"]


def test_image_references_of_every_form_reach_the_chart_unchanged():
    digest = "sha256:" + "a" * 64
    for reference in ("r.home/flyte:1", f"r.home/flyte:1@{digest}", f"r.home:5000/flyte@{digest}"):
        image = values(run(images={"flyte": reference}))["deployment"]["image"]
        assert f"{image['repository']}:{image['tag']}" == reference


def test_volumes_of_the_stack_file_are_added_to_the_volumes_flyte_needs():
    mount = {"name": "ca", "mountPath": "/ca"}
    extra = {"extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}], "extraVolumeMounts": [mount]}
    deployment = values(run(flyteValues={"deployment": extra}))["deployment"]

    for kind in ("extraVolumes", "extraVolumeMounts"):
        assert [item["name"] for item in deployment[kind]] == ["tmp", "ca"]
