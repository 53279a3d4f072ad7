"""Names of the objects of the backup, in one place: commands and network policies refer to them too."""

from settings.backup import BackupSettings

POD = "backup"
"""Value of the label of all its pods."""
BACKUP, CHECK, RESTORE, DRILL = "backup", "backup-check", "backup-restore", "backup-drill"
"""Names of its CronJobs. ``RESTORE`` never runs by itself: it is the template of a Job."""
STATE = "backup-state"
"""Prefix of the names of the ConfigMaps with Pulumi's state, which ``make up`` encrypts with the recovery key."""
STATE_PARTS = 8
"""Number of those ConfigMaps at most; one holds 1 MiB."""
WORK = "backup-work"
"""Name of the claim with the copy of the object store."""
USER = "flyte.backup"
"""User of the object store that may read every bucket."""


def reader(settings: BackupSettings) -> str:
    """The user of the object store for the backup; empty without a backup."""
    return USER if settings.target else ""
