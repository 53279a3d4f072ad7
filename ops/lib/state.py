"""What Pulumi's state says about a stack, and whether it can be changed."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ops.lib.engine import pulumi
from settings import PROJECT
from settings.errors import SettingsError

# A state, and the copy that Pulumi writes before it replaces one, take less.
_BYTES = 8 * 1024 * 1024
_CLAIM = "kubernetes:core/v1:PersistentVolumeClaim"
# What holds data, with its name for kubectl: volume claims, and the objects of operators that own some.
_CLUSTER = "kubernetes:postgresql.cnpg.io/v1:Cluster"
_DATA = {_CLAIM: "persistentvolumeclaim", _CLUSTER: "cluster.postgresql.cnpg.io"}
_CREATING = {"creating", "importing"}
_PLUGIN = re.compile(r"^\s*(\d+)\s+\S*pulumi-(?:resource|language)-.* 127\.0\.0\.1:(\d+)\b")


@dataclass(frozen=True)
class Pending:
    """An object that a killed update was creating."""

    urn: str
    type: str
    """Pulumi's type, such as ``kubernetes:core/v1:Namespace``."""
    namespace: str
    """Namespace of the object; empty if it has none."""
    name: str
    """Name of the object in the cluster."""


@dataclass(frozen=True)
class State:
    """The state of a stack."""

    deployment: Mapping[str, Any]

    @classmethod
    def of(cls, environment: Mapping[str, str], stack: str) -> "State":
        """Return the state of a stack.

        Raises:
            SettingsError: Pulumi cannot read it.
        """
        content = json.loads(pulumi(environment, "stack", "export", "--stack", stack))
        return cls(content.get("deployment") or {})

    @property
    def interrupted(self) -> bool:
        """Whether an update was killed."""
        return bool(self.deployment.get("pending_operations"))

    @property
    def pending(self) -> Iterator[Pending]:
        """The objects that a killed update was creating."""
        for operation in self.deployment.get("pending_operations") or []:
            resource = operation["resource"]
            metadata = resource.get("inputs", {}).get("metadata", {})
            if operation["type"] in _CREATING and isinstance(metadata, dict) and metadata.get("name"):
                yield Pending(resource["urn"], resource["type"], metadata.get("namespace", ""), metadata["name"])

    @property
    def clusters(self) -> set[tuple[str, str]]:
        """The contexts of the stack's providers, each with its kubeconfig, as they were at the last update."""
        resources = self.deployment.get("resources") or []
        found = [one.get("inputs", {}) for one in resources if one["type"] == "pulumi:providers:kubernetes"]
        return {(str(one.get("context", "")), str(one.get("kubeconfig", ""))) for one in found}

    @property
    def claims(self) -> list[str]:
        """The volume claims that the stack has created, as NAMESPACE/NAME."""
        return [one["id"] for one in self._claims]

    def safe(self, option: Literal["protect", "retainOnDelete"], prefix: str = "") -> bool:
        """Return whether the option is deployed for every claim, and database cluster, whose name begins so."""
        holders = [*self._claims, *self._of(_CLUSTER)]
        return all(one.get(option) for one in holders if one["id"].partition("/")[2].startswith(prefix))

    def has(self, kind: str) -> bool:
        """Return whether a resource of a type is deployed, such as a component of the program."""
        return any(one["type"] == kind for one in self.deployment.get("resources") or [])

    def has_more_than_volumes(self, component: str) -> bool:
        """Return whether a component of a type is deployed with anything else than volumes that are only kept."""
        resources = self.deployment.get("resources") or []
        return any(_belongs(one, component) and one["type"] not in {component, *_DATA} for one in resources)

    def data_of(self, component: str) -> list[tuple[str, str]]:
        """Return what holds the data of the component of a type: its kind, as kubectl knows it, and its name."""
        resources = self.deployment.get("resources") or []
        return [
            (_DATA[one["type"]], one["id"].rpartition("/")[2])
            for one in resources
            if one["type"] in _DATA and _belongs(one, component)
        ]

    def outputs(self, kind: str) -> Mapping[str, Any]:
        """Return the outputs of the component of a type; empty if none is deployed."""
        resources: list[Mapping[str, Any]] = self.deployment.get("resources") or []
        return next((one.get("outputs") or {} for one in resources if one["type"] == kind), {})

    def object_name(self, component: str, kind: str, name: str) -> str:
        """Return the name in the cluster of an object of a component; empty if it is not deployed.

        Args:
            component: type of the component, such as ``flyte-home:index:Minio``.
            kind: Pulumi's type of the object, such as ``kubernetes:core/v1:Secret``.
            name: name of the resource in the program.
        """
        ending = f"{component}${kind}::{name}"
        found = (one for one in self.deployment.get("resources") or [] if one["urn"].endswith(ending))
        return str(next(found, {"id": ""})["id"]).rpartition("/")[2]

    def retained(self, claim: str) -> bool:
        """Return whether a volume claim, as NAMESPACE/NAME, stays in the cluster when it is no longer declared."""
        return any(one["id"] == claim and one.get("retainOnDelete") for one in self._claims)

    @property
    def database_clusters(self) -> list[str]:
        """The clusters of the operator CloudNativePG, with their volumes, as NAMESPACE/NAME."""
        return [one["id"] for one in self._of(_CLUSTER)]

    @property
    def _claims(self) -> list[Mapping[str, Any]]:
        return self._of(_CLAIM)

    def _of(self, kind: str) -> list[Mapping[str, Any]]:
        return [one for one in self.deployment.get("resources") or [] if one["type"] == kind]


