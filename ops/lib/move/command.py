"""The command line of a move."""

import argparse
import sys
from collections.abc import Callable

from ops.lib.engine import engine_environment, pulumi
from ops.lib.kubectl import Cluster
from ops.lib.move.moving import Moving, check_other_moves, move
from ops.lib.move.record import Part
from ops.lib.stack_file import stack_config
from ops.lib.state import open_state
from ops.lib.update import prepare
from ops.lib.volumes import Stack
from ops.up import deploy
from settings import settings_from
from settings.errors import SettingsError


def run_move(part: Part, about: str | None, moving: Callable[[Stack], Moving]) -> int:
    """Run the command line of ``make move-PART``; return its exit code.

    Args:
        part: what moves.
        about: the documentation of the command.
        moving: returns the move of a stack, as it is now.
    """
    parser = argparse.ArgumentParser(prog=f"move_{part}", description=about.splitlines()[0] if about else None)
    parser.add_argument("stack")
    args = parser.parse_args()
    try:
        settings = settings_from(*stack_config(args.stack))
        environment = engine_environment()
        cluster = Cluster.of(settings.context, settings.kubeconfig)
        cluster.check_is(settings.cluster_uid, args.stack)
        stack = Stack(args.stack, settings, cluster, environment)
        # Before an update that another process runs for its own move is taken for one that was killed.
        check_other_moves(stack, part)
        backend = open_state(environment, args.stack)
        pulumi(environment, "stack", "select", args.stack)
        prepare(environment, backend, args.stack, settings, "up", empty=False, moving=part)

        def update() -> int:
            options = ("--skip-preview",)
            return deploy(environment, backend, args.stack, settings, cluster, *options, again=f"move-{part}")

        move(stack, lambda: moving(stack), update)
    except SettingsError as error:
        print(f"STOPPED  {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"STOPPED  interrupted; make move-{part} STACK={args.stack} goes on", file=sys.stderr)
        return 130
    return 0
