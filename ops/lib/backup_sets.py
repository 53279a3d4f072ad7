"""The backup set of an upgrade: taken before it, and restored by going back."""

from ops.lib.backup.restoring import Wishes, restore
from ops.lib.backup.sets import take
from ops.lib.volumes import Stack
from settings import PROJECT
from settings.errors import SettingsError


def take_backup(stack: Stack, wanted: bool) -> str:
    """Take a backup; return the name of its set, or nothing if there is none.

    Raises:
        SettingsError: it fails, or the stack must not be upgraded without one.
    """
    if not wanted:
        return ""
    if stack.settings.backup.target:
        return take(stack.name, stack.settings, stack.cluster, "before-upgrade")
    if stack.settings.protect:
        raise SettingsError(
            f"{PROJECT}:protect: the data of {stack.name} is worth keeping, but the stack has no backup target, and so "
            "no backup to go back to. Nothing was changed. Set flyte-home:backup.target as docs/backup.md says, or run "
            f"make upgrade BACKUP=no STACK={stack.name}"
        )
    return ""


def restore_backup(stack: Stack, name: str) -> None:
    """Restore a set over what is there.

    Raises:
        SettingsError: it fails.
    """
    restore(stack, Wishes(at=name, over=True))