def let_go(environment: Mapping[str, str], stack: str, component: str) -> None:
    """Let a component be deleted, except for what holds its data, which stays in the cluster.

    An update uses the options in the state for what the program no longer has. Only an update of a program that still
    has it could change them otherwise.

    Args:
        environment: environment of Pulumi.
        stack: name of the stack.
        component: type of the component, such as ``flyte-home:index:Postgres``.

    Raises:
        SettingsError: Pulumi cannot read the state, or cannot write it.
    """
    content = json.loads(pulumi(environment, "stack", "export", "--stack", stack))
    changed = False
    for one in content["deployment"].get("resources") or []:
        if not _belongs(one, component):
            continue
        changed |= bool(one.pop("protect", False))
        if one["type"] in _DATA and not one.get("retainOnDelete"):
            one["retainOnDelete"] = changed = True
    if changed:
        pulumi(environment, "stack", "import", "--stack", stack, text=json.dumps(content))


def _belongs(resource: Mapping[str, Any], component: str) -> bool:
    """Return whether a resource is a component of a type, or a part of one."""
    return component in resource["urn"].split("::")[2].split("$")


def open_state(environment: Mapping[str, str], stack: str) -> Path | None:
    """Check that the state can be written, and restore one that a kill has damaged.

    Returns:
        The folder of this machine in which the states are; None if they are elsewhere.

    Raises:
        SettingsError: the state cannot be written, or Pulumi does not know where it is.
    """
    backend = _folder_of(environment)
    check_space(backend)
    _restore_checkpoint(backend, stack)
    return backend


def check_space(backend: Path | None) -> None:
    """Check that the state can be written.

    Args:
        backend: folder of the state; None if it is not in a folder of this machine.

    Raises:
        SettingsError: it cannot; most likely the disk is full.
    """
    if not backend or not backend.is_dir():
        return
    try:
        with tempfile.NamedTemporaryFile(dir=backend) as file:
            file.write(b"\0" * _BYTES)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise SettingsError(
            f"the state of Pulumi cannot be written to {backend}: {error.strerror}. Make room there, at least "
            f"{_BYTES >> 20} MiB, and run the command again"
        ) from None


