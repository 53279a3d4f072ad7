"""What ``make up`` and the doctor check about a database that the stack does not run, and a switch of its mode."""

import base64
import json
import subprocess
from dataclasses import dataclass, field
from typing import Any

import pytest

from ops.doctor.check import Result
from ops.doctor.expectations import DATABASE, Surroundings, sources
from ops.doctor.run import _quick_checks
from ops.doctor.servers import check_other_database, servers_of
from ops.lib.backup import restoring
from ops.lib.database_client import LABEL, database_client, deployed_client
from ops.lib.database_mode import check_database, deployed_mode, external_content
from ops.lib.state import State
from ops.lib.volumes import Stack
from ops.rotate import next_generations
from ops.upgrade import _needed_copy
from settings import Settings
from settings.errors import SettingsError
from tests.kubectl import FakeCluster, examined, settings
from tests.unit.test_external_database import AUTHORITY, NAS, PASSWORD, external

Call = tuple[tuple[str, ...], str]
REGISTRY_PASSWORD = "planted-registry"
REGISTRY = {
    "registries": {
        "mirror": "registry.home:5000/mirror",
        "logins": [{"host": "registry.home:5000", "user": "flyte"}],
    },
    "registryPassword": REGISTRY_PASSWORD,
}


@dataclass(frozen=True)
class Kubectl(FakeCluster):
    """A cluster in which the pod with the clients starts, and its server gives an answer to each call."""

    calls: list[Call] = field(default_factory=list)
    answers: list[tuple[str, str]] = field(default_factory=list)
    """Output and complaint of the next programs in the pod; without any, the server has everything."""

    def run(self, *arguments: str, given: str = "", seconds: float = 20) -> subprocess.CompletedProcess[str]:
        self.calls.append((arguments, given))
        if arguments[0] == "exec" and "--container=client" in arguments:
            out, error = self.answers.pop(0) if self.answers else ("PostgreSQL 17.11\n", "")
            # As kubectl does.
            log = "E1130 02:08:52.703955    1472 websocket.go:296] Unknown stream id 1, discarding message"
            said = f"{log}\n{error}\ncommand terminated with exit code 1\n" if error else ""
            return subprocess.CompletedProcess(arguments, 1 if error else 0, out, said)
        return super().run(*arguments, given=given, seconds=seconds)

    def given_to(self, verb: str) -> list[str]:
        """Standard input of every call of a verb."""
        return [given for arguments, given in self.calls if arguments[0] == verb]


def _credentials(name: str, password: str, created: str) -> dict[str, Any]:
    data = {"flyte-password": base64.b64encode(password.encode()).decode()}
    return {"kind": "Secret", "metadata": {"name": name, "creationTimestamp": created}, "data": data}


DEPLOYED = {
    "items": [
        _credentials("postgres-credentials-2", "planted-deployed", "2026-02-01T00:00:00Z"),
        _credentials("postgres-credentials-1", "planted-earlier", "2026-01-01T00:00:00Z"),
    ]
}


