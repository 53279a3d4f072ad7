"""An update of a stack, by ``pulumi up`` or ``pulumi destroy``: what comes before it, and what is shown meanwhile."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from ops.lib.database_mode import check_database
from ops.lib.definitions import check_definitions
from ops.lib.destruction import Destruction
from ops.lib.engine import REFRESH, run
from ops.lib.kubectl import Cluster
from ops.lib.move.record import Part, check_no_move
from ops.lib.operator_check import check_operator
from ops.lib.recovery import adopt_half_made, await_deletions, check_safekeeping, check_volumes, restore_release
from ops.lib.state import State, last_update, release_lock
from ops.lib.store_mode import check_store
from ops.lib.watch import Watch
from settings import Settings
from settings.errors import SettingsError


def prepare(
    environment: Mapping[str, str],
    backend: Path | None,
    stack: str,
    settings: Settings,
    command: Literal["up", "destroy"],
    empty: bool,
    *,
    database_moved: bool = False,
    store_moved: bool = False,
    moving: Part | None = None,
) -> Cluster:
    """Put in order what a killed update has left; return the cluster of the stack.

    Args:
        environment: environment of Pulumi.
        backend: folder of the state, see `ops.lib.state.open_state`.
        stack: name of the stack.
        settings: settings of the stack.
        command: what comes next.
        empty: whether a volume that has disappeared may be replaced by an empty one.
        database_moved: whether another database may take the place of the one with the rows, because it has them.
        store_moved: whether another object store may take the place of the one with the data, because it has it.
        moving: what the command is about to move itself; the settings may choose another one.

    Raises:
        SettingsError: the update cannot begin.
    """
    cluster = Cluster.of(settings.context, settings.kubeconfig)
    cluster.check_is(settings.cluster_uid, stack)
    if command == "up":
        if not moving:
            check_no_move(cluster, settings.namespace, stack)
        check_definitions(cluster, settings)
        check_operator(cluster, settings)
    began = release_lock(environment, stack, backend)
    state = State.of(environment, stack)
    if state.interrupted or command == "destroy":
        # What follows uses the providers as they were at the last update.
        for context, kubeconfig in state.clusters:
            Cluster(context, str(Path(kubeconfig).expanduser())).check_is(settings.cluster_uid, stack)
    if state.interrupted:
        adopt_half_made(environment, stack, state, cluster, began or last_update(environment, stack))
    if command == "destroy":
        check_safekeeping(state, settings, stack)
    else:
        if moving != "store":
            check_store(state, settings, stack, store_moved)
        await_deletions(cluster, settings.namespaces)
        if not empty:
            check_volumes(state, cluster, stack)
        check_database(environment, state, cluster, settings, stack, database_moved, moving == "database")
    return cluster


def perform(
    environment: Mapping[str, str],
    stack: str,
    command: Literal["up", "destroy"],
    watched: Watch | Destruction,
    *options: str,
) -> int:
    """Run the update, and print what it waits for; return Pulumi's exit code.

    On a terminal it shows a preview first, and asks, unless an option is ``--skip-preview``. Pulumi's own question
    would come with its live display, which overwrites what others print.

    Raises:
        SettingsError: the user does not agree, or the cluster does not answer.
    """
    # The program cannot run with half of its objects, as after a destroy that was killed. `prepare` has compared the
    # clusters instead.
    refresh = REFRESH if command == "up" else ("--refresh",)
    if sys.stdin.isatty() and "--skip-preview" not in options:
        preview = ["preview"] if command == "up" else ["destroy", "--preview-only"]
        if code := run(environment, stack, *preview, *refresh, *options):
            return code
        ask(command, stack)
        options = (*options, "--skip-preview")
    if command == "up":
        restore_release(watched.cluster, watched.namespace)

    plain = ("--yes", "--non-interactive", "--suppress-progress")
    return run(environment, stack, command, *refresh, *options, *plain, meanwhile=watched.during)


def ask(command: str, stack: str) -> None:
    """Ask the user on the terminal whether to go on.

    Raises:
        SettingsError: the user does not agree.
    """
    try:
        agreed = input(f"{command} {stack}: perform these changes? [y/N] ").strip().lower() in {"y", "yes"}
    except (EOFError, KeyboardInterrupt):
        agreed = False
    if not agreed:
        raise SettingsError("Nothing was changed")
