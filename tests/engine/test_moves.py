"""A stack whose database and object store move to servers of others, and back, with everything that ran before."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pulumi import automation as auto

from settings.images import images
from tests.engine.conftest import STACK, Cluster, Project, kubectl
from tests.engine.deployed import Deployed, deployment, endpoints
from tests.engine.modes import require_operator
from tests.external_store import external
from tests.processes import wait_until

OUTSIDE = "flyte-home-test-elsewhere"
PLATFORM = "--namespace=flyte"
API = "/api/v1/namespaces/flyte/services/flyte-binary-http:8088/proxy/api/v1"
PASSWORD = "planted-password-of-the-nas"
EXTERNAL = {
    "postgres": {"mode": "external", "external": {"host": f"db.{OUTSIDE}.svc", "tls": {"mode": "disable"}}},
    "postgresPassword": PASSWORD,
}
BUNDLED: dict[str, Any] = {"postgres": {"mode": "bundled"}, "postgresPassword": None}
CLUSTER: dict[str, Any] = {
    "postgres": {"mode": "cloudnative-pg", "volume": {"size": "2Gi"}, "cloudnativePg": {"instances": 1}},
    "postgresPassword": None,
}
BUCKETS = ("flyte", "remedy-development")
_NAS = f"http://nas.{OUTSIDE}.svc:9000"
STORE = external(endpoint=_NAS, clientEndpoint=_NAS, networks=[])
BUNDLED_STORE = {**dict.fromkeys(STORE), "minio": {"mode": "bundled"}, "domains": ["development"]}


@dataclass
class Moved:
    """The stack, and what is remembered of it."""

    deployed: Deployed
    stack: Any
    first: str = ""
    """Name of an execution from before all moves."""

    def configure(self, **settings: Any) -> None:
        self.deployed.project.configure(self.stack, **settings)

    def clients_reach(self, *names: str) -> None:
        """Set the addresses of these services on this machine, and of no other one."""
        found = endpoints(self.deployed.ports)
        self.configure(clientEndpoints={name: found[name] for name in names})

    def move(self, part: str, seconds: float = 500) -> subprocess.CompletedProcess[str]:
        done = self.deployed.make(f"move_{part}", seconds=seconds)
        print(done.stdout, done.stderr)
        assert "planted-" not in done.stdout + done.stderr
        return done

    def killed_when(self, part: str, line: str) -> str:
        """Run a move, and kill it as soon as it prints a line; return what it printed."""
        said = []
        with subprocess.Popen(
            [sys.executable, "-u", "-m", f"ops.move_{part}", STACK],
            cwd=self.deployed.project.folder,
            env=os.environ | self.deployed.project.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            assert process.stdout
            for found in process.stdout:
                said.append(found)
                if line in found:
                    os.killpg(process.pid, signal.SIGKILL)
                    break
        assert line in said[-1], "".join(said)
        return "".join(said)

    def get(self, path: str) -> Any:
        return json.loads(self.deployed.kubectl("get", "--raw", f"{API}/{path}"))

    def executions(self) -> dict[str, str]:
        """Phase of every execution in Flyte's history."""
        listed = self.get("executions/remedy/development?limit=100")["executions"]
        return {one["id"]["name"]: one["closure"]["phase"] for one in listed}

    def outputs(self, name: str) -> Any:
        """The outputs of an execution, which Flyte reads from the object store."""
        return self.get(f"data/executions/remedy/development/{name}")["fullOutputs"]

    def relaunch(self, name: str) -> str:
        """Run an execution again from its recorded inputs; return the name of the new one when it has succeeded."""
        body = json.dumps({"id": {"project": "remedy", "domain": "development", "name": name}})
        url = f"{API}/executions/relaunch"
        answer = json.loads(self.deployed.kubectl("create", "--raw", url, "--filename=-", given=body))
        new: str = answer["id"]["name"]
        wait_until(lambda: self.executions().get(new) == "SUCCEEDED", "the relaunched execution", 180)
        return new