@pytest.fixture(autouse=True)
def decrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Pulumi decrypt the passwords of the stack file."""
    passwords = {"flyte-home:postgresPassword": PASSWORD, "flyte-home:registryPassword": REGISTRY_PASSWORD}

    def pulumi(_environment: Any, *arguments: str) -> str:
        assert arguments[:-1] == ("config", "get", "--stack", "dev")
        return f"{passwords[arguments[-1]]}\n"

    monkeypatch.setattr("ops.lib.database_client.pulumi", pulumi)


@pytest.fixture
def cluster() -> Kubectl:
    found = Kubectl()
    found.on("get", {"items": []})
    found.on("get secrets --selector=app.kubernetes.io/name=database-credentials", DEPLOYED)
    for verb in ("create", "wait", "delete"):
        found.on(verb)
    return found


def chosen(password: str | None = PASSWORD, more: dict[str, Any] | None = None, **changed: Any) -> Settings:
    """The settings of a stack whose database is on another server."""
    return settings(postgres=external(**changed), postgresPassword=password, **(more or {}))


def state(*kinds: str, retained: bool = False, volume: bool = False) -> State:
    """A state with these components."""
    resources: list[dict[str, Any]] = [{"urn": kind, "type": f"flyte-home:index:{kind}"} for kind in kinds]
    for name in ("minio-data", *(["postgres-data"] if volume else [])):
        claim = "kubernetes:core/v1:PersistentVolumeClaim"
        resources.append(
            {"urn": name, "type": claim, "id": f"flyte/{name}", "retainOnDelete": retained and name == "postgres-data"}
        )
    return State({"resources": resources})


def objects(cluster: Kubectl) -> dict[str, dict[str, Any]]:
    """The created objects by kind."""
    (given,) = cluster.given_to("create")
    return {one["kind"]: one for one in json.loads(given)["items"]}


# --- the pod with the clients -----------------------------------------------------------------------------------------


def test_a_server_that_has_everything_is_named_with_its_version(cluster: Kubectl, capsys: pytest.CaptureFixture[str]):
    check_database({}, state(), cluster, chosen(), "dev", moved=False)

    said = capsys.readouterr().out
    assert said == "The database at db.home.example has what Flyte needs: PostgreSQL 17.11\n"


def test_what_is_wrong_is_one_message_and_the_pod_is_deleted(cluster: Kubectl):
    cluster.answers.append(("", "flyte-home:postgresPassword: the server rejects the password"))

    with pytest.raises(SettingsError) as rejected:
        check_database({}, state(), cluster, chosen(), "dev", moved=False)

    assert str(rejected.value) == ("flyte-home:postgresPassword: the server rejects the password. Nothing was changed")
    (deleted,) = cluster.given_to("delete")
    assert json.loads(deleted)["metadata"]["name"] == objects(cluster)["Namespace"]["metadata"]["name"]


def test_the_password_is_on_standard_input_only(cluster: Kubectl):
    check_database({}, state(), cluster, chosen(), "dev", moved=False)

    for arguments, given in cluster.calls:
        assert PASSWORD not in " ".join(arguments)
        assert (PASSWORD in given) == (arguments[0] == "exec")
    assert cluster.given_to("exec") == [f"{PASSWORD}\n"]


def test_the_first_check_needs_no_namespace_of_the_stack(cluster: Kubectl):
    check_database({}, state(), cluster, chosen(), "dev", moved=False)
    made = objects(cluster)

    assert set(made) == {"Namespace", "ServiceAccount", "Pod"}
    assert made["Pod"]["metadata"]["namespace"] == made["Namespace"]["metadata"]["name"] != "flyte"
    assert made["Namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert all(LABEL in made[kind]["metadata"]["labels"] for kind in ("Namespace", "Pod"))


def test_the_pod_has_the_way_to_the_server_in_its_environment(cluster: Kubectl):
    with database_client(cluster, chosen(host=NAS, port=5433, database="workflows", username="engine"), PASSWORD):
        pass
    (container,) = objects(cluster)["Pod"]["spec"]["containers"]
    environment = {entry["name"]: entry["value"] for entry in container["env"]}

    assert {key: environment[key] for key in ("PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGSSLMODE")} == {
        "PGHOST": NAS,
        "PGPORT": "5433",
        "PGDATABASE": "workflows",
        "PGUSER": "engine",
        "PGSSLMODE": "verify-full",
    }
    assert environment["CERTIFICATE"] == AUTHORITY
    assert environment["PGSSLROOTCERT"].endswith("/ca.crt")
    assert environment["PASSWORD_SETTING"] == "flyte-home:postgresPassword"


def test_the_first_check_pulls_its_image_through_the_mirror_with_the_login(cluster: Kubectl):
    check_database({}, state(), cluster, chosen(more=REGISTRY), "dev", moved=False)

    (given,) = cluster.given_to("create")
    created = json.loads(given)["items"]
    by_kind = {one["kind"]: one for one in created}
    secret, pod = by_kind["Secret"], by_kind["Pod"]
    logins = json.loads(secret["stringData"][".dockerconfigjson"])["auths"]

    assert [one["kind"] for one in created][::3] == ["Namespace", "Pod"]
    assert secret["metadata"]["namespace"] == pod["metadata"]["namespace"]
    assert pod["spec"]["imagePullSecrets"] == [{"name": secret["metadata"]["name"]}]
    assert pod["spec"]["containers"][0]["image"].startswith("registry.home:5000/mirror/")
    assert base64.b64decode(logins["registry.home:5000"]["auth"]).decode() == f"flyte:{REGISTRY_PASSWORD}"


def test_later_checks_pull_their_image_with_the_login_of_flyte(cluster: Kubectl):
    running = [{"name": "registries-4f2a"}]
    cluster.on("get deployment flyte-binary", running)

    with deployed_client(cluster, chosen(more=REGISTRY)):
        pass

    assert objects(cluster)["Pod"]["spec"]["imagePullSecrets"] == running
    assert "Secret" not in objects(cluster)


def test_the_password_of_an_existing_secret_is_read(cluster: Kubectl):
    data = {"password": base64.b64encode(b"planted\n").decode()}
    cluster.on("get secret app --namespace=databases", {"kind": "Secret", "data": data})
    found = chosen(None, existingSecret={"name": "app", "namespace": "databases"})

    check_database({}, state(), cluster, found, "dev", moved=False)

    assert cluster.given_to("exec") == ["planted\n"]


def test_a_missing_secret_is_named_and_nothing_is_created(cluster: Kubectl):
    cluster.on("get secret app", "")

    with pytest.raises(SettingsError, match="there is no Secret app in the namespace default"):
        check_database({}, state(), cluster, chosen(None, existingSecret={"name": "app"}), "dev", moved=False)

    assert not cluster.given_to("create")


def test_a_pod_that_does_not_start_is_named_with_its_image_and_deleted(cluster: Kubectl):
    cluster.on("wait", error="timed out")
    cluster.on("get pod", "ErrImagePull ")

    with pytest.raises(SettingsError, match=r"ErrImagePull. Its image is docker.io/library/postgres:17.* Nothing was"):
        check_database({}, state(), cluster, chosen(), "dev", moved=False)

    assert cluster.given_to("delete")


def test_pods_of_commands_that_were_killed_long_ago_are_deleted(cluster: Kubectl):
    old = {"kind": "Namespace", "metadata": {"name": "old", "creationTimestamp": "2020-01-01T00:00:00Z"}}
    new = {"kind": "Namespace", "metadata": {"name": "new", "creationTimestamp": "2100-01-01T00:00:00Z"}}
    cluster.on(f"get namespaces,pods --selector={LABEL}", {"items": [old, new]})

    check_database({}, state(), cluster, chosen(), "dev", moved=False)

    (first, _) = cluster.given_to("delete")
    assert [one["metadata"]["name"] for one in json.loads(first)["items"]] == ["old"]


def test_a_bundled_database_is_not_checked_from_outside(cluster: Kubectl):
    check_database({}, state("Postgres"), cluster, settings(), "dev", moved=False)

    assert not cluster.calls


# --- another mode -----------------------------------------------------------------------------------------------------


def switched(cluster: Kubectl, deployed: State, *, moved: bool = False) -> None:
    check_database({}, deployed, cluster, chosen(), "dev", moved=moved)


def rejected(cluster: Kubectl, deployed: State, found: Settings | None = None, *, moved: bool = False) -> str:
    with pytest.raises(SettingsError) as raised:
        check_database({}, deployed, cluster, found or chosen(), "dev", moved=moved)
    assert not cluster.given_to("create")
    return str(raised.value)


@pytest.fixture
def bundled_rows(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Rows of the bundled server."""
    rows = {"public.executions": 3, "public.workflows": 1, "public.projects": 1}
    monkeypatch.setattr("ops.lib.database.Database.counts", lambda _self: rows)
    return rows


