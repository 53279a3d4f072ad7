"""A database on a server that the stack does not run: its settings, and what is built from them."""

import base64
import json
from typing import Any

import pytest
import trustme

from components.database.external import password_of
from components.retention.names import CRON_JOB
from ops.lib.recording import Recording
from settings import rules, settings_from
from settings.errors import SettingsError
from settings.postgres_external import ExistingSecret
from settings.servers import PostgresSettings
from tests.conftest import containers, run, stack
from tests.network import PLACES, PORTS, Place, allowed, policies_of

AUTHORITY = trustme.CA().cert_pem.bytes().decode()
PASSWORD = "planted-external-password"
TLS = {"certificateAuthority": AUTHORITY}
NAS = "192.168.1.20"
FLYTE, STRANGER = PLACES["flyte"], PLACES["another pod beside flyte"]


def external(**changed: Any) -> dict[str, Any]:
    """The setting ``postgres`` for a server at a name."""
    return {"mode": "external", "external": {"host": "db.home.example", "tls": TLS, **changed}}


def recorded(password: str | None = PASSWORD, more: dict[str, Any] | None = None, **changed: Any) -> Recording:
    return run(postgres=external(**changed), postgresPassword=password, **(more or {}))


def load(postgres: dict[str, Any], password: str | None = PASSWORD, **others: Any) -> PostgresSettings:
    return settings_from(*stack(postgres=postgres, postgresPassword=password, **others)).postgres


def problems(postgres: dict[str, Any], password: str | None = PASSWORD, **others: Any) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as rejected:
        load(postgres, password, **others)
    return rejected.value.problems


def problem(postgres: dict[str, Any], password: str | None = PASSWORD, **others: Any) -> str:
    """The one message about settings that are rejected."""
    (message,) = problems(postgres, password, **others)
    return message


# --- the settings ---------------------------------------------------------------------------------------------------


def test_the_stack_runs_the_server_unless_another_mode_is_set():
    assert settings_from(*stack()).postgres.mode == "bundled"


def test_a_host_a_password_and_an_authority_are_enough():
    found = load(external()).external

    assert (found.port, found.database, found.username, found.tls.mode) == (5432, "flyte", "flyte", "verify-full")


def test_everything_that_is_missing_is_named_at_once_with_its_command():
    host, authority, password = problems({"mode": "external"}, None)

    assert host.endswith("pulumi config set --path flyte-home:postgres.external.host db.home.example")
    assert "pulumi config set --path flyte-home:postgres.external.tls.certificateAuthority < ca.pem" in authority
    assert password.startswith("flyte-home:postgresPassword: is missing or empty")
    assert "pulumi config set --secret flyte-home:postgresPassword" in password
    assert "flyte-home:postgres.external.existingSecret.name flyte-database" in password


def test_a_server_has_no_effect_in_another_mode():
    message = problem({"external": {"host": "db.home.example"}})

    assert message.startswith(
        "flyte-home:postgres.external: has no effect, because flyte-home:postgres.mode is 'bundled'"
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"host": "https://db.home"},
            "flyte-home:postgres.external.host: (not shown: text of 15 characters) is not a host",
        ),
        ({"host": "db.home:5432"}, "is not a host; write a name such as db.home.example"),
        ({"host": "10.0.0.300"}, "is not an IPv4 address"),
        ({"port": 0}, "flyte-home:postgres.external.port"),
        ({"database": "my db"}, "flyte-home:postgres.external.database: 'my db' is not a name that Flyte can pass on"),
        ({"database": "yes"}, "'yes' is not a name that Flyte can pass on"),
        ({"username": "flyte'; --"}, "flyte-home:postgres.external.username"),
        ({"tls": {"mode": "prefer"}}, "flyte-home:postgres.external.tls.mode"),
        ({"tls": {"certificateAuthority": "no certificate"}}, "is not a certificate in PEM"),
        ({"networks": ["0.0.0.0/0"]}, "flyte-home:postgres.external.networks[0]"),
        ({"existingSecret": {"name": "Upper"}}, "flyte-home:postgres.external.existingSecret.name"),
        ({"user": "flyte"}, "flyte-home:postgres.external.user"),
    ],
)
def test_a_wrong_value_is_named(changed: dict[str, Any], said: str):
    assert any(said in message for message in problems(external(**changed)))