def _restore_checkpoint(backend: Path | None, stack: str) -> None:
    """Restore the state from the copy that Pulumi keeps beside it, if a kill in the middle of a write has emptied it.

    The copy is one step older. What that step had created is recognized as half-made, see `Pending`.

    Args:
        backend: folder of the state; None if it is not in a folder of this machine.
        stack: name of the stack.
    """
    if not backend:
        return
    state = backend / ".pulumi" / "stacks" / PROJECT / f"{stack}.json"
    copy = state.with_name(f"{state.name}.bak")
    if state.exists() and not _is_json(state) and _is_json(copy):
        print(f"The state {state} is damaged, because an update was killed. Using {copy.name}, which is one step older")
        shutil.copyfile(copy, state)


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    return True


def _folder_of(environment: Mapping[str, str]) -> Path | None:
    """Return the folder of this machine in which the states are; None if they are elsewhere.

    Raises:
        SettingsError: Pulumi does not know where they are.
    """
    url = environment.get("PULUMI_BACKEND_URL") or _place(environment)
    return Path(url.removeprefix("file://")).expanduser() if url.startswith("file://") else None


def _place(environment: Mapping[str, str]) -> str:
    return str(json.loads(pulumi(environment, "whoami", "--verbose", "--json")).get("url", ""))


def release_lock(environment: Mapping[str, str], stack: str, backend: Path | None) -> str:
    """Remove the lock of an update of the stack that was killed, and end the plugins that it has left.

    Only locks in a folder name their process. Pulumi Cloud's locks expire by themselves.

    Returns:
        When that update began, in ISO 8601 and UTC; empty if there was no lock.

    Raises:
        SettingsError: another update of the stack is running, or may be.
    """
    began = ""
    locks = backend / ".pulumi/locks/organization" / PROJECT / stack if backend else None
    for path in locks.glob("*.json") if locks and locks.is_dir() else []:
        try:
            lock = json.loads(path.read_text())
            process, host, since = int(lock["pid"]), str(lock["hostname"]), str(lock["timestamp"])[:19]
        except (OSError, ValueError, KeyError):  # released at this moment, or not written completely
            continue
        if host != socket.gethostname():
            raise SettingsError(
                f"the stack {stack!r} is being changed by {lock.get('username')} on {host} since {since}Z. If nothing "
                f"runs there any more: pulumi cancel --stack {stack}"
            )
        if runs(process, "pulumi"):
            raise SettingsError(
                f"the stack {stack!r} is being changed by process {process} on this machine since {since}Z. Wait until "
                f"it has ended, or stop it: kill -INT {process}"
            )
        print(f"The last update of {stack} was killed. Going on where it stopped", flush=True)
        _end_orphans()
        pulumi(environment, "cancel", "--yes", "--stack", stack)
        began = since
    return began


def last_update(environment: Mapping[str, str], stack: str) -> str:
    """Return when the last update that Pulumi has recorded began, in ISO 8601 and UTC; empty if there was none.

    Raises:
        SettingsError: Pulumi cannot read it.
    """
    updates = json.loads(pulumi(environment, "stack", "history", "--json", "--page-size=1", "--stack", stack))
    return str(updates[0]["startTime"])[:19] if updates else ""


def runs(process: int, word: str) -> bool:
    """Return whether a process of this machine runs that has a word in its command line, or may have it."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it runs, as another user
        pass
    command = _processes("-o", "command=", "-p", str(process))
    # Where it cannot be known what the process is, it may be an update.
    return not command or word in command


def _end_orphans() -> None:
    """End the plugins of Pulumi whose engine is gone: they may still be changing the cluster."""
    for line in _processes("-axo", "pid=,command=").splitlines():
        match = _PLUGIN.match(line)
        if match and not _listens(int(match[2])):
            try:
                os.kill(int(match[1]), signal.SIGKILL)
            except OSError:  # it has ended, or belongs to another user
                continue


def _processes(*arguments: str) -> str:
    """Return the output of ps; empty on a machine without it, such as a small container."""
    try:
        return subprocess.run(["ps", *arguments], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return ""


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
