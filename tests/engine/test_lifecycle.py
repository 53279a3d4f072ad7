"""The life of a stack on a cluster with nodes: preview, up, up again, a change, a rotation, refresh, destroy."""

import base64
import contextlib
import gzip
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ops.doctor.expectations import FILES, review
from settings.images import IMAGES
from tests.conftest import run
from tests.engine.conftest import STACK, Cluster, KubectlError, Project, Steps, kubectl
from tests.engine.modes import MODES, Mode
from tests.engine.states import store
from tests.network import OPEN
from tests.tools import require

PLANTED = {
    "tidalCreds": '{"token": "planted-tidal"}',
    "tidalCreds__production": '{"token": "planted-production"}',
    "postgresPassword": "planted-postgres-1",
}
# Services and the ports they listen on.
TRIED = [
    ("postgres", 5432),
    ("minio", 9000),
    ("flyte", 8088),
    ("flyte", 8089),
    ("flyte", 10254),
    ("webhook", 9443),
    ("webhook", 10254),
    ("api server", 6443),
]
_POD = ["get", "pods", "--namespace=flyte", "--output=jsonpath={.items[*].status.podIP}", "--selector"]
_ADDRESSES = {
    "minio": [*_POD, "app.kubernetes.io/name=minio"],
    "flyte": [*_POD, "app.kubernetes.io/component=flyte-binary"],
    "webhook": [*_POD, "app.kubernetes.io/name=flyte-webhook"],
    "api server": ["get", "endpointslice", "kubernetes", "--output=jsonpath={.endpoints[0].addresses[0]}"],
}
# Seconds after which an up that rotates everything is killed: while it updates the servers, and while it updates Flyte.
KILLED_AFTER = (9, 22)
# Further files that someone could ask the webhook for.
OTHER_FILES = [
    ("../flyte", "config.yaml"),
    ("../../etc/webhook", "tls.key"),
    ("../" * 1300 + "etc/webhook", "tls.key"),
    ("../../proc/self", "environ"),
    ("../../proc/self", "mountinfo"),
    ("/etc", "passwd"),
    ("../../dev", "zero"),
]
ROTATED = {"tidalCreds": '{"token": "planted-rotated"}', "postgresPassword": "planted-postgres-2"}


