"""The record of a move that has not ended, in the cluster, and what else the move has put there for its time."""

import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass
from typing import Literal

from components.pods import LABELS
from ops.lib.kubectl import Cluster, documents
from ops.lib.state import runs
from ops.lib.text import one_line
from settings.errors import SettingsError

LABEL = "flyte-home/move"
"""Label of everything that a move puts into the platform namespace for its time."""
_NAME = "flyte-home-move"
_KINDS = "jobs,secrets,configmaps,networkpolicies"
Part = Literal["database", "store"]
Phase = Literal["begun", "switching", "switched"]


@dataclass(frozen=True)
class Move:
    """A move that has not ended; it holds no secret."""

    part: Part
    phase: Phase
    """How far it is. It has ``begun``: Flyte may be stopped, and still uses what it used before. It is ``switching``:
    everything is copied and compared, and the update that switches Flyte has begun. Flyte is ``switched``, and the
    result is checked.
    """
    before: str
    """What Flyte used before, for messages."""
    after: str
    """What it is to use, for messages."""
    run: str
    """Names the run of the command that has written this last."""
    host: str
    """Machine of this run."""
    process: int
    """Process of this run."""

    @property
    def command(self) -> str:
        """The make target."""
        return f"move-{self.part}"

    @property
    def running(self) -> bool:
        """Whether its process still runs, as far as this machine can know."""
        return self.host == socket.gethostname() and self.process != os.getpid() and runs(self.process, "ops.move_")


def begin(part: Part, before: str, after: str) -> Move:
    """Return the record of a move that this process begins."""
    return Move(part, "begun", before, after, secrets.token_hex(8), socket.gethostname(), os.getpid())


def read(cluster: Cluster, namespace: str) -> Move | None:
    """Return the move that has not ended; None if there is none.

    Raises:
        SettingsError: the cluster does not answer, or another version has written the record.
    """
    answer = cluster.ask("get", "configmap", _NAME, f"--namespace={namespace}", "--ignore-not-found", "--output=json")
    found = documents(answer)
    if not found:
        return None
    try:
        return Move(**json.loads(found[0]["data"]["move"]))
    except (KeyError, TypeError, ValueError):
        raise SettingsError(
            f"configmap/{_NAME} in {namespace} cannot be read: another version of this repository has written it. "
            "Use that version to end its move"
        ) from None


def write(cluster: Cluster, namespace: str, move: Move) -> None:
    """Write the record.

    Raises:
        SettingsError: the cluster rejects it.
    """
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": _NAME, "namespace": namespace, "labels": {**LABELS, LABEL: "record"}},
        "data": {"move": json.dumps(asdict(move))},
    }
    answer = cluster.run("apply", "--filename=-", f"--namespace={namespace}", given=json.dumps(manifest))
    if answer.returncode:
        raise SettingsError(f"configmap/{_NAME} cannot be written: {one_line(answer.stderr)}")


def remove_temporary(cluster: Cluster, namespace: str) -> None:
    """Delete what moves have put into the platform namespace, and wait until their pods have ended; not the record.

    Raises:
        SettingsError: the cluster does not answer.
    """
    _delete(cluster, namespace, f"{LABEL}=temporary")


def forget(cluster: Cluster, namespace: str) -> None:
    """Delete the record, and everything else of a move.

    Raises:
        SettingsError: the cluster does not answer.
    """
    remove_temporary(cluster, namespace)
    _delete(cluster, namespace, LABEL)


def check_no_move(cluster: Cluster, namespace: str, stack: str) -> None:
    """Check that no move has begun that has not ended.

    Raises:
        SettingsError: one has; the message says how to go on, and how to go back.
    """
    found = read(cluster, namespace)
    if found and found.phase != "switched":
        raise SettingsError(
            f"a move of the {found.part} from {found.before} to {found.after} has begun and has not ended, so that "
            f"Flyte must not start. Nothing was changed. Go on with make {found.command} STACK={stack}; or go "
            "back with the same command after you have set the stack file back"
        )


def _delete(cluster: Cluster, namespace: str, selector: str) -> None:
    # With the pods of the Jobs: none of them may still copy when this returns.
    how = ["--cascade=foreground", "--ignore-not-found", "--timeout=120s"]
    answer = cluster.run("delete", _KINDS, f"--namespace={namespace}", f"--selector={selector}", *how, seconds=125)
    if answer.returncode:
        raise SettingsError(f"what the move has created in {namespace} cannot be deleted: {one_line(answer.stderr)}")