@pytest.mark.parametrize("mode", ["require", "disable"])
def test_an_authority_that_is_not_checked_has_no_effect(mode: str):
    message = problem(external(tls={"mode": mode, **TLS}))

    assert f"certificateAuthority: has no effect, because flyte-home:postgres.external.tls.mode is {mode!r}" in message
    assert "pulumi config set --path flyte-home:postgres.external.tls.mode verify-full" in message


def test_the_password_is_given_once():
    message = problem(external(existingSecret={"name": "of-the-operator"}))

    assert message.startswith("flyte-home:postgres.external.existingSecret.name: is 'of-the-operator', but")
    assert "pulumi config rm flyte-home:postgresPassword" in message


@pytest.mark.parametrize("namespace", ["flyte", "remedy-development"])
def test_an_existing_secret_cannot_be_in_a_namespace_that_the_stack_creates(namespace: str):
    message = problem(external(existingSecret={"name": "x", "namespace": namespace}), None)

    assert message.startswith("flyte-home:postgres.external.existingSecret.namespace")


@pytest.mark.parametrize(
    "host", ["localhost", "postgres", "postgres.flyte", "postgres.flyte.svc", "x.flyte.svc.cluster.local"]
)
def test_a_host_in_the_stack_itself_is_rejected(host: str):
    assert "is in the pods or the namespace of the stack itself" in problem(external(host=host))


@pytest.mark.parametrize("host", [NAS, "db.databases.svc"])
def test_networks_have_no_effect_where_the_host_says_where_the_server_is(host: str):
    assert "networks: has no effect" in problem(external(host=host, networks=[f"{NAS}/32"]))


def test_a_password_that_flytes_connection_string_cannot_carry_is_rejected_and_not_shown():
    message = problem(external(), "planted 'quoted'")

    assert message.startswith("flyte-home:postgresPassword: has a space, a quote")
    assert "planted" not in message


def test_the_length_of_a_password_is_the_servers_business():
    load(external(), "short")
    assert "is shorter than 8 characters" in problem({}, "short")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tls": {"mode": "require"}}, "tls.mode is require, which checks no certificate"),
        ({"tls": {"mode": "disable"}}, "tls.mode is disable: everyone between the cluster and db.home.example"),
        ({"tls": {"mode": "disable"}, "host": "db.databases.svc"}, ""),
        ({}, ""),
    ],
)
def test_a_connection_that_others_can_read_or_answer_is_a_warning(changed: dict[str, Any], said: str):
    found = settings_from(*stack(postgres=external(**changed), postgresPassword=PASSWORD))
    warnings = [one for one in rules.warnings(found) if "postgres.external" in one]

    assert [said in one for one in warnings] == ([True] if said else [])


# --- what is built ----------------------------------------------------------------------------------------------------


def test_no_server_and_no_volume_of_the_database_is_built():
    found = recorded()

    assert [one.type for one in found.resources if one.name == "postgres"] == ["flyte-home:index:ExternalPostgres"]
    assert not found.of("StatefulSet", "postgres")
    assert not [one for one in found.of("PersistentVolumeClaim") if "postgres" in one.name]
    assert not [one for one in found.of("RandomPassword") if "postgres" in one.name]


