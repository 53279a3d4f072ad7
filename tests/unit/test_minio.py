"""The object store."""

from components.object_store.minio import KEYS
from ops.lib.recording import Recording
from ops.up import _provisioning
from tests.conftest import containers, run


def test_only_the_server_and_the_jobs_that_manage_users_get_the_root_credential(dev: Recording):
    root = dev.one("Secret", "minio-root").manifest["metadata"]["name"]
    users = {
        f"{item.kind}:{item.name}" for item in dev.resources if item.name != "minio-root" and root in str(item.plain)
    }

    assert users == {"StatefulSet:minio", "Job:minio-provision", "Job:retired-users"}


def test_the_root_credential_is_a_secret_reference_because_a_missing_file_would_mean_the_default(dev: Recording):
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


def environment(recording: Recording, job: str) -> dict[str, str]:
    (container,) = containers(recording.one("Job", job).plain)
    return {entry["name"]: entry["value"] for entry in container["env"]}


def names_kept(recording: Recording, job: str) -> set[str]:
    file = environment(recording, job)["KEPT"].removeprefix("/scripts/")
    return set(recording.one("ConfigMap", "retired-users-scripts").plain["data"][file].split())


def test_the_job_creates_every_bucket(dev: Recording):
    table = dev.one("ConfigMap", "minio-provision").plain["data"]["users"]
    buckets = [line.split()[1] for line in table.splitlines()]

    assert buckets == ["flyte", "remedy-development", "remedy-staging", "remedy-production"]


def test_retired_users_are_removed_after_flyte_and_the_tasks_have_their_new_keys(dev: Recording):
    job = dev.one("Job", "retired-users")
    kept = names_kept(dev, "retired-users")

    assert kept == set(dev.one("Secret", "minio-keys").plain["stringData"])
    assert dev.one("Release").urn in job.dependencies
    assert dev.one("Secret", "flyte-object-store-remedy-staging").urn in dev.one("Release").dependencies
    assert dev.one("Job", "minio-provision").urn in dev.one("Secret", "flyte-object-store-remedy-staging").dependencies
    assert not dev.of("Job", "retired-users-later")


def test_the_previous_task_keys_remain_valid_for_a_while_after_a_rotation():
    found = run(generations={"minioTasks": 3}, minio={"taskKeyWindow": 600})
    newest, previous = "flyte-tasks-remedy-staging.3", "flyte-tasks-remedy-staging.2"

    assert newest in found.one("Secret", "minio-keys").plain["stringData"]
    assert {newest, previous} <= names_kept(found, "retired-users")
    later = environment(found, "retired-users-later")
    assert newest in names_kept(found, "retired-users-later")
    assert previous not in names_kept(found, "retired-users-later")
    assert later["AFTER"] == "600"
    job = found.one("Job", "retired-users-later").manifest
    assert job["metadata"]["annotations"]["pulumi.com/skipAwait"] == "true"
    # A deadline would count the seconds for which it sleeps.
    assert "activeDeadlineSeconds" not in job["spec"]


def test_without_a_window_the_previous_keys_are_removed_before_the_update_ends():
    found = run(generations={"minioTasks": 2}, minio={"taskKeyWindow": 0})

    assert not found.of("Job", "retired-users-later")
    assert "flyte-tasks-remedy-staging" not in names_kept(found, "retired-users")


def test_the_job_runs_again_when_buckets_or_users_change(dev: Recording):
    name = dev.one("Job", "minio-provision").manifest["metadata"]["name"]
    for other in (run(minio={"bucket": "other"}), run(projects=[{"name": "remedy"}, {"name": "more"}])):
        assert other.one("Job", "minio-provision").manifest["metadata"]["name"] != name
    assert dev.by_urn(dev.one("Job", "minio-provision").dependencies[0])
    assert "StatefulSet" in {dev.by_urn(urn).kind for urn in dev.one("Job", "minio-provision").dependencies}


def test_probes_request_the_health_routes_and_not_too_often(dev: Recording):
    (container,) = containers(dev.one("StatefulSet", "minio").plain)

    assert container["livenessProbe"]["httpGet"] == {"path": "/minio/health/live", "port": "s3"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/minio/health/ready", "port": "s3"}
    assert min(container[probe]["periodSeconds"] for probe in ("livenessProbe", "readinessProbe")) >= 15


def test_flyte_gets_its_own_key_and_not_the_one_of_root(dev: Recording):
    storage = dev.one("Secret", "flyte-config").plain["stringData"]["object-store-key"]

    assert "aws_access_key_id = flyte\n" in storage
    assert "root" not in storage


def test_make_up_finds_the_keys_of_the_users_and_the_job_that_sets_them(dev: Recording):
    """Otherwise it would look for keys that do not exist, and repair none."""
    assert set(dev.one("Secret", KEYS).plain["stringData"]) >= {"flyte", "flyte-tasks-remedy-staging"}
    assert dev.one("Secret", KEYS).manifest["metadata"]["name"].startswith(f"{KEYS}-")
    assert _provisioning("dev") == dev.one("Job", "minio-provision").urn
