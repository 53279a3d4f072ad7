"""The volumes of the database: which one the stack file names, and the copy of the database to another one."""

import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from components.flyte.names import POD_LABELS, RELEASE
from ops.lib.database import Database, checksum
from ops.lib.engine import REFRESH, pulumi, run
from ops.lib.kubectl import Cluster
from ops.lib.major_version import deployed_server, generation_of
from ops.lib.record import Copy, Record, write
from ops.lib.state import State
from ops.lib.watch import Watch
from paths import ROOT
from settings import PROJECT, Settings
from settings.errors import SettingsError
from settings.quantities import quantity
from settings.servers import database_claim

_KEY = f"{PROJECT}:postgres"
_SECONDS_TO_STOP = 660.0
_DEPLOYMENT = f"deployment/{RELEASE}"


@dataclass(frozen=True)
class Stack:
    """A stack, and how to change it."""

    name: str
    settings: Settings
    cluster: Cluster
    environment: Mapping[str, str]
    """Environment of Pulumi."""
    folder: Path = ROOT / ".upgrade"
    """Folder of the dump, which only its owner can read."""

    @property
    def database(self) -> Database:
        """The database of the stack."""
        return Database(self.cluster, self.settings.namespace)

    @property
    def dump(self) -> Path:
        """Place of the dump."""
        return self.folder / f"{self.name}.dump"


def choose_volumes(stack: Stack, generation: int, kept: Sequence[int]) -> None:
    """Write into the stack file which volume the database uses, and which earlier ones stay.

    Raises:
        SettingsError: Pulumi cannot write it.
    """
    config = ("--stack", stack.name, "--path")
    if generation == 1:
        pulumi(stack.environment, "config", "rm", *config, f"{_KEY}.volumeGeneration")
    else:
        pulumi(stack.environment, "config", "set", *config, f"{_KEY}.volumeGeneration", str(generation))
    pulumi(stack.environment, "config", "rm", *config, f"{_KEY}.keptVolumes")
    for index, number in enumerate(kept):
        pulumi(stack.environment, "config", "set", *config, f"{_KEY}.keptVolumes[{index}]", str(number))


def check_room(stack: Stack, size: int) -> None:
    """Check that a copy of the database has room, as far as that can be known before there is a new volume.

    Args:
        stack: the stack.
        size: bytes that the database takes.

    Raises:
        SettingsError: it has none.
    """
    room = stack.folder if stack.folder.exists() else stack.folder.parent
    if (free := shutil.disk_usage(room).free) < size:
        raise SettingsError(
            f"{stack.folder}: the dump of the database may take {_mib(size)}, but {_mib(free)} are free. Nothing was "
            "changed. Make room there"
        )
    # Restoring writes everything into the log as well, and builds the indexes.
    chosen = stack.settings.postgres.volume.size
    if quantity(chosen) < 2 * size:
        raise SettingsError(
            f"{_KEY}.volume.size: is {chosen}, but a copy of the database needs {_mib(2 * size)}. Nothing was changed. "
            f"Raise it: pulumi config set --path {_KEY}.volume.size {2 * size // 2**30 + 1}Gi"
        )


def copy_database(stack: Stack, record: Record, copy: Copy, say: Callable[[str], None]) -> Record:
    """Copy the database to its new volume, on which its new server starts; return the new record.

    It begins where an earlier copy has stopped. The old volume stays as it is.

    Raises:
        SettingsError: something fails; the copy can go on, or go back.
    """
    server = deployed_server(stack.cluster, stack.settings.namespace)
    if record.phase == "begun" or (server and server.claim == database_claim(copy.old)):
        record = write(stack.cluster, stack.settings.namespace, replace(record, phase="begun"))
        copy = _dumped(stack, copy, say)
        record = write(stack.cluster, stack.settings.namespace, replace(record, phase="copied", copy=copy))
    elif record.phase == "copied" and checksum(stack.dump) != copy.dump:
        raise SettingsError(
            f"{stack.dump}: the dump of the database is not there any more, or not the one that was verified. The old "
            f"volume still has everything: make upgrade BACK=yes STACK={stack.name}"
        )
    if record.phase == "copied":
        deploy_database(stack)
        if (free := stack.database.free()) < copy.size:
            raise SettingsError(
                f"{_KEY}.volume: the new volume has {_mib(free)} free, but the database takes {_mib(copy.size)}. Go "
                f"back: make upgrade BACK=yes STACK={stack.name}"
            )
        stack.database.restore(stack.dump, copy.counts)
        say(f"restored and compared: {_described(copy.counts)}")
        record = write(stack.cluster, stack.settings.namespace, replace(record, phase="swapped"))
    stack.dump.unlink(missing_ok=True)
    start_flyte(stack)
    return record


