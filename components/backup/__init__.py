"""The backup: sets of the database, the object store and Pulumi's state; their restore, and its rehearsal."""

from components.backup.backup import Backup, BackupArgs
from components.backup.names import reader

__all__ = ["Backup", "BackupArgs", "reader"]
