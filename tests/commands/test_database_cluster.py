"""What ``make up``, ``make preview`` and the doctor check about a database cluster of the operator CloudNativePG."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ops import preview
from ops.doctor.check import Result
from ops.doctor.database_cluster import check_cluster, check_cluster_database
from ops.doctor.expectations import DATABASE, Surroundings, sources
from ops.doctor.run import _quick_checks
from ops.doctor.servers import servers_of
from ops.doctor.volumes import check_volumes
from ops.lib import recovery
from ops.lib.database_client import deployed_client
from ops.lib.database_mode import check_database, deployed_mode
from ops.lib.operator_check import check_operator
from ops.lib.state import State
from ops.lib.workloads import Workloads
from ops.rotate import next_generations
from paths import ROOT
from settings.errors import SettingsError
from tests.external_store import AUTHORITY
from tests.kubectl import FakeCluster, examined, settings

MODE = {"mode": "cloudnative-pg"}
ARCHIVE = {"archive": {"destination": "s3://backups/flyte", "accessKeyId": "archive"}}
PASSWORD = "planted-deployed"
CREDENTIALS = {
    "kind": "Secret",
    "metadata": {"name": "postgres-credentials-1", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "data": {
        "flyte-password": base64.b64encode(PASSWORD.encode()).decode(),
        "ca.crt": base64.b64encode(AUTHORITY.encode()).decode(),
    },
}
CLUSTER = "get clusters.postgresql.cnpg.io postgres"


def definition(*fields: str) -> dict[str, Any]:
    """A definition with nested fields."""
    schema: dict[str, Any] = {}
    for name in reversed(fields):
        schema = {"properties": {name: schema or {"type": "boolean"}}}
    return {"spec": {"versions": [{"schema": {"openAPIV3Schema": schema}}]}}


NEWEST = definition("spec", "postgresql", "synchronous", "failoverQuorum")
OLD = definition("spec", "postgresql", "synchronous", "dataDurability")


def deployment(ready: int) -> dict[str, Any]:
    return {"metadata": {"name": "cnpg-controller-manager"}, "status": {"readyReplicas": ready} if ready else {}}


def healthy(**status: Any) -> dict[str, Any]:
    told = {"readyInstances": 3, "currentPrimary": "postgres-2", "phase": "Cluster in healthy state", **status}
    return {"spec": {"instances": 3}, "status": told}


@pytest.fixture
def cluster() -> FakeCluster:
    """A cluster with a running operator, and a healthy database cluster."""
    found = FakeCluster()
    found.on("get", {"items": []})
    found.on("get customresourcedefinition clusters.postgresql.cnpg.io", NEWEST)
    found.on("get deployments --namespace=cnpg-system", {"items": [deployment(1)]})
    found.on("get secrets --selector=app.kubernetes.io/name=database-credentials", {"items": [CREDENTIALS]})
    found.on(CLUSTER, healthy())
    for verb in ("create", "wait", "delete"):
        found.on(verb)
    found.on("exec --container=client", "17.11\n")
    found.on("exec postgres-2 --container=postgres", "postgres-1|0|quorum\npostgres-3|512|quorum\n")
    return found


def states(said: list[Result]) -> list[str]:
    return [one.state for one in said]


# --- the operator -----------------------------------------------------------------------------------------------------


def rejected(cluster: FakeCluster, **changed: Any) -> str:
    with pytest.raises(SettingsError) as error:
        check_operator(
            cluster, settings(postgres={**MODE, **changed}, postgresArchiveKey="planted-key" if changed else None)
        )
    return str(error.value)


def test_a_running_operator_is_accepted(cluster: FakeCluster):
    check_operator(cluster, settings(postgres=MODE))


@pytest.mark.parametrize("mode", ["bundled", "external"])
def test_without_a_database_cluster_the_operator_is_not_even_looked_for(mode: str):
    external = {"external": {"host": "db.home.example", "tls": {"mode": "require"}}} if mode == "external" else {}

    check_operator(FakeCluster(), settings(postgres={"mode": mode, **external}, postgresPassword="planted-password"))


def test_a_missing_operator_is_one_message_with_its_remedy(cluster: FakeCluster):
    cluster.on("get customresourcedefinition clusters.postgresql.cnpg.io", "")

    said = rejected(cluster)

    assert said.startswith("flyte-home:postgres.mode: is cloudnative-pg, but the cluster does not have this operator")
    assert "Nothing was changed; install it as https://cloudnative-pg.io" in said


def test_an_operator_that_lacks_a_field_is_too_old(cluster: FakeCluster):
    cluster.on("get customresourcedefinition clusters.postgresql.cnpg.io", OLD)

    assert "is older than 1.28" in rejected(cluster)


def test_an_operator_that_is_stopped_or_elsewhere_is_named(cluster: FakeCluster):
    cluster.on("get deployments --namespace=cnpg-system", {"items": [deployment(0)]})
    assert "deployment/cnpg-controller-manager in cnpg-system has no ready pod" in rejected(cluster)

    cluster.on("get deployments --namespace=cnpg-system", {"items": []})
    assert rejected(cluster).startswith("flyte-home:postgres.cloudnativePg.operatorNamespace: the operator")


def test_a_user_who_may_not_look_at_the_operator_is_not_stopped(cluster: FakeCluster):
    cluster.on("get deployments --namespace=cnpg-system", error="forbidden")

    check_operator(cluster, settings(postgres=MODE))


def test_an_archive_needs_the_plugin(cluster: FakeCluster):
    cluster.on("get customresourcedefinition objectstores.barmancloud.cnpg.io", "")

    assert "needs the plugin Barman Cloud" in rejected(cluster, cloudnativePg=ARCHIVE)

    cluster.on("get customresourcedefinition objectstores.barmancloud.cnpg.io", definition("spec"))
    check_operator(
        cluster, settings(postgres={**MODE, "cloudnativePg": ARCHIVE}, postgresArchiveKey="planted-archive-key")
    )


# --- the doctor -------------------------------------------------------------------------------------------------------


def test_the_doctor_looks_at_the_cluster_instead_of_a_server(cluster: FakeCluster):
    stack = examined(cluster, postgres=MODE)

    assert servers_of(stack.settings) == ["minio", "flyte"]
    assert "postgres" in [check.name for check in _quick_checks(stack)]


def test_a_healthy_cluster_is_ok(cluster: FakeCluster):
    stack = examined(cluster, postgres=MODE)
    said = [*check_cluster(stack), *check_cluster_database(stack)]

    assert states(said) == ["ok", "ok", "ok"]
    assert said[0].says == "3 of 3 instances are ready; the primary is postgres-2; Cluster in healthy state"
    assert said[2].says == "postgres-1, postgres-3 have the data"


def test_a_missing_cluster_is_created_by_up(cluster: FakeCluster):
    cluster.on(CLUSTER, "")

    (said,) = check_cluster(examined(cluster, postgres=MODE))

    assert (said.state, said.remedy) == ("wrong", "make up STACK=dev")


def test_an_instance_that_is_not_ready_is_wrong_with_the_reason_of_the_operator_and_of_its_pod(cluster: FakeCluster):
    cluster.on(CLUSTER, healthy(readyInstances=2, phase="Creating a new replica", phaseReason="postgres-3"))
    cluster.on("get --namespace=flyte", {"items": [instance("postgres-3", ready=False)]})
    cluster.on(CLUSTER, healthy(readyInstances=2, phase="Creating a new replica", phaseReason="postgres-3"))

    (said,) = check_cluster(examined(cluster, postgres=MODE))

    assert said.state == "wrong"
    assert said.says.startswith("2 of 3 instances are ready: Creating a new replica; postgres-3; ")
    assert "0/1 nodes are available" in said.says


def test_a_stopped_operator_is_wrong_although_the_cluster_works(cluster: FakeCluster):
    cluster.on("get deployments --namespace=cnpg-system", {"items": [deployment(0)]})

    said = list(check_cluster(examined(cluster, postgres=MODE)))

    assert states(said) == ["wrong", "ok"]
    assert "no standby takes over" in said[0].says


def test_a_rejected_login_is_wrong_and_shows_no_password(cluster: FakeCluster):
    cluster.on("exec --container=client", error="FATAL: password authentication failed")

    (said,) = check_cluster_database(examined(cluster, postgres=MODE))

    assert said.state == "wrong"
    assert "password authentication failed" in said.says
    assert "planted" not in said.says + said.remedy


@pytest.mark.parametrize(("durability", "state"), [("required", "wrong"), ("preferred", "remark")])
def test_without_a_standby_that_confirms_commits_writes_wait_or_are_in_one_place(
    cluster: FakeCluster, durability: str, state: str
):
    cluster.on("exec postgres-2 --container=postgres", "postgres-1|0|async\n")

    said = list(
        check_cluster_database(examined(cluster, postgres={**MODE, "cloudnativePg": {"durability": durability}}))
    )

    assert states(said) == ["ok", state]
    assert "no standby confirms commits" in said[1].says


def test_a_standby_that_is_behind_is_a_remark(cluster: FakeCluster):
    cluster.on("exec postgres-2 --container=postgres", f"postgres-1|0|quorum\npostgres-3|{64 << 20}|quorum\n")

    said = list(check_cluster_database(examined(cluster, postgres=MODE)))

    assert states(said) == ["ok", "remark"]
    assert said[1].says == "the standby postgres-3 lacks 64 MiB of the log"


def test_a_single_instance_has_no_standby_to_look_at(cluster: FakeCluster):
    said = list(check_cluster_database(examined(cluster, postgres={**MODE, "cloudnativePg": {"instances": 1}})))

    assert states(said) == ["ok"]


def test_the_client_expects_the_deployed_certificate_and_name(cluster: FakeCluster):
    created: list[str] = []
    cluster.on("create", lambda given: created.append(given) or "")

    with deployed_client(cluster, settings(postgres=MODE)) as client:
        assert client.password == PASSWORD

    (pod,) = json.loads(created[0])["items"]
    environment = {one["name"]: one["value"] for one in pod["spec"]["containers"][0]["env"]}
    assert environment["PGHOST"] == "postgres-rw.flyte.svc"
    assert environment["PGSSLMODE"] == "verify-full"
    assert environment["CERTIFICATE"] == AUTHORITY
    assert PASSWORD not in created[0]


def test_the_isolation_is_tried_at_the_service_of_the_primary():
    found = settings(postgres=MODE)
    around = Surroundings({"postgres-rw": "10.42.0.9"}, [], [], "webhook", "/")
    task, _ = sources(found, found.task_scopes[0], around)

    (attempt,) = [one for one in task.attempts if one.what == DATABASE]
    assert (attempt.host, attempt.port, attempt.expected) == ("10.42.0.9", 5432, "closed")


# --- volumes and workloads ------------------------------------------------------------------------------------------


def instance(name: str, ready: bool = True) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True"}]
    if not ready:
        conditions = [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]
    return {
        "kind": "Pod",
        "metadata": {
            "name": name,
            "uid": name,
            "labels": {"cnpg.io/cluster": "postgres", "cnpg.io/podRole": "instance"},
            "ownerReferences": [{"kind": "Cluster", "name": "postgres"}],
        },
        "spec": {},
        "status": {"conditions": conditions},
    }


def claim(name: str, phase: str = "Bound") -> dict[str, Any]:
    return {"kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": {}, "status": {"phase": phase}}


def test_the_volume_of_each_instance_is_measured(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch):
    remembered: dict[str, int] = {}
    monkeypatch.setattr("ops.doctor.volumes.remember", lambda _stack, levels: remembered.update(levels))
    monkeypatch.setattr("ops.doctor.volumes.days_until_full", lambda *_: None)
    listed = [instance("postgres-1"), instance("postgres-2"), claim("postgres-1"), claim("postgres-2")]
    cluster.on("get --namespace=flyte", {"items": listed})
    for name, level in (("postgres-1", 40), ("postgres-2", 96)):
        cluster.on(f"exec {name} df", f"Filesystem\n/dev/sda 100 {level} {level} {level}% /var\n")

    (said,) = check_volumes(examined(cluster, postgres=MODE))

    assert said.state == "wrong"
    assert said.says.startswith("the volume of postgres-2 is 96 % full; flyte-home:postgres.volume.size is 10Gi")
    assert remembered == {"postgres-1": 40, "postgres-2": 96}


def test_an_instance_without_its_volume_is_wrong(cluster: FakeCluster):
    cluster.on("get --namespace=flyte", {"items": [instance("postgres-1"), claim("postgres-1", "Pending")]})

    said = list(check_volumes(examined(cluster, postgres=MODE)))

    assert "the volume postgres-1 is Pending" in said[0].says


def test_an_update_shows_the_instance_that_it_waits_for():
    found = Workloads([instance("postgres-1"), instance("postgres-2", ready=False)])

    (waiting,) = found.waiting()

    assert waiting.what == "pod/postgres-2"
    assert waiting.trouble.cause == "schedule"


# --- the mode, and what is protected --------------------------------------------------------------------------------


def state(retained: bool = False, mode: str = "CloudNativePostgres") -> State:
    """A state with a database cluster."""
    kind = "kubernetes:postgresql.cnpg.io/v1:Cluster"
    return State(
        {
            "resources": [
                {"urn": "component", "type": f"flyte-home:index:{mode}"},
                {"urn": "cluster", "type": kind, "id": "flyte/postgres", "retainOnDelete": retained},
            ]
        }
    )


def test_leaving_a_database_cluster_without_its_rows_is_rejected(cluster: FakeCluster):
    found = settings()

    assert deployed_mode(state()) == "cloudnative-pg"
    with pytest.raises(SettingsError) as refused:
        check_database({}, state(), cluster, found, "dev", moved=False)
    assert "its rows in the database of the mode 'cloudnative-pg'" in str(refused.value)
    with pytest.raises(SettingsError) as lost:
        check_database({}, state(), cluster, found, "dev", moved=True)
    assert "the cluster of the mode 'cloudnative-pg', with its rows, would be deleted" in str(lost.value)
    check_database({}, state(retained=True), cluster, found, "dev", moved=True)


def test_a_database_cluster_that_has_disappeared_is_not_replaced_by_an_empty_one(cluster: FakeCluster):
    cluster.on("get cluster.postgresql.cnpg.io postgres", "")

    with pytest.raises(SettingsError) as lost:
        recovery.check_volumes(state(), cluster, "dev")

    assert str(lost.value).startswith("cluster.postgresql.cnpg.io/postgres in flyte, which held data, is no longer")


@pytest.mark.parametrize("retained", [True, False])
def test_a_destroy_insists_on_the_deployed_protection_of_the_cluster(retained: bool):
    found = settings(postgres=MODE, keepVolumes=True)
    if retained:
        recovery.check_safekeeping(state(retained=True), found, "dev")
        return
    with pytest.raises(SettingsError):
        recovery.check_safekeeping(state(), found, "dev")


def test_password_and_key_are_rotated_and_a_monitoring_role_only_where_there_is_one():
    found = next_generations(settings(postgres=MODE), [])

    assert {"postgres", "postgresSuperuser"} < found.keys()
    assert "monitoring" not in found


# --- the commands -----------------------------------------------------------------------------------------------------


def test_preview_says_that_the_operator_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    missing = FakeCluster()
    missing.on("get customresourcedefinition", "")
    monkeypatch.setattr("sys.argv", ["preview", "dev"])
    monkeypatch.setattr(preview, "stack_config", lambda _stack: (None, None))
    monkeypatch.setattr(preview, "settings_from", lambda *_: settings(postgres=MODE))
    monkeypatch.setattr(preview, "engine_environment", dict)
    monkeypatch.setattr(preview, "pulumi", lambda *_: "")
    monkeypatch.setattr(preview.Cluster, "of", lambda *_: missing)
    monkeypatch.setattr(preview, "run", lambda *_: pytest.fail("a preview of objects that cannot be"))

    assert preview.main() == 1
    assert "the cluster does not have this operator. Nothing was changed" in capsys.readouterr().err


def test_a_script_waits_until_the_operator_has_set_the_password(tmp_path: Path):
    """The Job tries again until the login succeeds; the fake psql rejects two of them."""
    (tmp_path / "flyte-password").write_text("planted")
    fake = tmp_path / "psql"
    count = tmp_path / "count"
    rejection = '{ echo "password authentication failed" >&2; exit 1; }'
    fake.write_text(f'#!/bin/sh\necho x >>{count}\n[ "$(wc -l <{count})" -gt 2 ] || {rejection}\n')
    fake.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "CREDENTIALS": str(tmp_path),
        "SCRIPTS": str(ROOT / "scripts" / "database"),
        "PGHOST": "postgres-rw.flyte.svc",
        "PGUSER": "flyte",
    }

    done = subprocess.run(
        ["/bin/sh", ROOT / "scripts/database/await.sh"], env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0
    assert "waiting for the database at postgres-rw.flyte.svc: password authentication failed" in done.stdout
    assert done.stdout.endswith("lets flyte in\n")
    assert "planted" not in done.stdout + done.stderr