@pytest.fixture(scope="module")
def elsewhere(cluster: Cluster) -> Iterator[None]:
    """A namespace with a PostgreSQL that has an empty database, and an object store with empty buckets and users."""
    chosen = images(cluster.settings.get("images", {}))
    folders = {"data": "/var/lib/postgresql", "run": "/var/run/postgresql"}
    variables = {
        "PGDATA": "/var/lib/postgresql/data",
        "POSTGRES_USER": "flyte",
        "POSTGRES_DB": "flyte",
        "POSTGRES_PASSWORD": PASSWORD,
        "POSTGRES_INITDB_ARGS": "--encoding=UTF8 --auth-host=scram-sha-256",
    }
    server = {
        "name": "db",
        "image": chosen["postgres"].reference,
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "securityContext": {"runAsUser": 999, "runAsGroup": 999},
        "readinessProbe": {"exec": {"command": ["pg_isready", "-h", "127.0.0.1"]}, "periodSeconds": 1},
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in folders.items()],
    }
    root = {"MINIO_ROOT_USER": "planted-root", "MINIO_ROOT_PASSWORD": "plantedRootPassword1"}
    nas = {
        "name": "nas",
        "image": chosen["minio"].reference,
        "imagePullPolicy": "IfNotPresent",
        "args": ["server", "/data"],
        "env": [{"name": name, "value": value} for name, value in root.items()],
    }
    steps = ["set -e", "until mc ls t; do sleep 1; done", *(f"mc mb t/{bucket}" for bucket in BUCKETS)]
    for user in ("flyte", "development"):
        steps.append(f"mc admin user add t planted-access-{user} planted-secret-key-of-{user}")
        steps.append(f"mc admin policy attach t readwrite --user planted-access-{user}")
    client = {
        "name": "client",
        "image": chosen["mc"].reference,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-c", "\n".join([*steps, "echo done; sleep 100000"])],
        "env": [{"name": "MC_HOST_t", "value": "http://planted-root:plantedRootPassword1@nas:9000"}],
    }
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OUTSIDE}},
        service("nas", 9000),
        pod("nas", nas, []),
        pod("client", client, []),
        service("db", 5432),
        pod("db", server, [{"name": name, "emptyDir": {}} for name in folders]),
    ]
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    run = ["--context", cluster.context]
    try:
        kubectl(cluster.kubeconfig, *run, "apply", "--filename=-", given=given)
        wait = ["wait", "pod/db", f"--namespace={OUTSIDE}", "--for=condition=Ready", "--timeout=100s"]
        kubectl(cluster.kubeconfig, *run, *wait)
        log = ["logs", "client", f"--namespace={OUTSIDE}", "--tail=1"]
        wait_until(lambda: kubectl(cluster.kubeconfig, *run, *log).strip() == "done", "the users of the store", 100)
        yield
    finally:
        kubectl(cluster.kubeconfig, *run, "delete", "namespace", OUTSIDE)


