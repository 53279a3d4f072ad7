"""A short-lived pod from which commands reach a database that the stack does not run."""

import base64
import datetime
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from components.database import AUTHORITY, PASSWORD, names
from components.database.external import password_of
from components.flyte.names import RELEASE
from components.pods import NAME
from components.tasks import SERVICE_ACCOUNT
from ops.lib.client_pod import CONTAINER_SECURITY, restricted_spec
from ops.lib.engine import pulumi
from ops.lib.kubectl import Cluster, documents
from ops.lib.text import one_line
from ops.lib.workloads import Object
from paths import ROOT
from settings import PROJECT, Settings
from settings.errors import SettingsError
from settings.postgres_external import ExternalPostgres
from settings.registries import docker_config

LABEL = "flyte-home/database-client"
"""Label of everything that is created for these pods."""
_LOGINS = "registries"  # name of the Secret
# The image may have to be pulled. Afterwards the pod lives long enough for a check, and ends even without its command.
_SECONDS_TO_START, _DEADLINE = 300, 900
_SECONDS = 120
_AUTHORITY = f"/tmp/{AUTHORITY}"  # noqa: S108 (a volume of the pod)
# What kubectl adds: how the command ended, and its own log (https://github.com/kubernetes/klog).
_OF_KUBECTL = re.compile(r"command terminated |[EWI]\d{4} ")
# Standard input begins with the password, which so is in no object of the cluster and in no list of processes.
_BEGIN = f'umask 077; printf %s "${{CERTIFICATE:-}}" >{_AUTHORITY}; '


@dataclass(frozen=True)
class DatabaseClient:
    """The pod, and the password of the role."""

    cluster: Cluster
    pod: str
    namespace: str
    password: str

    def check(self) -> str:
        """Check that the server has what Flyte needs; return its version, such as ``PostgreSQL 17.11``.

        Raises:
            SettingsError: naming the setting that is wrong, and the remedy.
        """
        return self.run((ROOT / "scripts" / "database" / "check.sh").read_text())

    def sql(self, statements: str) -> str:
        """Return the output of statements that the role runs.

        Raises:
            SettingsError: the server rejects one of them.
        """
        options = "-X -q -A -t -v ON_ERROR_STOP=1"
        return self.run(f"IFS= read -r PGPASSWORD; export PGPASSWORD; exec psql {options}", statements)

    def run(self, script: str, given: str = "") -> str:
        """Return the output of a script of the shell, which reads the password in the first line of standard input.

        Args:
            script: text of the script.
            given: what follows on standard input.

        Raises:
            SettingsError: it fails; the message is what it wrote to standard error.
        """
        where = [self.pod, f"--namespace={self.namespace}", "--container=client"]
        command = ["exec", "--stdin", *where, "--", "/bin/sh", "-c", _BEGIN + script]
        answer = self.cluster.run(*command, given=f"{self.password}\n{given}", seconds=_SECONDS)
        if answer.returncode:
            lines = [line for line in answer.stderr.splitlines() if not _OF_KUBECTL.match(line)]
            raise SettingsError("\n".join(lines) or f"the database client failed with code {answer.returncode}")
        return answer.stdout.strip()


@contextmanager
def database_client(
    cluster: Cluster,
    settings: Settings,
    password: str,
    namespace: str = "",
    logins: str = "",
    authority: str | None = None,
) -> Iterator[DatabaseClient]:
    """A running pod with the clients of PostgreSQL; it is deleted when the context ends.

    Args:
        cluster: cluster of the stack.
        settings: settings of the stack, whose ``postgres.mode`` is not bundled.
        password: password of the role; see `chosen_password` and `deployed_password`.
        namespace: platform namespace, in which the network policies of the stack apply; empty for a new one, which is
            deleted with the pod.
        logins: Docker's configuration with the logins for the image, see `chosen_logins`; empty: those of Flyte's pod.
        authority: certificate of the server's authority; None: that of the settings.

    Raises:
        SettingsError: the pod does not start.
    """
    name = f"database-check-{secrets.token_hex(3)}"
    wanted = _objects(name, namespace, settings, authority)
    if pull_secrets := _pull_secrets(cluster, settings, namespace, logins):
        wanted[-1]["spec"]["imagePullSecrets"] = pull_secrets
    if logins:
        wanted.insert(1, _logins(name, logins))
    # Deleting the namespace deletes what is in it.
    first = json.dumps(wanted[0])
    _remove_left_behind(cluster)
    try:
        given = json.dumps({"apiVersion": "v1", "kind": "List", "items": wanted})
        answer = cluster.run("create", "--filename=-", given=given)
        if answer.returncode:
            raise SettingsError(f"the pod that checks the database cannot be created: {one_line(answer.stderr, 300)}")
        _await(cluster, name, namespace or name, settings)
        yield DatabaseClient(cluster, name, namespace or name, password)
    finally:
        cluster.run("delete", "--filename=-", "--ignore-not-found", "--wait=false", given=first)