def test_flyte_connects_to_the_server_and_checks_its_certificate():
    found = recorded(port=5433, database="workflows", username="engine")
    values = found.one("Release").plain["values"]
    (volume,) = [one for one in values["deployment"]["extraVolumes"] if one["name"] == "database-authority"]
    (mount,) = [one for one in values["deployment"]["extraVolumeMounts"] if one["name"] == "database-authority"]

    assert values["configuration"]["database"] == {
        "host": "db.home.example",
        "port": 5433,
        "dbname": "workflows",
        "username": "engine",
        "options": f"sslmode=verify-full sslrootcert={mount['mountPath']}/ca.crt",
    }
    secret = found.one("Secret", "postgres-credentials")
    assert volume["secret"]["secretName"] == secret.manifest["metadata"]["name"]
    assert volume["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]
    assert secret.plain["stringData"] == {"flyte-password": PASSWORD, "ca.crt": AUTHORITY}


@pytest.mark.parametrize("mode", ["require", "disable"])
def test_without_an_authority_flyte_mounts_none(mode: str):
    values = recorded(tls={"mode": mode}).one("Release").plain["values"]

    assert values["configuration"]["database"]["options"] == f"sslmode={mode}"
    assert "database-authority" not in json.dumps(values)


def test_another_password_or_authority_restarts_flyte():
    def mounted(found: Recording) -> tuple[str, str]:
        values = found.one("Release").plain["values"]
        (volume,) = [one for one in values["deployment"]["extraVolumes"] if one["name"] == "database-authority"]
        return values["configuration"]["inlineSecretRef"], volume["secret"]["secretName"]

    first = mounted(recorded())
    other_password = mounted(recorded("planted-other"))
    other_authority = mounted(recorded(tls={"certificateAuthority": trustme.CA().cert_pem.bytes().decode()}))

    assert first[0] != other_password[0]
    assert first[1] != other_authority[1]
    secret = recorded().one("Secret", "postgres-credentials").plain
    assert secret["immutable"] is True
    # The doctor finds it by this label.
    assert secret["metadata"]["labels"]["app.kubernetes.io/name"] == "database-credentials"


def test_the_password_is_in_secrets_only():
    found = recorded(
        more={
            "retention": {"executions": 90},
            "flyte": {"scheduleCatchUp": "1h"},
            "backup": {"target": "claim:nas"},
        }
    )
    having = {one.name for one in found.resources if PASSWORD in json.dumps(one.plain)}

    assert having == {"postgres-credentials", "flyte-config"}
    for name in having:
        assert PASSWORD not in json.dumps(found.one("Secret", name).inputs, default=lambda _: "(secret)")


def test_every_script_checks_the_certificate_as_flyte_does():
    found = recorded(
        more={
            "retention": {"executions": 90},
            "flyte": {"scheduleCatchUp": "1h"},
            "backup": {"target": "claim:nas"},
        }
    )
    jobs = {job.name: job.plain["spec"]["jobTemplate"]["spec"] for job in found.of("CronJob")}
    pods = [*containers({"spec": jobs["retention"]}), *containers({"spec": jobs["backup"]})]
    pods += containers({"spec": jobs["backup-restore"]})
    pods += found.one("Release").plain["values"]["deployment"]["initContainers"]
    clients = [one for one in pods if any(entry["name"] == "PGHOST" for entry in one["env"])]

    assert {one["name"] for one in clients} == {"retention", "dump", "database", "swap", "skip-missed-schedules"}
    for one in clients:
        environment = {entry["name"]: entry.get("value", "") for entry in one["env"]}
        mounts = [mount["mountPath"] for mount in one["volumeMounts"]]
        assert environment["PGSSLMODE"] == "verify-full"
        assert environment["PGSSLROOTCERT"].removesuffix("/ca.crt") in mounts
        assert environment["PGHOST"] == "db.home.example"


def test_a_restore_needs_no_superuser_but_a_rehearsal_has_its_own_server():
    found = recorded(more={"backup": {"target": "claim:nas"}}, username="engine", database="workflows")
    jobs = {job.name: job.plain["spec"]["jobTemplate"]["spec"] for job in found.of("CronJob")}

    def scripts(name: str) -> list[str]:
        return [one["command"][-1].rpartition("/")[2] for one in containers({"spec": jobs[name]}) if "command" in one]

    assert {"database-schema.sh", "swap-schema.sh"} < set(scripts("backup-restore"))
    assert {"database.sh", "swap.sh"} < set(scripts("backup-drill"))
    (dump,) = [one for one in containers({"spec": jobs["backup"]}) if one["name"] == "dump"]
    environment = {entry["name"]: entry.get("value", "") for entry in dump["env"]}
    assert environment["PGUSER"] == "engine"
    assert environment["PGDATABASE"] == "workflows"
    assert environment["ONLY_TABLES"] == "public.*"
    assert "superuser-password" not in json.dumps(jobs["backup-restore"])


# --- an existing Secret -----------------------------------------------------------------------------------------------


def test_the_password_of_an_existing_secret_becomes_that_of_the_stack():
    found = recorded(None, existingSecret={"name": "app", "namespace": "databases", "key": "pgpass"})

    assert found.one("Secret", "postgres-credentials").plain["stringData"]["flyte-password"] == "generated"
    assert "generated" in found.one("Secret", "flyte-config").plain["stringData"]["202-database.yaml"]
    # It is only read: the stack neither creates nor deletes it.
    assert not found.of("Secret", "postgres-existing")


def encoded(text: str) -> dict[str, str]:
    return {"password": base64.b64encode(text.encode()).decode()}


def test_a_line_break_at_the_end_of_an_existing_password_does_not_count():
    assert password_of(encoded("planted\n"), ExistingSecret(name="app")) == "planted"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "has no key 'password'; write one of its keys"),
        ({"username": "eA==", "pgpass": "eA=="}, "has no key 'password'; write one of pgpass, username"),
        (encoded(""), "is empty, or has a space"),
        (encoded("planted secret"), "is empty, or has a space"),
    ],
)
def test_an_existing_secret_without_a_usable_password_is_named(data: dict[str, str] | None, said: str):
    with pytest.raises(SettingsError) as rejected:
        password_of(data, ExistingSecret(name="app"))

    assert said in str(rejected.value)
    assert "planted" not in str(rejected.value)


