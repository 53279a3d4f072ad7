"""The major version of PostgreSQL: that of the database, and that of the image that is to run it."""

import json
import re
import secrets
from dataclasses import dataclass

from ops.lib.database import Database
from ops.lib.kubectl import Cluster, documents
from ops.lib.record import read
from ops.lib.text import one_line
from ops.lib.workloads import claims_of
from settings import PROJECT, Settings
from settings.errors import SettingsError
from settings.images import Image
from settings.servers import database_claim

_KEY = f"{PROJECT}:images.postgres"
_SECONDS_TO_PULL = 300
# Tags of the official image and its mirrors: 17, 17.11, 17-alpine, v17.1; but not a date.
_TAG = re.compile(r"v?([1-9]\d)(?:[.-].*)?")


@dataclass(frozen=True)
class Server:
    """The server as it is deployed."""

    image: str
    """Its image."""
    claim: str
    """Name of the claim of its volume."""
    major: int | None
    """Major version of PostgreSQL that wrote its files; None if it does not run."""


def deployed_server(cluster: Cluster, namespace: str) -> Server | None:
    """Return the server that is deployed; None if there is none.

    Raises:
        SettingsError: the cluster does not answer.
    """
    answer = cluster.ask(
        "get", "statefulset", "postgres", f"--namespace={namespace}", "--ignore-not-found", "--output=json"
    )
    found = documents(answer)
    if not found:
        return None
    image = found[0]["spec"]["template"]["spec"]["containers"][0]["image"]
    return Server(image, claims_of(found[0])[0], Database(cluster, namespace).major())


def major_of(image: Image) -> int | None:
    """Return the major version that the tag of an image names; None if it names none."""
    match = _TAG.fullmatch(image.tag or "")
    return int(match[1]) if match else None


def wanted_major(cluster: Cluster, settings: Settings) -> int:
    """Return the major version of the image that the settings name, by its tag, or else by asking the image.

    Raises:
        SettingsError: the tag names none, and the image does not start.
    """
    image = settings.chosen_images["postgres"]
    return major_of(image) or _ask_image(cluster, settings.namespace, image.reference)


def check_major_version(cluster: Cluster, settings: Settings, stack: str) -> None:
    """Check that the new server can read the files of the database, and that no copy of the database has begun.

    A server that does not run is not compared: it may be an image that is being corrected, and PostgreSQL leaves the
    files of another version untouched.

    Raises:
        SettingsError: an update would not end well; the message says what does.
    """
    record = read(cluster, settings.namespace)
    if record.copying:
        raise SettingsError(
            "an upgrade of the database has begun and has not ended, so that Flyte must not start. Go on with "
            f"make upgrade STACK={stack}, or go back with make upgrade BACK=yes STACK={stack}"
        )
    server = deployed_server(cluster, settings.namespace)
    if not server or settings.postgres.mode != "bundled":
        return
    generation = settings.postgres.volume_generation
    if server.claim != database_claim(generation):
        raise SettingsError(
            f"{PROJECT}:postgres.volumeGeneration: is {generation}, but the database is on the volume {server.claim}; "
            "the other one would be empty, or out of date. Nothing was changed. Only make upgrade changes it: set it "
            f"back to {generation_of(server.claim)}"
        )
    if server.major and server.image != settings.chosen_images["postgres"].reference:
        _compare(cluster, settings, server, stack)


def check_not_down(wanted: int, server: Server) -> None:
    """Check that the wanted major version is not an earlier one.

    Raises:
        SettingsError: it is.
    """
    if server.major and wanted < server.major:
        raise SettingsError(
            f"{_KEY}: is PostgreSQL {wanted}, but the database is of PostgreSQL {server.major}, and none can go back "
            "to an earlier major version. Nothing was changed. Keep the image: "
            f"pulumi config set --path {_KEY} {server.image}"
        )


def generation_of(claim: str) -> int:
    """Return the generation of a volume of the database, by the name of its claim."""
    number = claim.rpartition("-")[2]
    return int(number) if number.isdigit() else 1


def _compare(cluster: Cluster, settings: Settings, server: Server, stack: str) -> None:
    wanted = wanted_major(cluster, settings)
    check_not_down(wanted, server)
    if wanted != server.major:
        raise SettingsError(
            f"{_KEY}: is PostgreSQL {wanted}, which cannot read the files of PostgreSQL {server.major} that the "
            f"database has. Nothing was changed. Run make upgrade STACK={stack}, which copies the database to a new "
            f"volume, or keep the image: pulumi config set --path {_KEY} {server.image}"
        )


def _ask_image(cluster: Cluster, namespace: str, reference: str) -> int:
    """Return the major version that an image names itself, in a short-lived pod.

    Raises:
        SettingsError: it names none.
    """
    name, where = f"postgres-version-{secrets.token_hex(3)}", f"--namespace={namespace}"
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": 999,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {
        "name": "version",
        "image": reference,
        "command": ["postgres", "--version"],
        "securityContext": security,
        "resources": {"limits": {"cpu": "500m", "memory": "128Mi"}},
    }
    spec = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]}
    running = ["get", "statefulset", "postgres", where, "--ignore-not-found"]
    if logins := cluster.ask(*running, "--output=jsonpath={.spec.template.spec.imagePullSecrets}"):
        spec["imagePullSecrets"] = json.loads(logins)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    try:
        cluster.run("create", "--filename=-", where, given=json.dumps(pod))
        until = "--for=jsonpath={.status.phase}=Succeeded"
        limit = f"--timeout={_SECONDS_TO_PULL}s"
        ended = cluster.run("wait", f"pod/{name}", where, until, limit, seconds=_SECONDS_TO_PULL)
        said = cluster.run("logs", name, where)
    finally:
        cluster.run("delete", "pod", name, where, "--ignore-not-found", "--wait=false")
    match = re.search(r"PostgreSQL\) (\d+)", said.stdout)
    if not match:
        raise SettingsError(
            f"{_KEY}: the tag of {reference} names no major version of PostgreSQL, and the image did not answer "
            f"({one_line(ended.stderr or said.stderr, 200)}). Nothing was changed. Write an image whose tag begins "
            f"with the version: pulumi config set --path {_KEY} docker.io/library/postgres:17.11"
        )
    return int(match[1])