@contextmanager
def deployed_client(cluster: Cluster, settings: Settings) -> Iterator[DatabaseClient]:
    """A pod in the platform namespace, with the password that is deployed there.

    Raises:
        SettingsError: there is none, or the pod does not start.
    """
    secret = _deployed_secret(cluster, settings)
    password, authority = secret[PASSWORD], secret.get(AUTHORITY)
    with database_client(cluster, settings, password, settings.namespace, authority=authority) as client:
        yield client


def chosen_password(environment: Mapping[str, str], stack: str, cluster: Cluster, settings: Settings) -> str:
    """Return the password that the next update will use: that of the stack file, or of the Secret that it names.

    Args:
        environment: environment of Pulumi, which decrypts the stack file.
        stack: name of the stack.
        cluster: cluster of the stack.
        settings: settings of the stack.

    Raises:
        SettingsError: it cannot be read.
    """
    secret, where = settings.postgres.external.existing_secret, f"{PROJECT}:postgres.external.existingSecret"
    if not secret.name:
        return pulumi(environment, "config", "get", "--stack", stack, f"{PROJECT}:postgresPassword").rstrip("\n")
    name = ["get", "secret", secret.name, f"--namespace={secret.namespace}"]
    answer = cluster.run(*name, "--ignore-not-found", "--output=json")
    if answer.returncode:
        raise SettingsError(f"{where}: the Secret {secret.name} cannot be read: {one_line(answer.stderr)}")
    found = documents(answer.stdout)
    if not found:
        raise SettingsError(
            f"{where}.name: there is no Secret {secret.name} in the namespace {secret.namespace}; create it, or write "
            "the name and the namespace of another one"
        )
    return password_of(found[0].get("data"), secret)


def chosen_logins(environment: Mapping[str, str], stack: str, settings: Settings) -> str:
    """Return Docker's configuration with the logins that the next update will use; empty if there are none.

    Args:
        environment: environment of Pulumi, which decrypts the stack file.
        stack: name of the stack.
        settings: settings of the stack.

    Raises:
        SettingsError: a password cannot be read.
    """
    names = {login.setting for login in settings.registries.logins}
    passwords = {
        name: pulumi(environment, "config", "get", "--stack", stack, f"{PROJECT}:{name}").rstrip("\n")
        for name in sorted(names)
    }
    return docker_config(settings.registries, passwords)


def deployed_password(cluster: Cluster, settings: Settings) -> str:
    """Return the password that Flyte has now.

    Raises:
        SettingsError: there is none, or it cannot be read.
    """
    return _deployed_secret(cluster, settings)[PASSWORD]


def _deployed_secret(cluster: Cluster, settings: Settings) -> Mapping[str, str]:
    """Return the content of the Secret with the password that Flyte has now.

    Raises:
        SettingsError: there is none, or it cannot be read.
    """
    where = [f"--namespace={settings.namespace}", f"--selector={NAME}={names.CREDENTIALS}"]
    answer = cluster.run("get", "secrets", *where, "--output=json")
    if answer.returncode:
        raise SettingsError(f"the password of the database cannot be read: {one_line(answer.stderr)}")
    found = documents(answer.stdout)
    if not found:
        raise SettingsError(f"the password of the database is not in the namespace {settings.namespace} yet")
    # An update that was interrupted may have left the one before.
    newest = max(found, key=lambda one: str(one["metadata"].get("creationTimestamp", "")))
    return {key: base64.b64decode(value).decode() for key, value in newest["data"].items()}


def variables(settings: Settings, authority: str | None = None) -> Mapping[str, str]:
    """Return the environment of the pod, which has no secret.

    Args:
        settings: settings of the stack.
        authority: certificate of the server's authority; None: that of the settings.
    """
    server = settings.postgres.external
    if settings.postgres.mode == "cloudnative-pg":
        server = ExternalPostgres(host=f"{names.CLUSTER}-rw.{settings.namespace}.svc")
    if authority is not None:
        tls = server.tls.model_copy(update={"certificate_authority": authority})
        server = server.model_copy(update={"tls": tls})
    password = "postgresPassword" if not server.existing_secret.name else "postgres.external.existingSecret"
    found = {
        "PGHOST": server.host,
        "PGPORT": str(server.port),
        "PGDATABASE": server.database,
        "PGUSER": server.username,
        "PGSSLMODE": server.tls.mode,
        "PASSWORD_SETTING": f"{PROJECT}:{password}",
        "CONNECTIONS": str(settings.postgres.max_connections),
        "HOME": "/tmp",  # noqa: S108 (a volume of the pod)
    }
    if server.tls.certificate_authority:
        found |= {"PGSSLROOTCERT": _AUTHORITY, "CERTIFICATE": server.tls.certificate_authority}
    return found