def _dumped(stack: Stack, copy: Copy, say: Callable[[str], None]) -> Copy:
    """Stop Flyte, dump the database and read the dump back; return the copy with what is in the dump."""
    stop_flyte(stack)
    say("Flyte is stopped")
    counts = stack.database.counts()
    dump = stack.database.dump(stack.dump)
    stack.database.verify(stack.dump)
    if stack.database.counts() != counts:
        raise SettingsError("the database has changed during the dump, although Flyte is stopped; stop what uses it")
    say(f"dumped and read back: {_mib(stack.dump.stat().st_size)}, {_described(counts)}")
    return replace(copy, counts=counts, dump=dump)


def deploy_database(stack: Stack) -> None:
    """Deploy only the database, as the stack file says: Flyte is stopped, and stays as it is.

    Raises:
        SettingsError: Pulumi fails.
    """
    if deploy_component(stack, f"{PROJECT}:index:Postgres"):
        raise SettingsError("the server of the database could not be deployed; the reason is in the messages above")


def deploy_component(stack: Stack, component: str) -> int:
    """Deploy only the component of a type, as the stack file says; return Pulumi's exit code."""
    urn = f"urn:pulumi:{stack.name}::{PROJECT}::{component}**"
    watch = Watch(stack.cluster, stack.settings.namespace, stopped={_DEPLOYMENT})
    options = (*REFRESH, "--target", urn, "--yes", "--non-interactive", "--suppress-progress")
    return run(stack.environment, stack.name, "up", *options, meanwhile=watch.during)


def release_volumes(stack: Stack, claims: Collection[str]) -> None:
    """Let Pulumi forget volumes that the stack file will not name any more; they stay in the cluster.

    Raises:
        SettingsError: Pulumi fails.
    """
    kind = "kubernetes:core/v1:PersistentVolumeClaim"
    component = f"{PROJECT}:index:Postgres"
    for claim in State.of(stack.environment, stack.name).claims:
        name = claim.partition("/")[2]
        if name in claims:
            urn = f"urn:pulumi:{stack.name}::{PROJECT}::{component}${kind}::{name}"
            pulumi(stack.environment, "state", "unprotect", urn, "--yes", "--stack", stack.name)


def database_volumes(stack: Stack) -> list[str]:
    """Return the claims of the database in the cluster, also of those that Pulumi has forgotten, in their order.

    Raises:
        SettingsError: the cluster does not answer.
    """
    where = f"--namespace={stack.settings.namespace}"
    names = stack.cluster.ask("get", "persistentvolumeclaims", where, "--output=name").split()
    found = [name.partition("/")[2] for name in names]
    return sorted((one for one in found if database_claim(generation_of(one)) == one), key=generation_of)


def stop_flyte(stack: Stack, sleep: Callable[[float], None] = time.sleep) -> None:
    """Stop Flyte, and wait until it has ended.

    Raises:
        SettingsError: it does not end, or the cluster does not answer.
    """
    _scale(stack, 0)
    selector = ",".join(f"{key}={value}" for key, value in POD_LABELS.items())
    until = time.monotonic() + _SECONDS_TO_STOP
    where = f"--namespace={stack.settings.namespace}"
    while pods := stack.cluster.ask("get", "pods", where, f"--selector={selector}", "--output=name").strip():
        if time.monotonic() > until:
            raise SettingsError(f"{pods} does not end, so that Flyte may still write; look at it, and run again")
        sleep(1)


def start_flyte(stack: Stack) -> None:
    """Start Flyte.

    Raises:
        SettingsError: the cluster does not answer.
    """
    _scale(stack, 1)


def _scale(stack: Stack, replicas: int) -> None:
    stack.cluster.ask("scale", _DEPLOYMENT, f"--replicas={replicas}", f"--namespace={stack.settings.namespace}")


def _described(counts: Mapping[str, int]) -> str:
    return f"{sum(counts.values())} rows and numbers in {len(counts)} tables and sequences"


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB" if size >= 10 * 2**20 else f"{size / 2**20:.1f} MiB"
