"""``make upgrade``: deploys a newer version, with a backup before it and a check after it; or goes back.

Usage: python -m ops.upgrade STACK [--back | --drop-old-volume] [--no-backup]

If the image of the database is of another major version of PostgreSQL, the database is copied to a new volume. Run
again, it goes on where it has stopped.
"""

import argparse
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from ops.lib import record as records
from ops.lib.backup_sets import take_backup
from ops.lib.engine import REFRESH, engine_environment, pulumi, run
from ops.lib.going_back import drop_old_volumes, go_back
from ops.lib.major_version import check_not_down, deployed_server, generation_of, wanted_major
from ops.lib.record import Copy, Record
from ops.lib.stack_file import stack_config
from ops.lib.state import open_state
from ops.lib.steps import Steps, back_command, smoke
from ops.lib.update import ask, prepare
from ops.lib.volumes import Stack, check_room, choose_volumes, copy_database, database_volumes
from ops.up import deploy
from paths import ROOT
from settings import PROJECT, settings_from
from settings.errors import SettingsError
from settings.servers import database_claim


def main() -> int:
    """Run the command line; return 0 if the stack works afterwards, 1 with a message otherwise."""
    parser = argparse.ArgumentParser(prog="upgrade", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("--back", action="store_true", help="go back to what was deployed before the last upgrade")
    parser.add_argument("--drop-old-volume", action="store_true", help="delete earlier volumes of the database")
    parser.add_argument("--no-backup", action="store_true", help="take no backup before")
    args = parser.parse_args()
    try:
        settings = settings_from(*stack_config(args.stack))
        environment = engine_environment()
        backend = open_state(environment, args.stack)
        pulumi(environment, "stack", "select", args.stack)
        cluster = prepare(environment, backend, args.stack, settings, "up", empty=False)
        stack = Stack(args.stack, settings, cluster, environment)
        if args.back:
            go_back(stack, partial(_deploy, stack, backend, "upgrade BACK=yes"))
        elif args.drop_old_volume:
            drop_old_volumes(stack, partial(_deploy, stack, backend, "upgrade DROP_OLD_VOLUME=yes"))
        else:
            _upgrade(stack, backend, with_backup=not args.no_backup)
    except SettingsError as error:
        print(f"STOPPED  {error}", file=sys.stderr)
        return 1
    return 0


def _upgrade(stack: Stack, backend: Path | None, with_backup: bool) -> None:
    """Back up, show the preview, copy the database if it needs another volume, deploy, and check.

    Raises:
        SettingsError: a step has failed; the message says what to do.
    """
    cluster, namespace = stack.cluster, stack.settings.namespace
    record = records.read(cluster, namespace)
    if record.phase == "returning":
        raise SettingsError(f"going back has begun and has not ended: make upgrade BACK=yes STACK={stack.name}")
    copy = record.copy if record.unfinished and record.copy else _needed_copy(stack)
    steps = Steps(5 if copy else 4)

    steps.next("backup")
    backup = record.backup
    if record.unfinished:
        steps.say(f"kept: {backup or 'none'}, from before the upgrade that has stopped")
    else:
        backup = take_backup(stack, with_backup)
        steps.say(backup or "none")

    steps.next("preview")
    _preview(stack, copy, asked=record.unfinished)
    if not record.unfinished or copy != record.copy:
        before = record.before if record.unfinished else record.commit
        record = Record(record.commit, "begun" if copy else "deploying", before, backup, copy)
        records.write(cluster, namespace, record)
    if copy:
        steps.next(f"database: PostgreSQL {copy.majors[0]} to {copy.majors[1]}, on {database_claim(copy.new)}")
        record = copy_database(stack, record, copy, steps.say)

    steps.next("deploy")
    if _deploy(stack, backend, "upgrade"):
        raise SettingsError(f"the update has failed. Go on as above, or go back: {back_command(stack)}")

    steps.next("doctor and smoke")
    smoke(stack)
    records.write(cluster, namespace, replace(record, commit=records.commit(), phase="done"))
    if copy:
        steps.say(f"{database_claim(copy.old)} is untouched; delete it with make upgrade DROP_OLD_VOLUME=yes")
    steps.end(f"upgraded; back with {back_command(stack)}")


def _deploy(stack: Stack, backend: Path | None, again: str) -> int:
    """Deploy what the stack file says by now; return Pulumi's exit code."""
    settings = settings_from(*stack_config(stack.name))
    return deploy(stack.environment, backend, stack.name, settings, stack.cluster, "--skip-preview", again=again)


def _needed_copy(stack: Stack) -> Copy | None:
    """Return the copy of the database that is needed; None if its volume fits, or another server has it.

    Raises:
        SettingsError: there is no server, or it does not run; or a copy is impossible.
    """
    if stack.settings.postgres.mode != "bundled":
        return None
    server = deployed_server(stack.cluster, stack.settings.namespace)
    if not server:
        raise SettingsError(f"STACK: {stack.name!r} is not deployed yet; run make up STACK={stack.name}")
    if server.major is None:
        raise SettingsError(
            "the server of the database does not run, so that nothing can be saved before the upgrade: "
            f"make doctor STACK={stack.name} says why"
        )
    chosen, used = stack.settings.postgres.volume_generation, generation_of(server.claim)
    major = server.major
    if server.image != stack.settings.chosen_images["postgres"].reference:
        major = wanted_major(stack.cluster, stack.settings)
        check_not_down(major, server)
    if major == server.major and chosen == used:
        return None
    volumes = database_volumes(stack)
    new = chosen if chosen != used else max(map(generation_of, volumes)) + 1
    if database_claim(new) in volumes:
        raise SettingsError(
            f"{PROJECT}:postgres.volumeGeneration: is {new}, but there is a volume {database_claim(new)} already, and "
            f"the database is on {server.claim}. Nothing was changed. Set it to {max(map(generation_of, volumes)) + 1}"
        )
    size = stack.database.size()
    check_room(stack, size)
    return Copy(used, new, (server.major, major), server.image, size)


def _preview(stack: Stack, copy: Copy | None, asked: bool) -> None:
    """Show what changes, with the new volume; ask on a terminal, unless the user was asked before.

    Raises:
        SettingsError: the user does not agree, or the preview fails. The stack file is as before.
    """
    file = ROOT / f"Pulumi.{stack.name}.yaml"
    before = file.read_bytes()
    try:
        if copy:
            earlier = {*stack.settings.postgres.kept_volumes, copy.old} - {copy.new}
            choose_volumes(stack, copy.new, sorted(earlier))
        if run(stack.environment, stack.name, "preview", *REFRESH):
            raise SettingsError("the preview has failed. Nothing was changed; the reason is in the messages above")
        if sys.stdin.isatty() and not asked:
            ask("upgrade", stack.name)
    except SettingsError:
        if not asked:
            file.write_bytes(before)
        raise


if __name__ == "__main__":
    sys.exit(main())
