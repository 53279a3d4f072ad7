"""A database in a cluster of CloudNativePG: its settings, and what is built from them."""

import json
import ssl
from typing import Any

import pytest
from cryptography import x509

from components.database.server_certificate import server_certificate
from components.retention.names import CRON_JOB
from ops.lib.recording import Recording
from settings import rules, settings_from
from settings.errors import SettingsError
from tests.conftest import containers, run, stack
from tests.network import PLACES, Place, allowed, policies_of

MODE = {"mode": "cloudnative-pg"}
ARCHIVE = {"destination": "s3://backups/flyte", "endpoint": "http://192.168.1.20:9000", "accessKeyId": "archive"}
KEY = "planted-archive-key"
EVERYTHING = {
    "retention": {"executions": 90},
    "flyte": {"scheduleCatchUp": "1h"},
    "backup": {"target": "claim:nas"},
}
INSTANCE = Place("10.42.0.50", "flyte", {"cnpg.io/cluster": "postgres"})
OPERATOR = Place("10.42.0.51", "cnpg-system", {"app.kubernetes.io/name": "cloudnative-pg"})
LOGIN = Place("10.42.0.52", "flyte", {"app.kubernetes.io/name": "database-check"})


def recorded(more: dict[str, Any] | None = None, archive: dict[str, Any] | None = None, **changed: Any) -> Recording:
    """The recording of a stack in this mode, whose cluster has these settings."""
    chosen = {**changed, **({"archive": archive} if archive else {})}
    secrets = {"postgresArchiveKey": KEY} if archive else {}
    return run(postgres={**MODE, "cloudnativePg": chosen}, **secrets, **(more or {}))


def spec(found: Recording) -> dict[str, Any]:
    return found.one("Cluster", "postgres").plain["spec"]


def problem(**changed: Any) -> str:
    """The one message about settings that are rejected."""
    with pytest.raises(SettingsError) as rejected:
        settings_from(*stack(**changed))
    (message,) = rejected.value.problems
    return message


# --- the settings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"instances": 0}, "flyte-home:postgres.cloudnativePg.instances"),
        ({"durability": "some"}, "flyte-home:postgres.cloudnativePg.durability"),
        ({"archive": {"destination": "/backups"}}, "is not a place in an S3 store; write a bucket and a folder"),
        ({"archive": {"endpoint": "nas.home.example"}}, "is not the address of a server"),
        ({"archive": {"endpoint": "https://me@nas.home.example"}}, "is not the address of a server"),
        ({"archive": {"schedule": "daily"}}, "is not a schedule of cron"),
        ({"archive": {"keepDays": 7}}, "archive: has no effect without flyte-home:postgres.cloudnativePg.archive."),
        ({"instances": 1, "durability": "preferred"}, "durability: has no effect, because"),
    ],
)
def test_a_wrong_value_is_named(changed: dict[str, Any], said: str):
    assert said in problem(postgres={**MODE, "cloudnativePg": changed})


@pytest.mark.parametrize(
    ("archive", "key", "said"),
    [
        (ARCHIVE, None, "flyte-home:postgresArchiveKey: is missing or empty"),
        ({**ARCHIVE, "accessKeyId": ""}, KEY, "archive.accessKeyId: is empty"),
        ({}, KEY, "flyte-home:postgresArchiveKey: has no effect without"),
    ],
)
def test_an_archive_needs_both_halves_of_its_key(archive: dict[str, Any], key: str | None, said: str):
    message = problem(postgres={**MODE, "cloudnativePg": {"archive": archive}}, postgresArchiveKey=key)

    assert said in message
    assert KEY not in message


def test_a_cluster_has_no_effect_in_another_mode():
    message = problem(postgres={"cloudnativePg": {"instances": 1}})

    assert message.startswith("flyte-home:postgres.cloudnativePg: has no effect, because flyte-home:postgres.mode is")
    assert "flyte-home:postgres.mode cloudnative-pg" in message
    assert "postgresArchiveKey: has no effect" in problem(postgresArchiveKey=KEY)


def test_a_volume_that_the_log_alone_can_fill_is_rejected():
    assert "volume.size: is 1Gi" in problem(postgres={**MODE, "volume": {"size": "1Gi"}})