def test_a_switch_from_a_bundled_database_with_rows_is_rejected(cluster: Kubectl, bundled_rows: dict[str, int]):
    message = rejected(cluster, state("Postgres", volume=True))

    assert message.startswith(
        "flyte-home:postgres.mode: is 'external', but Flyte has 3 executions, 1 workflows in the database of the mode "
        "'bundled', and would not see them any more. Nothing was changed"
    )
    assert "pulumi config set --stack dev --path flyte-home:postgres.mode bundled" in message
    assert "make up STACK=dev DATABASE_MOVED=yes" in message


def test_a_switch_from_a_bundled_database_that_cannot_be_read_is_rejected(
    cluster: Kubectl, monkeypatch: pytest.MonkeyPatch
):
    def fails(_self: Any) -> dict[str, int]:
        raise SettingsError("psql in postgres-0: it does not run")

    monkeypatch.setattr("ops.lib.database.Database.counts", fails)

    assert "Flyte has a database that cannot be read in" in rejected(cluster, state("Postgres", volume=True))


def test_a_switch_from_a_bundled_database_without_rows_of_worth_is_accepted(
    cluster: Kubectl, bundled_rows: dict[str, int]
):
    bundled_rows |= {"public.executions": 0, "public.workflows": 0}

    switched(cluster, state("Postgres", volume=True))


def test_moved_rows_are_accepted_only_if_the_old_volume_stays(cluster: Kubectl, bundled_rows: dict[str, int]):
    message = rejected(cluster, state("Postgres", volume=True), moved=True)

    assert "would be deleted. Nothing was changed" in message
    assert "pulumi config set --stack dev flyte-home:keepVolumes true" in message
    switched(cluster, state("Postgres", volume=True, retained=True), moved=True)


def test_a_switch_back_to_the_bundled_database_is_rejected_until_its_rows_are_moved(cluster: Kubectl):
    message = rejected(cluster, state("ExternalPostgres"), settings())

    assert "Flyte has its rows in the database of the mode 'external'" in message
    check_database({}, state("ExternalPostgres"), cluster, settings(), "dev", moved=True)


@pytest.mark.parametrize("deployed", [state(), state("ExternalPostgres")])
def test_the_first_update_and_the_same_mode_are_no_switch(cluster: Kubectl, deployed: State):
    switched(cluster, deployed)