def _objects(name: str, namespace: str, settings: Settings, authority: str | None) -> list[Object]:
    """The pod, as Pod Security *restricted* requires; before it, its namespace if it gets one of its own."""
    marked = {LABEL: "check"}
    own: list[Object] = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {**marked, "pod-security.kubernetes.io/enforce": "restricted"}},
        },
        # The account `default` appears only a moment after its namespace.
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": SERVICE_ACCOUNT, "namespace": name}},
    ]
    container: Object = {
        "name": "client",
        "image": settings.chosen_images["postgres"].reference,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-c", f"trap 'exit 0' TERM; sleep {_DEADLINE} & wait"],
        "env": [{"name": key, "value": value} for key, value in variables(settings, authority).items()],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "500m", "memory": "64Mi"}},
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
    spec: Object = {
        **({} if namespace else {"serviceAccountName": SERVICE_ACCOUNT}),
        "activeDeadlineSeconds": _SECONDS_TO_START + _DEADLINE,
        **restricted_spec(settings, [container], [{"name": "tmp", "emptyDir": {"sizeLimit": "10Mi"}}]),
    }
    labels = {**marked, NAME: names.CHECK}
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace or name, "labels": labels},
        "spec": spec,
    }
    return [pod] if namespace else [*own, pod]


def _logins(name: str, docker_config: str) -> Object:
    """The Secret with the logins for the image, in the pod's own namespace."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": _LOGINS, "namespace": name},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": docker_config},
    }


def _pull_secrets(cluster: Cluster, settings: Settings, namespace: str, logins: str) -> list[Object]:
    """The Secrets with which the cluster pulls the image, as the pod names them."""
    if logins:
        return [{"name": _LOGINS}]
    if not namespace or not settings.registries.logins:
        return []
    running = ["get", "deployment", RELEASE, f"--namespace={namespace}", "--ignore-not-found"]
    found: list[Object] = json.loads(
        cluster.ask(*running, "--output=jsonpath={.spec.template.spec.imagePullSecrets}") or "[]"
    )
    return found


def _await(cluster: Cluster, name: str, namespace: str, settings: Settings) -> None:
    """Wait until the pod runs.

    Raises:
        SettingsError: it does not.
    """
    where = f"--namespace={namespace}"
    wait = ["wait", f"pod/{name}", where, "--for=condition=Ready", f"--timeout={_SECONDS_TO_START}s"]
    if not cluster.run(*wait, seconds=_SECONDS_TO_START + 2).returncode:
        return
    path = "{.status.containerStatuses[0].state.waiting.reason} {.status.conditions[?(@.type=='PodScheduled')].message}"
    why = cluster.run("get", "pod", name, where, f"--output=jsonpath={path}")
    image = settings.chosen_images["postgres"].reference
    raise SettingsError(
        f"the pod that checks the database did not start within {_SECONDS_TO_START} s: "
        f"{one_line(why.stdout or why.stderr, 200).strip() or 'no reason is given'}. Its image is {image}, which "
        f"{PROJECT}:images.postgres replaces. Nothing was changed"
    )


def _remove_left_behind(cluster: Cluster) -> None:
    """Delete the pods of commands that were killed; no pod lives this long."""
    answer = cluster.run("get", "namespaces,pods", "--all-namespaces", f"--selector={LABEL}", "--output=json")
    # A user who may not list all namespaces leaves them where they are.
    if answer.returncode:
        return
    latest = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=2 * (_SECONDS_TO_START + _DEADLINE))
    old = [
        {"apiVersion": "v1", "kind": one["kind"], "metadata": _identity(one["metadata"])}
        for one in documents(answer.stdout)
        if datetime.datetime.fromisoformat(one["metadata"]["creationTimestamp"]) < latest
    ]
    if old:
        given = json.dumps({"apiVersion": "v1", "kind": "List", "items": old})
        cluster.run("delete", "--filename=-", "--ignore-not-found", "--wait=false", given=given)


def _identity(metadata: Object) -> Object:
    return {key: value for key, value in metadata.items() if key in {"name", "namespace"}}