@pytest.mark.parametrize("image", ["ghcr.io/cloudnative-pg/postgresql:latest", "postgresql@sha256:" + "a" * 64])
def test_an_image_without_the_version_in_its_tag_is_rejected(image: str):
    assert "images.postgresCluster: has no tag that begins" in problem(postgres=MODE, images={"postgresCluster": image})


@pytest.mark.parametrize(
    ("changed", "warned"),
    [({"instances": 2}, True), ({"instances": 2, "durability": "preferred"}, False), ({}, False)],
)
def test_two_instances_that_need_each_other_are_a_warning(changed: dict[str, Any], warned: bool):
    found = settings_from(*stack(postgres={**MODE, "cloudnativePg": changed}))

    assert any("cloudnativePg.instances is 2" in one for one in rules.warnings(found)) == warned


# --- the cluster ------------------------------------------------------------------------------------------------------


def test_commits_wait_for_a_standby_and_only_one_that_has_them_takes_over():
    found = spec(recorded())

    assert found["instances"] == 3
    assert found["postgresql"]["synchronous"] == {
        "method": "any",
        "number": 1,
        "dataDurability": "required",
        "failoverQuorum": True,
    }
    assert found["enablePDB"] is True


def test_with_durability_preferred_commits_go_on_without_a_standby():
    synchronous = spec(recorded(durability="preferred"))["postgresql"]["synchronous"]

    assert (synchronous["dataDurability"], synchronous["failoverQuorum"]) == ("preferred", False)


def test_a_single_instance_waits_for_no_standby_and_lets_its_node_be_drained():
    found = spec(recorded(instances=1))

    assert "synchronous" not in found["postgresql"]
    assert found["enablePDB"] is False


def test_the_servers_are_like_the_bundled_one():
    found = spec(run(postgres={**MODE, "maxConnections": 200, "volume": {"size": "20Gi", "storageClass": "fast"}}))
    bundled = run(postgres={"maxConnections": 200}).one("StatefulSet", "postgres").plain["spec"]["template"]["spec"]

    assert found["postgresql"]["parameters"] == {"max_connections": "200"}
    assert "max_connections=200" in bundled["containers"][0]["args"]
    assert found["resources"] == bundled["containers"][0]["resources"]
    assert found["storage"] == {"size": "20Gi", "storageClass": "fast"}
    assert found["bootstrap"]["initdb"] | {"secret": None} == {
        "database": "flyte",
        "owner": "flyte",
        "secret": None,
        "dataChecksums": True,
        "encoding": "UTF8",
    }
    assert found["enableSuperuserAccess"] is False


def test_the_instances_follow_the_placement_and_their_images_the_logins():
    placement = {"nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "home/database"}]}
    registries = {"logins": [{"host": "ghcr.io", "user": "me"}]}
    found = recorded(
        {"placement": placement, "registries": registries, "registryPassword": "planted-registry"}, spread="required"
    )

    assert spec(found)["affinity"] == {
        "podAntiAffinityType": "required",
        "topologyKey": "kubernetes.io/hostname",
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "home/database", "operator": "Exists"}],
    }
    (secret,) = [one for one in found.of("Secret") if one.plain.get("type") == "kubernetes.io/dockerconfigjson"][:1]
    assert spec(found)["imagePullSecrets"] == [{"name": secret.manifest["metadata"]["name"]}]


@pytest.mark.parametrize("setting", ["protect", "keepVolumes"])
def test_the_settings_that_protect_volumes_protect_the_cluster_which_owns_its_volumes(setting: str):
    cluster = recorded({setting: True}).one("Cluster", "postgres")
    without = recorded().one("Cluster", "postgres")

    assert (cluster.protect, cluster.retain_on_delete) == (setting == "protect", setting == "keepVolumes")
    assert not without.protect
    assert not without.retain_on_delete


def test_no_server_of_the_stack_itself_is_built():
    found = recorded()

    assert not found.of("StatefulSet", "postgres")
    assert not [one for one in found.of("PersistentVolumeClaim") if "postgres" in one.name]


# --- the password and the certificate ---------------------------------------------------------------------------------


