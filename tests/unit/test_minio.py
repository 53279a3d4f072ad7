"""The object store."""

from ops.recorder import Recording
from tests.conftest import containers, run


def test_the_root_credential_is_mounted_only_in_the_server_and_the_provisioning_job(dev: Recording):
    root = dev.one("Secret", "minio-root").manifest["metadata"]["name"]
    users = {
        f"{item.kind}:{item.name}" for item in dev.resources if item.name != "minio-root" and root in str(item.plain)
    }

    assert users == {"StatefulSet:minio", "Job:minio-provision"}


def test_the_root_credential_comes_by_reference_because_a_missing_file_would_mean_the_default(dev: Recording):
    (container,) = containers(dev.one("StatefulSet", "minio").plain)
    environment = {entry["name"]: entry for entry in container["env"]}

    for variable in ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"):
        assert "secretKeyRef" in environment[variable]["valueFrom"]
    assert not any(name.endswith("_FILE") for name in environment)


def test_the_job_has_no_secret_in_its_arguments_or_environment(dev: Recording):
    (container,) = containers(dev.one("Job", "minio-provision").plain)

    assert container["command"] == ["/bin/sh", "/scripts/provision.sh"]
    assert "args" not in container
    assert not [entry for entry in container["env"] if "valueFrom" in entry]


def test_the_job_makes_every_bucket_and_removes_only_users_that_the_stack_has_made(dev: Recording):
    (container,) = containers(dev.one("Job", "minio-provision").plain)
    environment = {entry["name"]: entry["value"] for entry in container["env"]}

    assert environment["BUCKETS"].split() == ["flyte", "remedy-development", "remedy-staging", "remedy-production"]
    assert environment["TASK_USERS"] == "flyte-tasks-"


def test_the_job_runs_again_when_what_it_makes_changes(dev: Recording):
    name = dev.one("Job", "minio-provision").manifest["metadata"]["name"]
    for other in (run(minio={"bucket": "other"}), run(projects=[{"name": "remedy"}, {"name": "more"}])):
        assert other.one("Job", "minio-provision").manifest["metadata"]["name"] != name
    assert dev.by_urn(dev.one("Job", "minio-provision").dependencies[0])
    assert "StatefulSet" in {dev.by_urn(urn).kind for urn in dev.one("Job", "minio-provision").dependencies}


def test_health_routes_are_asked_and_not_too_often(dev: Recording):
    (container,) = containers(dev.one("StatefulSet", "minio").plain)

    assert container["livenessProbe"]["httpGet"] == {"path": "/minio/health/live", "port": "s3"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/minio/health/ready", "port": "s3"}
    assert min(container[probe]["periodSeconds"] for probe in ("livenessProbe", "readinessProbe")) >= 15


def test_flyte_gets_the_application_key_and_not_roots(dev: Recording):
    storage = dev.one("Secret", "flyte-config").plain["stringData"]["203-storage.yaml"]

    assert "access_key_id: flyte" in storage
    assert "root" not in storage
