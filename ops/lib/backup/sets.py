"""The sets of a stack: made, listed, and named."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO

from components.backup import names
from ops.lib.backup.jobs import Job
from ops.lib.kubectl import Cluster
from settings import Settings
from settings.errors import SettingsError


@dataclass(frozen=True)
class BackupSet:
    """A set in the repository."""

    id: str
    time: datetime
    label: str
    """Why it was made: schedule, manual, before-restore or before-upgrade."""
    rows: int
    objects: int
    size: int
    """Bytes of all objects."""
    added: int
    """Bytes by which it made the repository grow."""
    state: bool
    """Whether it has Pulumi's state."""
    verified: datetime | None
    drilled: datetime | None
    """When it was last restored on trial; None if that was never done, or failed the last time."""
    drill_failed: bool

    @property
    def short(self) -> str:
        """The first digits of its id, which name it."""
        return self.id[:8]


def check_has_backup(settings: Settings, stack: str) -> None:
    """Check that the stack has a backup.

    Raises:
        SettingsError: it has none.
    """
    if not settings.backup.target:
        raise SettingsError(
            f"flyte-home:backup.target: is empty, so stack {stack!r} has no backup; write pulumi config set --path "
            f"flyte-home:backup.target s3:https://nas.home:9000/bucket/flyte --stack {stack}, see docs/backup.md"
        )


def take(stack: str, settings: Settings, cluster: Cluster, label: str, out: TextIO = sys.stdout) -> str:
    """Make a set now; return its id.

    Args:
        stack: name of the stack.
        settings: settings of the stack.
        cluster: cluster of the stack.
        label: why it is made, such as ``before-upgrade``.
        out: receives the progress.

    Raises:
        SettingsError: the stack has no backup, or it failed. No set was made then.
    """
    check_has_backup(settings, stack)
    job = Job(cluster, settings.namespace, names.BACKUP, {"LABEL": label}, retries=2, out=out)
    return str(job.run()["id"])


def listed(settings: Settings, cluster: Cluster, out: TextIO = sys.stdout) -> tuple[list[BackupSet], int]:
    """Return the sets of a stack, the oldest first, and the number of recovery keys that open them.

    Raises:
        SettingsError: the repository cannot be read.
    """
    job = Job(cluster, settings.namespace, names.CHECK, {"ACTION": "list"}, counts=False, out=out)
    result = job.run()
    return [_set(one) for one in result["sets"]], int(result["recovery"])


def chosen(sets: Sequence[BackupSet], at: str, stack: str) -> BackupSet:
    """Return the set that ``at`` names: ``latest``, which is no restore point, or the beginning of an id or a time.

    Raises:
        SettingsError: there is no such set, or it was never verified.
    """
    if at == "latest":
        found = [one for one in sets if one.verified and one.label != "before-restore"]
    else:
        found = [one for one in sets if one.id.startswith(at) or one.time.isoformat().startswith(at)]
    if not found:
        known = ", ".join(one.short for one in sets[-5:]) or "none"
        raise SettingsError(f"AT: there is no set {at!r}; the last ones are {known}: make backups STACK={stack}")
    if not found[-1].verified:
        raise SettingsError(
            f"AT: the set {found[-1].short} was never verified; choose another: make backups STACK={stack}"
        )
    return found[-1]


def _set(one: dict[str, Any]) -> BackupSet:
    drilled, failed = _time(one["drilled"]), _time(one["drill_failed"])
    if drilled and failed and failed > drilled:
        drilled = None
    return BackupSet(
        one["id"],
        _time(one["time"]) or datetime.now(UTC),
        one["label"] or "",
        one["rows"],
        one["objects"],
        one["bytes"],
        one["added"],
        one["state"] == "sealed",
        _time(one["verified"]),
        drilled,
        failed is not None and drilled is None,
    )


def _time(text: str | None) -> datetime | None:
    # restic writes nanoseconds, of which Python reads six digits.
    return datetime.fromisoformat(text) if text else None


def size(count: float) -> str:
    """Return a number of bytes for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def age(since: datetime) -> str:
    """Return how long ago a moment was, for people."""
    seconds = (datetime.now(UTC) - since).total_seconds()
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} seconds"