def service(name: str, port: int) -> dict[str, Any]:
    spec = {"selector": {"app": name}, "ports": [{"port": port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": OUTSIDE}, "spec": spec}


def pod(name: str, container: dict[str, Any], volumes: list[dict[str, Any]]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": OUTSIDE, "labels": {"app": name}}
    spec = {"containers": [container], "volumes": volumes, "securityContext": {"fsGroup": 999}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def claims(deployed: Deployed) -> set[str]:
    """The volume claims of the platform namespace."""
    return {
        one.partition("/")[2] for one in deployed.kubectl("get", "persistentvolumeclaims", PLATFORM, "-oname").split()
    }


@pytest.fixture(scope="module")
def moved(cluster: Cluster, new_project: Callable[[], Project], elsewhere: None) -> Iterator[Moved]:
    """A stack with a finished execution, whose volumes are protected."""
    with deployment(cluster, new_project, protect=True, **BUNDLED) as found:
        options = auto.LocalWorkspaceOptions(env_vars=found.project.environment)
        one = Moved(found, auto.select_stack(STACK, work_dir=str(found.project.folder), opts=options))
        try:
            smoked = found.make("smoke", seconds=300)
            assert smoked.returncode == 0, smoked.stdout + smoked.stderr
            (one.first,) = one.executions()
            yield one
        finally:
            one.configure(protect=False)
            done = found.make("up", seconds=300)
            print(done.stdout, done.stderr)


def everything_is_there(moved: Moved) -> None:
    """Check that the first execution is in the history with its outputs, and can run again from its inputs."""
    assert moved.executions()[moved.first] == "SUCCEEDED"
    assert moved.outputs(moved.first)["literals"]
    moved.relaunch(moved.first)


def left_of_moves(moved: Moved) -> list[str]:
    kinds = "configmaps,secrets,jobs,networkpolicies,pods"
    return moved.deployed.kubectl("get", kinds, PLATFORM, "--selector=flyte-home/move", "--output=name").split()


def test_up_rejects_the_new_mode_and_names_the_command(moved: Moved):
    moved.configure(**EXTERNAL)

    done = moved.deployed.make("up", seconds=300)

    assert done.returncode == 1
    assert f"make move-database STACK={STACK}" in done.stderr
    assert moved.executions()


def test_a_move_that_is_killed_while_it_copies_is_finished_by_the_next_run(moved: Moved):
    moved.configure(**EXTERNAL)

    moved.killed_when("database", "move-database 3/5")
    up = moved.deployed.make("up", seconds=300)
    done = moved.move("database")

    assert "has begun and has not ended" in up.stderr
    assert done.returncode == 0
    assert "An earlier run was interrupted" in done.stdout
    everything_is_there(moved)
    assert "postgres-data" in claims(moved.deployed)
    assert left_of_moves(moved) == []
    assert moved.deployed.kubectl("get", "statefulset", PLATFORM, "--output=name").split() == ["statefulset.apps/minio"]


def test_the_database_moves_back_with_what_was_written_since(moved: Moved):
    before = moved.executions()
    moved.configure(**BUNDLED)

    done = moved.move("database")

    assert done.returncode == 0
    assert "has rows that an earlier move has left there" in done.stdout
    assert before.items() <= moved.executions().items()
    everything_is_there(moved)
    assert left_of_moves(moved) == []


def test_a_database_that_is_not_empty_stops_a_move_before_flyte_is_stopped(moved: Moved):
    sql = "COMMENT ON TABLE public.executions IS NULL"
    moved.deployed.kubectl(
        "exec", "db", f"--namespace={OUTSIDE}", "--", "psql", "-U", "flyte", "-d", "flyte", "-c", sql
    )
    moved.configure(**EXTERNAL)

    done = moved.move("database")

    assert done.returncode == 1
    assert "is not empty, and what it has was not moved by this stack" in done.stderr
    assert "move-database 2/5" not in done.stdout
    moved.configure(**BUNDLED)
    assert moved.executions()


def test_the_database_moves_into_a_cluster_of_the_operator_and_back(moved: Moved):
    require_operator(moved.deployed.cluster)
    before = moved.executions()
    moved.configure(**CLUSTER)

    there = moved.move("database")

    assert there.returncode == 0
    assert before.items() <= moved.executions().items()
    everything_is_there(moved)
    assert "postgres-data" in claims(moved.deployed)
    before = moved.executions()
    moved.configure(**BUNDLED)

    back = moved.move("database")

    assert back.returncode == 0
    assert before.items() <= moved.executions().items()
    everything_is_there(moved)
    assert "postgres-1" in claims(moved.deployed)
    assert left_of_moves(moved) == []


def test_the_store_moves_after_a_kill_while_it_copies(moved: Moved):
    moved.configure(**STORE)
    moved.clients_reach("http", "grpc")

    moved.killed_when("store", "move-store 3/5")
    done = moved.move("store")

    assert done.returncode == 0
    assert "An earlier run was interrupted" in done.stdout
    assert "remedy-development is the same in both stores" in done.stdout
    everything_is_there(moved)
    assert "minio-data" in claims(moved.deployed)
    assert left_of_moves(moved) == []


def test_the_store_moves_back_with_what_was_written_since(moved: Moved):
    moved.configure(**BUNDLED_STORE)
    moved.clients_reach("http", "grpc", "objectStore")

    moved.killed_when("store", "move-store 4/5")
    done = moved.move("store")

    assert done.returncode == 0
    everything_is_there(moved)
    assert left_of_moves(moved) == []


def test_no_secret_of_a_move_is_in_a_log_an_event_or_a_config_map(moved: Moved):
    texts = moved.deployed.kubectl("get", "configmaps,pods,jobs,events", PLATFORM, "--output=yaml")

    assert "planted-" not in texts