def test_another_password_reaches_the_operator_and_restarts_flyte():
    def parts(password: str) -> tuple[dict[str, Any], str, str]:
        found = run(postgres=MODE, postgresPassword=password)
        owner = found.one("Secret", "postgres-owner").plain
        values = found.one("Release").plain["values"]
        job = found.one("Job", "postgres-login").plain["spec"]["template"]["spec"]
        sources = json.dumps(job["volumes"])
        return owner, values["configuration"]["inlineSecretRef"], sources

    first, second = parts("planted-first"), parts("planted-second")

    assert first[0]["stringData"] == {"username": "flyte", "password": "planted-first"}
    assert first[0]["metadata"]["labels"]["cnpg.io/reload"] == "true"
    # The operator follows it, so it keeps its name, and can be changed.
    assert first[0]["metadata"]["name"] == second[0]["metadata"]["name"] == "postgres-owner"
    assert "immutable" not in first[0]
    assert first[1] != second[1]
    # The Job that waits for the new password is another one, too.
    assert first[2] != second[2]


def test_flyte_waits_until_the_servers_let_it_in():
    found = recorded()
    job = found.one("Job", "postgres-login")
    (container,) = containers(job.plain)

    assert container["command"] == ["/bin/sh", "/scripts/await.sh"]
    assert found.one("Cluster", "postgres").urn in job.dependencies
    # A component stands for everything below it.
    assert job.urn.rpartition("::")[0].count("CloudNativePostgres") == 1
    assert {job.urn, job.parent} & set(found.one("Release").dependencies)
    assert found.one("Cluster", "postgres").plain["metadata"]["annotations"] == {
        "pulumi.com/waitFor": "condition=Ready"
    }


def test_flyte_and_every_script_check_the_certificate_and_the_name_of_the_server():
    found = recorded(EVERYTHING)
    values = found.one("Release").plain["values"]
    jobs = {job.name: job.plain["spec"]["jobTemplate"]["spec"] for job in found.of("CronJob")}
    pods = [*containers({"spec": jobs["retention"]}), *containers({"spec": jobs["backup"]})]
    pods += [*containers({"spec": jobs["backup-restore"]}), *values["deployment"]["initContainers"]]
    clients = [one for one in pods if any(entry["name"] == "PGHOST" for entry in one["env"])]

    assert values["configuration"]["database"] == {
        "host": "postgres-rw.flyte.svc",
        "port": 5432,
        "dbname": "flyte",
        "username": "flyte",
        "options": "sslmode=verify-full sslrootcert=/etc/flyte-database/ca.crt",
    }
    assert len(clients) == 5
    for one in clients:
        environment = {entry["name"]: entry.get("value", "") for entry in one["env"]}
        assert environment["PGSSLMODE"] == "verify-full"
        assert environment["PGSSLROOTCERT"].endswith("/ca.crt")


def test_the_certificate_is_for_every_service_of_the_cluster_and_the_same_each_time():
    hosts = ["postgres-rw", "postgres-rw.flyte.svc"]
    certificate, key = server_certificate("seed", hosts)
    names = x509.load_pem_x509_certificate(certificate.encode()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )

    assert names.value.get_values_for_type(x509.DNSName) == hosts
    assert (certificate, key) == server_certificate("seed", hosts)
    assert certificate != server_certificate("other", hosts)[0]
    # A client with it as the only authority accepts it, and PostgreSQL can bind a password to its digest.
    ssl.create_default_context(cadata=certificate)
    assert x509.load_pem_x509_certificate(certificate.encode()).signature_hash_algorithm is not None


def test_secrets_are_in_secrets_only():
    found = run(
        postgres={**MODE, "cloudnativePg": {"archive": ARCHIVE}},
        postgresArchiveKey=KEY,
        postgresPassword="planted-password",
        **EVERYTHING,
    )

    def having(secret: str) -> set[str]:
        return {one.name for one in found.resources if secret in json.dumps(one.plain)}

    assert having("planted-password") == {"postgres-owner", "postgres-credentials", "flyte-config"}
    assert having(KEY) == {"postgres-archive"}
    assert having("BEGIN PRIVATE") >= {"postgres-certificate"}
    for name in ("postgres-owner", "postgres-credentials", "postgres-archive", "postgres-certificate"):
        shown = json.dumps(found.one("Secret", name).inputs, default=lambda _: "(secret)")
        assert not [text for text in ("planted", "BEGIN PRIVATE") if text in shown]


