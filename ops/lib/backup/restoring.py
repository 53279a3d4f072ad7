"""A restore: what stands in the way of it, its steps, and the way back if the stack does not work afterwards."""

import io
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from components.backup import names
from components.flyte import names as flyte
from ops.lib.backup.jobs import Job
from ops.lib.backup.sets import check_has_backup, chosen, listed, take
from ops.lib.database import Database
from ops.lib.database_client import deployed_client
from ops.lib.database_mode import content, external_content
from ops.lib.flyte_rest import FlyteError
from ops.lib.move.record import check_no_move
from ops.lib.reached import flyte_within_reach
from ops.lib.stuck import end_all_stuck, places
from ops.lib.text import one_line
from ops.lib.volumes import Stack, start_flyte, stop_flyte
from paths import ROOT
from settings.errors import SettingsError

_CAUSE = "It was running when the backup was made that has been restored."
# What a restore replaces: a database where the stack has the superuser (True), a schema where it has only the owner.
_FORGET = {
    True: "DROP DATABASE IF EXISTS flyte_replaced WITH (FORCE)",
    False: "SET client_min_messages = warning; DROP SCHEMA IF EXISTS flyte_replaced CASCADE",
}
_REPLACED = {
    True: "SELECT 1 FROM pg_database WHERE datname = 'flyte_replaced'",
    False: "SELECT 1 FROM pg_namespace WHERE nspname = 'flyte_replaced'",
}
_EXCHANGE = {
    True: """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ('flyte', 'flyte_replaced');
BEGIN;
ALTER DATABASE flyte RENAME TO flyte_restored;
ALTER DATABASE flyte_replaced RENAME TO flyte;
COMMIT;
DROP DATABASE flyte_restored WITH (FORCE);
""",
    False: """
BEGIN;
ALTER SCHEMA public RENAME TO flyte_restored;
ALTER SCHEMA flyte_replaced RENAME TO public;
COMMIT;
SET client_min_messages = warning;
DROP SCHEMA flyte_restored CASCADE;
""",
}
# Whatever began after Flyte's start has a FlyteWorkflow.
_GRACE = timedelta(seconds=20)
_READY_SECONDS = 300


@dataclass(frozen=True)
class Wishes:
    """What the user allows."""

    at: str = "latest"
    """The set: ``latest``, or the beginning of its id or of its time."""
    over: bool = False
    """Whether a database that has content may be replaced."""
    restore_point: bool = True
    """Whether what is there is backed up first. Without it, there is no way back."""
    missed_schedules: bool = False
    """Whether Flyte starts what its schedules have missed since the set was made."""


