"""The backup set of an upgrade: taken before it, and restored by going back."""

from importlib import import_module

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
    if _has_target(stack):
        taken = import_module("ops.lib.backup_run").take(stack.name, stack.settings, stack.cluster, "before-upgrade")
        return str(taken)
    if stack.settings.protect:
        raise SettingsError(
            f"{PROJECT}:protect: the data of {stack.name} is worth keeping, but the stack has no backup target, and so "
            "no backup to go back to. Nothing was changed. Take one by hand as docs/backup.md says, then run "
            f"make upgrade BACKUP=no STACK={stack.name}"
        )
    return ""


def restore_backup(stack: Stack, name: str) -> None:
    """Restore a set.

    Raises:
        SettingsError: it fails.
    """
    import_module("ops.lib.restore_run").restore(stack.name, stack.settings, stack.cluster, name)


def _has_target(stack: Stack) -> bool:
    return bool(getattr(getattr(stack.settings, "backup", None), "target", None))
