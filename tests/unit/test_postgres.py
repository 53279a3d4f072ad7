"""The database."""

from ops.lib.recording import Recording, Resource
from tests.conftest import containers, run


def server(recording: Recording) -> dict:
    (container,) = containers(recording.one("StatefulSet", "postgres").plain)
    return container


def test_the_password_is_generated_unless_one_is_given(dev: Recording):
    given = run(postgresPassword="given-password")

    assert dev.one("Secret", "postgres-credentials").plain["stringData"]["flyte-password"] == "generated"
    assert dev.one("RandomPassword", "postgres-password").plain["special"] is False
    assert given.one("Secret", "postgres-credentials").plain["stringData"]["flyte-password"] == "given-password"
    assert not given.of("RandomPassword", "postgres-password")


def test_a_changed_password_gives_the_secret_a_new_name_and_restarts_the_pod():
    def mounted(recording: Recording) -> str:
        pod = recording.one("StatefulSet", "postgres").plain["spec"]["template"]["spec"]
        (name,) = [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume]
        return name

    first, second = run(postgresPassword="first-password"), run(postgresPassword="second-password")

    assert mounted(first) == first.one("Secret", "postgres-credentials").manifest["metadata"]["name"]
    assert mounted(first) != mounted(second)
    assert first.one("Secret", "postgres-credentials").plain["immutable"] is True


def test_credentials_are_mounted_as_files_and_not_set_in_the_environment(dev: Recording):
    container = server(dev)

    assert not [entry for entry in container["env"] if "valueFrom" in entry]
    assert {"POSTGRES_PASSWORD_FILE", "CREDENTIALS"} <= {entry["name"] for entry in container["env"]}
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "credentials"]
    assert mount["readOnly"] is True


def test_the_first_start_creates_a_utf8_cluster_with_checksums_and_hashed_passwords(dev: Recording):
    environment = {entry["name"]: entry["value"] for entry in server(dev)["env"]}

    for option in ("--encoding=UTF8", "--data-checksums", "--auth-host=scram-sha-256"):
        assert option in environment["POSTGRES_INITDB_ARGS"].split()
    assert environment["PGDATA"].startswith("/var/lib/postgresql/data/")


def test_the_pod_mounts_exactly_the_scripts_it_runs(dev: Recording):
    container = server(dev)
    scripts = set(dev.one("ConfigMap", "postgres-scripts").plain["data"])
    hooks = [
        container["lifecycle"]["postStart"]["exec"],
        container["lifecycle"]["preStop"]["exec"],
        container["startupProbe"]["exec"],
    ]

    assert {hook["command"][-1].removeprefix("/scripts/") for hook in hooks} == scripts


def test_probes_run_rarely_once_a_login_has_succeeded(dev: Recording):
    container = server(dev)

    assert container["startupProbe"]["exec"]["command"][-1] == "/scripts/login.sh"
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["exec"]["command"][0] == "pg_isready"
        assert container[probe]["periodSeconds"] >= 15


def test_the_server_has_time_to_finish_its_checkpoint_before_it_is_killed(dev: Recording):
    assert dev.one("StatefulSet", "postgres").plain["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= 60


def test_volume_size_storage_class_and_connections_can_be_configured():
    recording = run(postgres={"volume": {"size": "33Gi", "storageClass": "fast"}, "maxConnections": 240})
    claim = recording.one("PersistentVolumeClaim", "postgres-data").plain["spec"]

    assert claim["resources"]["requests"]["storage"] == "33Gi"
    assert claim["storageClassName"] == "fast"
    assert server(recording)["args"] == ["postgres", "-c", "max_connections=240"]
    database = recording.one("Release").plain["values"]["configuration"]["inline"]["database"]
    assert 5 * database["maxOpenConnections"] <= 240 - 20


def test_all_connection_pools_of_flyte_fit_into_the_default_number_of_connections(dev: Recording):
    database = dev.one("Release").plain["values"]["configuration"]["inline"]["database"]

    assert 0 < 5 * database["maxOpenConnections"] < 100


def test_the_default_storage_class_of_the_cluster_is_used_unless_one_is_set(dev: Recording):
    assert "storageClassName" not in dev.one("PersistentVolumeClaim", "postgres-data").plain["spec"]


def claims(recording: Recording) -> dict[str, Resource]:
    return {one.name: one for one in recording.of("PersistentVolumeClaim") if one.name.startswith("postgres")}


def mounted(recording: Recording) -> str:
    pod = recording.one("StatefulSet", "postgres").plain["spec"]["template"]["spec"]
    (name,) = [one["persistentVolumeClaim"]["claimName"] for one in pod["volumes"] if "persistentVolumeClaim" in one]
    return name


def test_the_first_volume_has_the_name_that_it_had_before_there_were_generations(dev: Recording):
    assert set(claims(dev)) == {"postgres-data"}
    assert mounted(dev) == "postgres-data"


def test_a_new_generation_has_a_volume_of_its_own_beside_the_one_that_is_kept():
    volumes = {"volumeGeneration": 2, "keptVolumes": [1], "volume": {"size": "50Gi", "storageClass": "fast"}}
    recording = run(protect="true", postgres=volumes)
    found = claims(recording)

    assert set(found) == {"postgres-data", "postgres-data-2"}
    assert mounted(recording) == "postgres-data-2"
    assert all(one.protect for one in found.values())
    # Another size or class is for the volume in use; the other one would be grown, or replaced.
    assert found["postgres-data"].ignore_changes == ["spec"]
    assert not found["postgres-data-2"].ignore_changes
    assert found["postgres-data"].urn == claims(run(protect="true"))["postgres-data"].urn


def test_a_kept_volume_stays_in_the_cluster_when_it_is_no_longer_declared():
    found = claims(run(postgres={"volumeGeneration": 3, "keptVolumes": [1, 2]}))

    assert {name: bool(one.retain_on_delete) for name, one in found.items()} == {
        "postgres-data": True,
        "postgres-data-2": True,
        "postgres-data-3": False,
    }
