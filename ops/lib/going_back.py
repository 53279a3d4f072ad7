"""Going back to what was deployed before an upgrade, and dropping what going back needs."""

from collections.abc import Callable
from dataclasses import replace

from ops.lib import record as records
from ops.lib.backup_sets import restore_backup
from ops.lib.engine import pulumi
from ops.lib.major_version import deployed_server
from ops.lib.record import Copy, Record
from ops.lib.steps import Steps, smoke
from ops.lib.volumes import (
    Stack,
    choose_volumes,
    database_volumes,
    deploy_database,
    release_volumes,
    start_flyte,
    stop_flyte,
)
from ops.lib.worktree import deploy_commit
from settings import PROJECT
from settings.errors import SettingsError
from settings.servers import database_claim

_IMAGE = f"{PROJECT}:images.postgres"


def go_back(stack: Stack, deploy: Callable[[], int]) -> None:
    """Deploy what was deployed before the last upgrade, with the data of that moment.

    The database returns to its old volume; where it was not copied, the backup set is restored.

    Args:
        stack: the stack.
        deploy: deploys what the stack file says, with this commit; returns Pulumi's exit code.

    Raises:
        SettingsError: there is nothing to go back to, or a step fails.
    """
    record = records.read(stack.cluster, stack.settings.namespace)
    now = records.commit()
    _check_can_go_back(stack, record, now)
    restored = bool(record.backup) and not record.copy
    another = record.before not in {"", now}
    steps = Steps(2 + bool(record.copy) + restored)
    record = records.write(stack.cluster, stack.settings.namespace, replace(record, phase="returning"))
    if record.copy:
        steps.next(f"database: back to {database_claim(record.copy.old)}, with PostgreSQL {record.copy.majors[0]}")
        _use_old_volume(stack, record.copy)
        steps.say(f"{database_claim(record.copy.new)} stays; make upgrade DROP_OLD_VOLUME=yes deletes it")
    steps.next(f"deploy {record.before[:12] if another else 'the stack file'}")
    code = deploy_commit(stack.name, record.before, stack.environment) if another else deploy()
    if code:
        raise SettingsError("the update has failed; the reason is in the messages above. Then run the command again")
    if restored:
        steps.next(f"restore {record.backup}")
        restore_backup(stack, record.backup)
    steps.next("doctor and smoke")
    smoke(stack)
    records.write(stack.cluster, stack.settings.namespace, Record(commit=record.before or now))
    steps.end("went back" + (f"; before the next make up: git checkout {record.before}" if another else ""))


def drop_old_volumes(stack: Stack, deploy: Callable[[], int]) -> None:
    """Delete every volume of the database except the one in use.

    Args:
        stack: the stack.
        deploy: deploys what the stack file says, with this commit; returns Pulumi's exit code.

    Raises:
        SettingsError: the last upgrade has not ended, or a step fails.
    """
    if stack.settings.postgres.mode != "bundled":
        raise SettingsError(
            f"DROP_OLD_VOLUME: {PROJECT}:postgres.mode is {stack.settings.postgres.mode!r}, so that the stack uses no "
            "volume for the database; docs/outgrowing.md says how to delete an earlier one. Nothing was deleted"
        )
    record = records.read(stack.cluster, stack.settings.namespace)
    server = deployed_server(stack.cluster, stack.settings.namespace)
    used = database_claim(stack.settings.postgres.volume_generation)
    if record.unfinished or not server or server.major is None or server.claim != used:
        raise SettingsError(
            "DROP_OLD_VOLUME: the last upgrade has not ended, or the database does not run on the volume that the "
            f"stack file names. Nothing was deleted. First run make upgrade STACK={stack.name}"
        )
    old = [claim for claim in database_volumes(stack) if claim != used]
    if not old:
        print(f"{used} is the only volume of the database; there is nothing to delete")
        return
    print(f"Deleting {', '.join(old)}; the database is on {used}", flush=True)
    release_volumes(stack, old)
    choose_volumes(stack, stack.settings.postgres.volume_generation, [])
    if deploy():
        raise SettingsError("the update has failed; the reason is in the messages above. Then run the command again")
    # Pulumi has only forgotten them.
    where = f"--namespace={stack.settings.namespace}"
    stack.cluster.ask("delete", "persistentvolumeclaim", *old, where, "--ignore-not-found", "--wait=false")
    if record.copy:  # there is no way back any more
        records.write(stack.cluster, stack.settings.namespace, Record(commit=record.commit))
    print(f"ok      deleted {', '.join(old)}")


def _check_can_go_back(stack: Stack, record: Record, now: str) -> None:
    if record.phase == "none":
        raise SettingsError(
            f"BACK: no upgrade of {stack.name} is recorded, or its old volume was dropped. Nothing was changed. To "
            "return to an earlier commit without its data: git checkout COMMIT, and make up"
        )
    if record.copy and database_claim(record.copy.old) not in database_volumes(stack):
        raise SettingsError(
            f"BACK: the volume {database_claim(record.copy.old)} is no longer in the cluster. Nothing was changed. "
            "Restore a backup instead, see docs/backup.md"
        )
    if not record.copy and not record.backup and record.before in {"", now}:
        raise SettingsError(
            f"BACK: the last upgrade of {stack.name} has changed neither the commit nor the volume of the database, "
            "and has taken no backup. Nothing was changed. Correct the stack file, and run make up"
        )


def _use_old_volume(stack: Stack, copy: Copy) -> None:
    """Let the old server run on the old volume again, and make Pulumi forget the new one."""
    stop_flyte(stack)
    others = [one for one in stack.settings.postgres.kept_volumes if one not in {copy.old, copy.new}]
    pulumi(stack.environment, "config", "set", "--stack", stack.name, "--path", _IMAGE, copy.image)
    # Both are declared until no pod uses the new one, which is then only kept.
    there = database_claim(copy.new) in database_volumes(stack)
    choose_volumes(stack, copy.old, [*others, *([copy.new] if there else [])])
    deploy_database(stack)
    release_volumes(stack, {database_claim(copy.new)})
    # An earlier version of this repository may have no such setting.
    choose_volumes(stack, copy.old, others)
    stack.dump.unlink(missing_ok=True)
    start_flyte(stack)