@dataclass
class Life:
    """What was observed at each stage."""

    cluster: Cluster
    mode: Mode = field(default_factory=Mode)
    # Operation and resource of every change, by stage.
    changes: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    # Everything in the cluster that a credential could have leaked into, as text, by stage.
    visible: dict[str, str] = field(default_factory=dict)
    # The exported state, by stage.
    state: dict[str, dict[str, Any]] = field(default_factory=dict)
    # The generated passwords and keys in the Secrets of the stack, by stage.
    generated: dict[str, set[str]] = field(default_factory=dict)
    # Whether the database accepts a password after the rotation, by password.
    logins: dict[str, bool] = field(default_factory=dict)
    # Value of the task secret after the rotation, by domain.
    task_secrets: dict[str, str] = field(default_factory=dict)
    # Source, target and port of the attempted connections that succeeded.
    reached: set[tuple[str, str, int]] = field(default_factory=set)
    # Everything that the open ports of the stack's pods have answered, and the number of those ports.
    answers: str = ""
    # Names of the objects before the first and after the last stage.
    before: set[str] = field(default_factory=set)
    after: set[str] = field(default_factory=set)

    def kubectl(self, *arguments: str, given: str = "", seconds: float = 120) -> str:
        where = (self.cluster.kubeconfig, "--context", self.cluster.context)
        return kubectl(*where, *arguments, given=given, seconds=seconds)

    def objects(self) -> set[str]:
        """The objects a stack could leave behind, except for volumes, whose fate depends on their storage class."""
        kinds = "namespaces,customresourcedefinitions,mutatingwebhookconfigurations,clusterroles,clusterrolebindings"
        return set(self.kubectl("get", kinds, "--output=name").split())

    def look(self) -> str:
        """ConfigMaps, workloads and events of all namespaces, logs of the platform, and Helm's own release records."""
        kinds = "configmaps,pods,jobs,statefulsets,deployments,events"
        if "clusters.postgresql.cnpg.io" in self.kubectl("get", "customresourcedefinitions", "--output=name"):
            kinds += ",clusters.postgresql.cnpg.io"
        texts = [self.kubectl("get", kinds, "-A", "--output=yaml")]
        releases = self.kubectl("get", "secrets", "-A", "--field-selector=type=helm.sh/release.v1", "--output=json")
        for release in json.loads(releases)["items"]:
            content = gzip.decompress(base64.b64decode(base64.b64decode(release["data"]["release"])))
            texts.append(content.decode())
        for pod in json.loads(self.kubectl("get", "pods", "--namespace=flyte", "--output=json"))["items"]:
            name = pod["metadata"]["name"]
            texts.append(self.kubectl("logs", name, "--namespace=flyte", "--all-containers", "--ignore-errors"))
        return "\n".join(texts)

    def generated_secrets(self) -> set[str]:
        """Every password and key in the Secrets of the stack that is too long to occur elsewhere by chance."""
        found = set()
        for namespace in ("flyte", "remedy-development"):
            answer = self.kubectl("get", "secrets", f"--namespace={namespace}", "--output=json")
            for secret in json.loads(answer)["items"]:
                if secret["type"] == "Opaque":
                    values = {
                        key: value for key, value in secret.get("data", {}).items() if key not in {"tls.crt", "ca.crt"}
                    }
                    text = " ".join(base64.b64decode(value).decode() for value in values.values())
                    found |= set(re.findall("[A-Za-z0-9]{30,}", text))
        return found

    def start_probe(self, namespace: str, spec: Mapping[str, Any]) -> None:
        """Start a pod named ``probe`` with a shell."""
        images: Mapping[str, str] = self.cluster.settings.get("images", {})
        container = {
            "name": "probe",
            "image": images.get("postgres", IMAGES["postgres"].reference),
            "imagePullPolicy": "IfNotPresent",
            "command": ["cat"],
            "stdin": True,
            "resources": {
                "requests": {"cpu": "10m", "memory": "32Mi"},
                "limits": {"cpu": "1", "memory": "128Mi"},
            },
            "securityContext": {"allowPrivilegeEscalation": False},
        }
        common = {"automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "probe", "namespace": namespace},
            "spec": {"containers": [container], **common, **spec},
        }
        self.kubectl("apply", "--filename=-", given=json.dumps(pod))

    def ask_every_port(self) -> str:
        """Ask every open port of every pod of the platform, from the network of a node, which policies do not close."""
        addresses = self.kubectl(*_POD[:-1], "--field-selector=status.phase=Running").split()
        requests = [*FILES.values(), *OTHER_FILES]
        reviews = [base64.b64encode(review(group, key).encode()).decode() for group, key in requests]
        self.start_probe("default", {"hostNetwork": True})
        try:
            self.kubectl("wait", "--for=condition=Ready", "pod/probe", "--namespace=default", "--timeout=60s")
            program = (Path(__file__).parent / "every_port.pl").read_text()
            ask = ["exec", "-i", "probe", "--namespace=default", "--", "perl", "-", *addresses, "--", *reviews]
            return self.kubectl(*ask, given=program, seconds=600)
        finally:
            self.kubectl("delete", "pod", "probe", "--namespace=default", "--ignore-not-found")

    @property
    def there(self) -> set[str]:
        """The targets that are in the platform namespace, and the API server."""
        missing = {"postgres"} if not self.mode.database else set()
        missing |= set() if self.mode.bundled_store else {"minio"}
        return {"postgres", *_ADDRESSES} - missing

    def reach(self) -> set[tuple[str, str, int]]:
        """The connections to `TRIED` that succeed, from Postgres and from pods that are created for the attempt."""
        namespaces = {"task": "remedy-development", "pod of another namespace": "default"}
        own = {"postgres": self.mode.database_pod} if self.mode.database else {}
        sources = own | {name: ("probe", where) for name, where in namespaces.items()}
        for name, namespace in namespaces.items():
            self.start_probe(namespace, {"serviceAccountName": "flyte-task"} if name == "task" else {})
        try:
            commands = {**_ADDRESSES, "postgres": [*_POD, self.mode.database]}
            targets = {name: self.kubectl(*commands[name]).split()[0] for name in self.there}
            found = set()
            for source, (pod_name, namespace) in sources.items():
                wait = ["wait", "--for=condition=Ready", f"pod/{pod_name}", f"--namespace={namespace}", "--timeout=60s"]
                self.kubectl(*wait)
                tries = "".join(
                    f"(timeout 2 bash -c 'exec 3<>/dev/tcp/{targets[target]}/{port}' 2>/dev/null && echo {index}) & "
                    for index, (target, port) in enumerate(TRIED)
                    if target in targets
                )
                answer = self.kubectl("exec", pod_name, f"--namespace={namespace}", "--", "bash", "-c", f"{tries} wait")
                found |= {(source, *TRIED[int(index)]) for index in answer.split()}
            return found
        finally:
            for namespace in namespaces.values():
                self.kubectl("delete", "pod", "probe", f"--namespace={namespace}", "--ignore-not-found")

    def logs_in(self, password: str) -> bool:
        """Whether the role flyte can log in to the database over the network with this password."""
        script = 'PGPASSWORD="$(cat)" exec psql -h "$(hostname -i)" -U flyte -d flyte -tAc "select 1"'
        try:
            pod, namespace = self.mode.database_pod
            return "1" in self.kubectl("exec", "-i", pod, "-n", namespace, "--", "sh", "-c", script, given=password)
        except KubectlError as refused:
            if "password authentication failed" in str(refused):
                return False
            raise