def test_of_two_databases_in_the_state_the_one_in_flytes_release_counts():
    both = state("Postgres", "ExternalPostgres")
    hosts = {"flyte-home:index:Postgres": "postgres.flyte.svc", "flyte-home:index:ExternalPostgres": NAS}
    release: dict[str, Any] = {"urn": "flyte", "type": "kubernetes:helm.sh/v3:Release"}
    resources = [{**one, "outputs": {"host": hosts.get(one["type"])}} for one in both.deployment["resources"]]

    for kind, mode in (("Postgres", "bundled"), ("ExternalPostgres", "external")):
        values = {"configuration": {"database": {"host": hosts[f"flyte-home:index:{kind}"]}}}
        found = State({"resources": [*resources, {**release, "inputs": {"values": values}}]})
        assert deployed_mode(found) == mode


# --- the doctor -------------------------------------------------------------------------------------------------------


def of_database(cluster: Kubectl, **changed: Any) -> Result:
    stack = examined(cluster, postgres=external(**changed), postgresPassword=PASSWORD)
    stack.cluster = cluster
    (result,) = check_other_database(stack)
    return result


def test_the_doctor_checks_the_server_from_flytes_namespace(cluster: Kubectl):
    result = of_database(cluster)

    assert (result.state, result.says) == (
        "ok",
        "PostgreSQL 17.11 at db.home.example lets Flyte's role in, and has what Flyte needs",
    )
    pod = objects(cluster)["Pod"]
    assert set(objects(cluster)) == {"Pod"}
    assert pod["metadata"]["namespace"] == "flyte"
    # The label that the network policy selects.
    assert pod["metadata"]["labels"]["app.kubernetes.io/name"] == "database-check"
    # With the password that Flyte has now, which is not always that of the stack file.
    assert cluster.given_to("exec") == ["planted-deployed\n"]


def test_the_doctor_says_what_is_wrong_with_the_server(cluster: Kubectl):
    cluster.answers.append(("", "flyte-home:postgres.external.host: db.home.example does not answer on port 5432"))

    result = of_database(cluster)

    assert result.state == "wrong"
    assert result.says.startswith("flyte-home:postgres.external.host: db.home.example does not answer")


def test_the_doctor_says_that_nothing_is_deployed_yet(cluster: Kubectl):
    cluster.on("get secrets --selector=app.kubernetes.io/name=database-credentials", {"items": []})

    result = of_database(cluster)

    assert result.says == "the password of the database is not in the namespace flyte yet"
    assert result.remedy == "make up STACK=dev"


def test_the_doctor_looks_for_no_server_that_the_stack_does_not_run():
    assert servers_of(examined().settings) == ["postgres", "minio", "flyte"]
    stack = examined(postgres=external(), postgresPassword=PASSWORD)

    assert servers_of(stack.settings) == ["minio", "flyte"]
    assert "postgres" not in [check.name for check in _quick_checks(stack)]


def test_a_task_must_not_reach_the_server_at_its_address():
    around = Surroundings({}, [], [], "flyte-webhook", "/")
    found = settings(postgres=external(host=NAS, port=5433), postgresPassword=PASSWORD)
    task, stranger = (
        next(one for one in source.attempts if one.what == DATABASE)
        for source in sources(found, found.task_scopes[0], around)
    )

    assert (task.host, task.port, task.expected) == (NAS, 5433, "closed")
    assert stranger.expected == "either"


# --- other commands ---------------------------------------------------------------------------------------------------


def test_the_passwords_of_another_server_are_not_rotated_here():
    found = chosen()

    assert not {"postgres", "postgresSuperuser"} & set(next_generations(found, []))
    with pytest.raises(SettingsError, match=r"postgres has nothing to rotate: .* see docs/outgrowing.md"):
        next_generations(found, ["postgres"])


def test_an_upgrade_copies_no_database_of_another_server(cluster: Kubectl):
    assert _needed_copy(Stack("dev", chosen(), cluster, {})) is None
    assert not cluster.calls


def test_what_a_restore_would_replace_is_read_as_the_owner(cluster: Kubectl):
    cluster.answers.extend([("executions\nworkflows\nother\n", ""), ("5\n0\n", "")])

    with deployed_client(cluster, chosen()) as client:
        assert external_content(client) == "5 executions"
    statements = [given.partition("\n")[2] for given in cluster.given_to("exec")]
    assert statements[1] == "SELECT count(*) FROM public.executions;SELECT count(*) FROM public.workflows"


def test_a_restore_of_another_server_keeps_and_drops_a_schema_instead_of_a_database(cluster: Kubectl):
    stack = Stack("dev", chosen(), cluster, {})

    restoring._sql(stack, restoring._FORGET)
    restoring._sql(stack, restoring._EXCHANGE)

    first, second = (given.partition("\n")[2] for given in cluster.given_to("exec"))
    assert first.endswith("DROP SCHEMA IF EXISTS flyte_replaced CASCADE")
    assert "ALTER SCHEMA flyte_replaced RENAME TO public" in second