def test_a_restore_needs_no_superuser():
    found = recorded(EVERYTHING)
    restore = {job.name: job.plain["spec"]["jobTemplate"]["spec"] for job in found.of("CronJob")}["backup-restore"]
    scripts = [one["command"][-1].rpartition("/")[2] for one in containers({"spec": restore}) if "command" in one]

    assert {"database-schema.sh", "swap-schema.sh"} < set(scripts)


# --- the archive ------------------------------------------------------------------------------------------------------


def test_the_plugin_archives_the_log_and_makes_base_backups():
    found = recorded(archive={**ARCHIVE, "region": "eu-home", "keepDays": 7, "schedule": "0 4 * * 0"})
    store = found.one("ObjectStore").plain["spec"]
    schedule = found.one("ScheduledBackup").plain["spec"]
    (plugin,) = spec(found)["plugins"]

    assert plugin == {
        "name": "barman-cloud.cloudnative-pg.io",
        "isWALArchiver": True,
        "parameters": {"barmanObjectName": "postgres-archive"},
    }
    assert store["retentionPolicy"] == "7d"
    assert store["configuration"]["destinationPath"] == "s3://backups/flyte"
    assert store["configuration"]["s3Credentials"]["secretAccessKey"] == {
        "name": "postgres-archive",
        "key": "SECRET_ACCESS_KEY",
    }
    assert found.one("Secret", "postgres-archive").plain["stringData"] == {
        "ACCESS_KEY_ID": "archive",
        "SECRET_ACCESS_KEY": KEY,
        "REGION": "eu-home",
    }
    # The operator's notation begins with the seconds.
    assert schedule["schedule"] == "0 0 4 * * 0"
    assert schedule["immediate"] is True


def test_without_an_archive_there_is_nothing_for_the_plugin():
    found = recorded()

    assert "plugins" not in spec(found)
    assert not [*found.of("ObjectStore"), *found.of("ScheduledBackup"), *found.of("Secret", "postgres-archive")]


# --- the network ------------------------------------------------------------------------------------------------------


def test_the_instances_are_reached_by_flyte_by_each_other_and_by_the_operator_only():
    policies = policies_of(recorded(EVERYTHING))

    def reaching(port: int) -> set[str]:
        another = Place("10.42.0.54", "flyte", INSTANCE.labels)
        places = {**PLACES, "instance": another, "operator": OPERATOR, "login": LOGIN}
        places |= {
            name: Place("10.42.0.53", "flyte", {"app.kubernetes.io/name": name}) for name in (CRON_JOB, "backup")
        }
        return {name for name, place in places.items() if allowed(policies, place, INSTANCE, port)}

    assert reaching(5432) == {"flyte", "instance", "operator", "login", CRON_JOB, "backup"}
    assert reaching(8000) == {"instance", "operator"}
    assert reaching(9187) == set()
    assert not allowed(policies, Place("10.42.0.51", "cnpg-system", {}), INSTANCE, 8000)


def test_the_instances_reach_the_api_server_each_other_and_the_archive_only():
    policies = policies_of(recorded(archive=ARCHIVE))

    assert allowed(policies, INSTANCE, PLACES["api server"], 6443)
    assert allowed(policies, INSTANCE, PLACES["nas"], 9000)
    assert not allowed(policies, INSTANCE, PLACES["internet"], 9000)
    assert not allowed(policies, INSTANCE, PLACES["internet"], 443)
    assert not allowed(policies, INSTANCE, PLACES["flyte"], 8088)


def test_prometheus_reaches_the_metrics_of_the_instances_and_no_exporter_is_built():
    found = recorded({"monitoring": {"scrape": "operator"}})
    policies = policies_of(found)
    prometheus = Place("10.42.0.60", "monitoring", {})

    assert allowed(policies, prometheus, INSTANCE, 9187)
    assert not allowed(policies, prometheus, INSTANCE, 5432)
    assert not found.of("Deployment", "monitoring-exporter")
    service = found.one("Service", "monitoring-postgres-cluster-metrics").plain["spec"]
    assert service["selector"] == {"cnpg.io/cluster": "postgres", "cnpg.io/podRole": "instance"}
    assert not [one for one in found.of("RandomPassword") if "monitor" in one.name and "postgres" in one.name]