# --- the network ------------------------------------------------------------------------------------------------------

SERVER = Place(NAS)
CHECK = Place("10.42.0.40", "flyte", {"app.kubernetes.io/name": "database-check"})


def reached(found: Recording, source: Place, port: int = 5432) -> set[str]:
    """Names of the places that a pod may connect to at a port."""
    policies = policies_of(found)
    return {name for name, place in PLACES.items() if place != source and allowed(policies, source, place, port)}


def test_flyte_reaches_only_the_address_of_the_server():
    found = recorded(host=NAS, port=5433)
    policies = policies_of(found)

    assert reached(found, FLYTE, 5433) == {"nas"}
    assert not reached(found, FLYTE, 5432)
    assert {port for port in PORTS if allowed(policies, FLYTE, SERVER, port)} == {6443}  # that of API servers
    assert reached(found, CHECK, 5433) == {"nas"}
    for other in (STRANGER, PLACES["task"]):
        assert "nas" not in reached(found, other, 5433)


def test_a_name_is_reached_in_the_networks_that_the_settings_give():
    assert reached(recorded(networks=["192.168.1.0/24"]), FLYTE) == {"nas", "api server"}


def test_a_name_without_networks_is_reached_at_its_port_anywhere():
    found = recorded()

    assert {"nas", "internet", "vpn"} < reached(found, FLYTE)
    assert not reached(found, FLYTE, 443)


def test_a_service_of_the_cluster_is_reached_in_its_namespace_only():
    found = recorded(host="db-rw.media.svc.cluster.local")

    assert reached(found, FLYTE) == {"pod of another namespace"}


def test_no_policy_is_for_a_server_that_the_stack_does_not_run():
    assert not recorded().of("NetworkPolicy", "network-postgres")


def test_retention_and_backup_reach_the_server_too():
    found = recorded(more={"retention": {"executions": 90}, "backup": {"target": "claim:nas"}}, host=NAS)
    policies = policies_of(found)

    for name in (CRON_JOB, "backup"):
        pod = Place("10.42.0.41", "flyte", {"app.kubernetes.io/name": name})
        assert allowed(policies, pod, SERVER, 5432), name
        assert not allowed(policies, pod, PLACES["internet"], 5432), name


def test_the_bundled_server_has_no_policy_for_checks(dev: Recording):
    assert not dev.of("NetworkPolicy", "network-database-check")