def kill_up(project: Project, seconds: float) -> None:
    """Start an up, kill it with all its processes as a power cut would, and remove the lock it leaves behind."""
    pulumi, environment = str(require("pulumi")), os.environ | project.environment
    options = {"cwd": project.folder, "env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    up = [pulumi, "up", "--yes", "--skip-preview", "--non-interactive", "--stack", STACK]
    with subprocess.Popen(up, start_new_session=True, **options) as started:
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.wait(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
    subprocess.run([pulumi, "cancel", "--yes", "--stack", STACK], check=False, **options)


@pytest.fixture(scope="module", params=MODES)
def life(request: pytest.FixtureRequest, cluster: Cluster, new_project: Callable[[], Project]) -> Life:
    """The life of a stack in one mode, from the first preview to the cleanup."""
    with MODES[request.param](cluster, PLANTED["postgresPassword"]) as mode:
        return lived(cluster, mode, new_project())


def lived(cluster: Cluster, mode: Mode, project: Project) -> Life:
    """What was observed in the life of a stack."""
    found = Life(cluster, mode)
    found.before = found.objects()
    if "customresourcedefinition.apiextensions.k8s.io/flyteworkflows.flyte.lyft.com" in found.before:
        pytest.fail(f"the cluster of {cluster.kubeconfig} already has a Flyte; the tests need one without it")
    stack = project.stack(cluster, **PLANTED, **mode.settings)

    def stage(name: str, action: Callable[..., Any]) -> None:
        steps = Steps()
        action(on_event=steps)
        found.changes[name] = steps.changes

    try:
        stage("preview", stack.preview)
        assert found.objects() == found.before
        stage("up", stack.up)
        found.visible["up"], found.state["up"] = found.look(), project.state()
        found.generated["up"] = found.generated_secrets()
        found.reached = found.reach()
        found.answers = found.ask_every_port()
        if (version := os.environ.get("FLYTE_HOME_TEST_STORE")) and not mode.settings:
            store(version, found.state["up"], {**cluster.settings, **PLANTED}, *cluster.identity)
        stage("up again", stack.up)
        project.configure(stack, flyte={"logLevel": 4})
        stage("change", stack.up)
        mode.set_password(ROTATED["postgresPassword"])
        project.configure(stack, **ROTATED)
        stage("rotation", stack.up)
        found.visible["rotation"], found.state["rotation"] = found.look(), project.state()
        found.generated["rotation"] = found.generated_secrets()
        for password in (PLANTED["postgresPassword"], ROTATED["postgresPassword"]):
            found.logins[password] = found.logs_in(password)
        for domain in ("development", "staging", "production"):
            secret = found.kubectl("get", "secret", "tidal-creds", f"--namespace=remedy-{domain}", "--output=json")
            found.task_secrets[domain] = base64.b64decode(json.loads(secret)["data"]["json"]).decode()
        both = [{"name": "remedy", "taskSecrets": ["tidal-creds"]}, {"name": "other"}]
        project.configure(stack, projects=both, **mode.another_project)
        stage("another project", stack.up)
        project.configure(stack, projects=both[:1], **dict.fromkeys(mode.another_project))
        stage("a project less", stack.up)
        for seconds in KILLED_AFTER:
            password = f"planted-postgres-killed-{seconds}"
            of_store = ("minioRoot", "minioFlyte", "minioTasks") if mode.bundled_store else ()
            everything = dict.fromkeys((*of_store, "webhook"), seconds)
            mode.set_password(password)
            project.configure(stack, generations=everything, postgresPassword=password)
            kill_up(project, seconds)
            stage(f"up after a kill at {seconds} s", stack.up)
            found.logins[password] = found.logs_in(password)
        stage("refresh", stack.refresh)
        # The values are encrypted again, so the stack file does change.
        project.configure(stack, tidalCreds=ROTATED["tidalCreds"], postgresPassword=password)
        stage("up after refresh", stack.up)
    finally:
        stage("destroy", stack.destroy)
    found.after = found.objects()
    return found


def test_up_creates_what_preview_has_shown(life: Life):
    assert life.changes["preview"] == life.changes["up"]
    assert {operation for operation, _ in life.changes["up"]} == {"create"}


def test_the_recorder_and_the_engine_see_the_same_resources(life: Life):
    engine = {resource["urn"]: resource.get("parent", "") for resource in life.state["up"]["resources"]}
    recorded = {resource.urn: resource.parent for resource in run(**PLANTED, **life.mode.settings).resources}

    # The stack itself and resources that are only read are not registered.
    read = ("::cluster-kube-system", "::network-api-servers")
    others = {urn for urn in engine if urn.endswith(("::flyte-home-dev", *read))}
    assert set(engine) - others == set(recorded)
    assert {urn: engine[urn] for urn in recorded} == recorded


def test_a_second_up_changes_nothing(life: Life):
    assert life.changes["up again"] == set()


def test_a_changed_log_level_changes_flyte_and_its_webhook_and_nothing_else(life: Life):
    assert {name for _, name in life.changes["change"]} == {
        "Release:flyte",
        "ConfigMap:webhook-files",
        "Deployment:webhook-1",
    }
    assert ("update", "Deployment:webhook-1") in life.changes["change"]


def test_a_rotation_changes_only_the_users_of_the_secret_and_replaces_nothing_that_holds_data(life: Life):
    assert {name for _, name in life.changes["rotation"]} == {
        "Secret:tidal-creds-remedy-development",
        "Secret:tidal-creds-remedy-staging",
        "Secret:postgres-credentials",
        "Secret:flyte-config",
        "Release:flyte",
        *life.mode.rotated,
    }
    servers = [one for one in life.changes["rotation"] if one[1] in {"StatefulSet:postgres", "Cluster:postgres"}]
    assert servers == [("update", name) for name in life.mode.rotated & {"StatefulSet:postgres"}]
    assert ("update", "Release:flyte") in life.changes["rotation"]


def test_the_new_database_password_works_and_the_old_one_is_rejected(life: Life):
    assert life.logins[PLANTED["postgresPassword"]] is False
    assert life.logins[ROTATED["postgresPassword"]] is True


def test_the_next_up_completes_a_killed_rotation(life: Life):
    """That the up succeeds means: Flyte has started with the new key, and so have the Jobs with the new root key."""
    assert len(KILLED_AFTER) == 2
    for seconds in KILLED_AFTER:
        assert life.logins[f"planted-postgres-killed-{seconds}"] is True
        assert f"up after a kill at {seconds} s" in life.changes


def test_tasks_get_the_new_value_unless_their_domain_has_its_own(life: Life):
    assert life.task_secrets == {
        "development": ROTATED["tidalCreds"],
        "staging": ROTATED["tidalCreds"],
        "production": PLANTED["tidalCreds__production"],
    }


def test_a_second_project_gets_all_it_needs_and_changes_nothing_of_the_first(life: Life):
    changes = life.changes["another project"]
    created = {name for operation, name in changes if operation == "create"}
    others = {name for operation, name in changes if operation != "create"}

    for domain in ("development", "staging", "production"):
        for kind in ("Namespace", "ResourceQuota", "LimitRange", "PodTemplate", "ServiceAccount"):
            assert f"{kind}:other-{domain}" in created
        assert f"Role:rights-other-{domain}" in created
        assert (f"RandomPassword:minio-key-other-{domain}" in created) == life.mode.bundled_store
        assert {f"NetworkPolicy:network-other-{domain}-{name}" for name in ("deny", "tasks")} <= created
        assert f"Secret:flyte-object-store-other-{domain}" in created
    assert not [name for name in others if "remedy" in name]
    # Flyte restarts to register the project; the servers that hold data do not.
    assert ("update", "Release:flyte") in changes
    assert not [name for name in others if name.startswith(("StatefulSet:", "PersistentVolumeClaim:", "Namespace:"))]


def test_a_removed_project_takes_only_its_own_resources_along(life: Life):
    deleted = {name for operation, name in life.changes["a project less"] if operation == "delete"}
    made = {name for operation, name in life.changes["another project"] if operation == "create"}

    assert deleted == made


def test_the_network_plugin_allows_exactly_what_the_policies_allow(life: Life):
    if ("pod of another namespace", "flyte", 8088) in life.reached:
        pytest.skip("needs a cluster whose network plugin enforces network policies; this one's does not")
    sources = ("task", "pod of another namespace", *(["postgres"] if life.mode == Mode() else []))
    # The policies do not cover connections of a pod to itself or connections outside the stack.
    tried = {
        (source, target, port)
        for source in sources
        for target, port in TRIED
        if source != target and target in life.there
    }
    tried -= {("pod of another namespace", "api server", 6443)}

    assert life.reached & tried == OPEN & tried


def test_refresh_finds_no_drift(life: Life):
    assert life.changes["refresh"] == set()


def test_setting_the_same_secrets_again_restarts_nothing(life: Life):
    assert life.changes["up after refresh"] == set()


@pytest.mark.parametrize("stage", ["up", "rotation"])
@pytest.mark.parametrize("place", ["state", "visible"])
def test_planted_secrets_are_not_in_plain_text_in_the_state_or_the_cluster(life: Life, place: str, stage: str):
    text = json.dumps(life.state[stage]) if place == "state" else life.visible[stage]
    for secret in (*PLANTED.values(), *ROTATED.values()):
        # The part that does not depend on quoting, and its base64 forms at any offset.
        core = next(part for part in secret.replace('"', " ").split() if part.startswith("planted"))
        found = [text[max(0, text.index(form) - 300) :][:400] for form in (core, *_base64_forms(core)) if form in text]
        assert found == []


@pytest.mark.parametrize("stage", ["up", "rotation"])
@pytest.mark.parametrize("place", ["state", "visible"])
def test_generated_secrets_are_not_in_plain_text_in_the_state_or_the_cluster(life: Life, place: str, stage: str):
    text = json.dumps(life.state[stage]) if place == "state" else life.visible[stage]

    # One or two database passwords, the store's keys of root, Flyte and a task, and the webhook's key.
    assert len(life.generated[stage]) >= life.mode.generated
    for secret in life.generated[stage]:
        assert not [form for form in (secret, *_base64_forms(secret)) if form in text]


def _base64_forms(text: str) -> list[str]:
    """The parts of ``text`` in base64 that stay the same at each possible offset in a longer text."""
    return [base64.b64encode(b"x" * offset + text.encode())[4 * bool(offset) : -4].decode() for offset in range(3)]


def test_no_open_port_of_the_stack_tells_a_secret(life: Life):
    ports = {int(line.split()[3]) for line in life.answers.splitlines() if line.startswith("==== open")}
    # Flyte's two APIs and its metrics, its data catalog, the database, the object store, the webhook and its metrics.
    assert {8088, 8089, 10254, 5432, 9000, 9443} <= ports

    planted = [part for secret in PLANTED.values() for part in secret.replace('"', " ").split() if "planted" in part]
    for secret in (*planted, *life.generated["up"]):
        assert [form for form in (secret, *_base64_forms(secret)) if form in life.answers] == []
    assert "-----BEGIN" not in life.answers.replace("-----BEGIN CERTIFICATE", "")
    assert "access_key_id" not in life.answers


def test_the_webhook_answers_no_request_with_the_content_of_a_file(life: Life):
    reviews = life.answers.split("==== review")[1:]
    patches = [
        json.loads(base64.b64decode(text)) for text in re.findall(r'"patch": ?"([A-Za-z0-9+/=]+)"', life.answers)
    ]
    variables = [one for patch in patches for change in patch for one in _variables(change.get("value"))]

    assert len(reviews) >= len(OTHER_FILES)
    # Each request was for an environment variable, and each variable refers to a Secret of the pod's own namespace.
    assert len([one for one in variables if "valueFrom" in one]) >= len(OTHER_FILES)
    assert {one["value"] for one in variables if "value" in one} <= {"_FSEC_"}


def _variables(value: Any) -> list[dict[str, Any]]:
    """The environment variables in a value of a patch."""
    if isinstance(value, dict):
        own = [value] if str(value.get("name", "")).isupper() or "valueFrom" in value else []
        return own + [one for item in value.values() for one in _variables(item)]
    return [one for item in value for one in _variables(item)] if isinstance(value, list) else []


def test_destroy_leaves_nothing_behind(life: Life):
    assert life.after == life.before