def restore(stack: Stack, wishes: Wishes, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Restore a set into a stack, check the stack, and go back if it does not work; return what was restored.

    The set is fetched and verified, and its database is restored beside Flyte's, before anything is touched.

    Raises:
        SettingsError: it is not allowed, or failed. The message says what the stack is like now.
    """
    check_has_backup(stack.settings, stack.name)
    check_no_move(stack.cluster, stack.settings.namespace, stack.name)
    content = _content(stack)
    # Before the restore point, which would be the newest.
    wanted = chosen(listed(stack.settings, stack.cluster, io.StringIO())[0], wishes.at, stack.name)
    point = _restore_point(stack, wishes, content, say)
    say(f"restoring the set {wanted.short} of {wanted.time:%Y-%m-%d %H:%M} UTC")
    _sql(stack, _FORGET)  # of an earlier restore that was killed; the restore point has what is there now
    try:
        result = _job(stack, wanted.id, missed=wishes.missed_schedules).run()
        say("starting Flyte, and ending what was running when the set was made")
        start_flyte(stack)
        _settle(stack, say)
        check_works(stack)
    except (SettingsError, KeyboardInterrupt) as error:
        why = str(error) or "interrupted"
        if content:
            raise SettingsError(f"{why}\n{_back(stack, point, say)}") from None
        start_flyte(stack)
        raise SettingsError(f"{why}\nThe stack had no data before, and may have part of the set now") from None
    _sql(stack, _FORGET)
    return result


def _content(stack: Stack) -> str:
    """Return what the database has, for a message; empty if it has nothing that could be lost.

    Raises:
        SettingsError: the server does not run.
    """
    if stack.settings.postgres.mode != "bundled":
        with deployed_client(stack.cluster, stack.settings) as client:
            return external_content(client)
    database = Database(stack.cluster, stack.settings.namespace)
    if database.major() is None:
        raise SettingsError(
            f"the server of the database does not run; a restore needs it: make doctor STACK={stack.name} says why"
        )
    return content(database)


def _restore_point(stack: Stack, wishes: Wishes, content: str, say: Callable[[str], None]) -> str:
    """Back up what is there; return the id of the set, empty if there is nothing to lose."""
    if not content:
        return ""
    if not wishes.over:
        raise SettingsError(
            f"stack {stack.name!r} has {content}; nothing was changed. To replace that by the set, write "
            f"make restore AT={wishes.at} OVER=yes STACK={stack.name}"
        )
    if not wishes.restore_point:
        return ""
    say(f"restore point: backing up what is there, {content}")
    try:
        return take(stack.name, stack.settings, stack.cluster, "before-restore")
    except SettingsError as error:
        raise SettingsError(
            f"{error}\nWhat is there cannot be backed up, and nothing was changed. To restore nevertheless, without a "
            f"way back, write make restore AT={wishes.at} OVER=yes RESTORE_POINT=no STACK={stack.name}"
        ) from None


def _job(stack: Stack, at: str, missed: bool = False, objects_only: bool = False) -> Job:
    variables = {
        "AT": at,
        "RUN_MISSED_SCHEDULES": str(missed).lower(),
        "OBJECTS_ONLY": str(objects_only).lower(),
    }

    def begins(step: str) -> None:
        # All that could fail without harm has succeeded by then.
        if step == "objects":
            stop_flyte(stack)

    return Job(stack.cluster, stack.settings.namespace, names.RESTORE, variables, removed=True, begins=begins)


def _settle(stack: Stack, say: Callable[[str], None]) -> None:
    """Wait for Flyte, and end the executions that nothing runs any more."""
    deployment = f"deployment/{flyte.RELEASE}"
    wait = [f"--namespace={stack.settings.namespace}", f"--timeout={_READY_SECONDS}s"]
    answer = stack.cluster.run("rollout", "status", deployment, *wait, seconds=_READY_SECONDS + 5)
    if answer.returncode:
        raise SettingsError(f"Flyte does not start with the restored database: {one_line(answer.stderr)}")
    settings, cluster = stack.settings, stack.cluster
    try:
        with flyte_within_reach(stack.name, settings, cluster, f"make restore STACK={stack.name}") as client:
            for stuck in end_all_stuck(cluster, client, places(client, settings), _GRACE, _CAUSE):
                say(f"  ended {stuck}")
    except FlyteError as error:
        raise SettingsError(str(error)) from None


def check_works(stack: Stack) -> None:
    """Run the doctor and the example workflow.

    Raises:
        SettingsError: the stack does not work.
    """
    command = [sys.executable, "-m", "ops.smoke", stack.name]
    if subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode:
        raise SettingsError("the stack does not work, as said above")


def _back(stack: Stack, point: str, say: Callable[[str], None]) -> str:
    """Put back what was there before, as far as it was replaced; return what the stack is like now.

    A database that was replaced takes its place again, and the objects of the restore point go into the store.
    """
    try:
        if not _sql(stack, _REPLACED):
            return "The database of Flyte is as it was"
        say("going back to what was there before")
        stop_flyte(stack)
        _sql(stack, _EXCHANGE)
        if point:
            _job(stack, point, objects_only=True).run()
        return "The stack is as it was before the restore"
    except SettingsError as error:
        kept = f"; the set {point[:8]} is what was there before" if point else ""
        return f"Going back has failed as well: {error}{kept}"
    finally:
        start_flyte(stack)


def _sql(stack: Stack, statements: Mapping[bool, str]) -> str:
    """Return the output of statements: those for the bundled server, or those for another one."""
    bundled = stack.settings.postgres.mode == "bundled"
    if not bundled:
        with deployed_client(stack.cluster, stack.settings) as client:
            return client.sql(statements[bundled])
    pod = ["exec", "--stdin", "postgres-0", f"--namespace={stack.settings.namespace}", "--container=postgres"]
    psql = ["psql", "--username=postgres", "--dbname=postgres", "-XqAt", "--set=ON_ERROR_STOP=1"]
    answer = stack.cluster.run(*pod, "--", *psql, given=statements[bundled], seconds=60)
    if answer.returncode:
        raise SettingsError(f"the database rejects a step of the restore: {one_line(answer.stderr)}")
    return answer.stdout.strip()
