"""The check of the executions: whether the database and the cluster agree on which are running."""

from collections.abc import Iterator

from ops.doctor.check import Result, ok, remark, wrong
from ops.doctor.flyte_api import logs
from ops.doctor.stack import Stack
from ops.lib.flyte_rest import FlyteError
from ops.lib.stuck import find_all_stuck, places

# Stuck executions that are named.
_NAMED = 3


def check_stuck(stack: Stack) -> Iterator[Result]:
    """Check that every running execution has a FlyteWorkflow, and every FlyteWorkflow a running execution."""
    try:
        found = list(find_all_stuck(stack.cluster, stack.client, places(stack.client, stack.settings)))
    except FlyteError as error:
        yield wrong(str(error), logs(stack))
        return
    if not found:
        yield ok("none is stuck")
        return
    named = ", ".join(map(str, found[:_NAMED]))
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    yield remark(
        f"{len(found)} will never end by {'itself' if len(found) == 1 else 'themselves'}: {named}{more}",
        f"make abort-stuck STACK={stack.name}",
    )
