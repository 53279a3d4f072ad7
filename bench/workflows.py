"""How long workflows take, and which part of a task takes how long."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.executions import NEXT, PARTS, Flows, parts, pods, register, total
from bench.figures import figure, shown
from bench.node import pods_cpu, summaries
from bench.program import STACK, Program
from bench.report import Table
from bench.timed import say
from ops.lib.client import Client
from ops.lib.forwards import Forwards
from ops.lib.kubectl import Cluster
from ops.lib.port_holder import ForwardError
from ops.lib.stack_file import stack_config
from settings import settings_from
from settings.errors import SettingsError

_LIMIT = 900.0
_MAP = 50
_AT_ONCE = 20


@contextmanager
def reached(program: Program, cluster: Cluster, image: str) -> Iterator[Flows]:
    """The registered workflows of a stack, which is within reach inside the context.

    Raises:
        SettingsError: the stack cannot be reached, or its workflows cannot be registered.
    """
    settings = settings_from(*stack_config(STACK, program.folder))
    client = Client.of(settings)
    forwards = Forwards("make bench", STACK, settings.cluster_uid, cluster, settings.namespace, client)
    try:
        with forwards:
            forwards.check_free()
            for forward in forwards.forwards:
                forwards.open(forward)
            yield register(client, image)
    except ForwardError as error:
        raise SettingsError(str(error)) from None


def measure(flows: Flows, cluster: Cluster, runs: int) -> list[Table]:
    """The tables of the workflows and of their parts, each workflow ``runs`` times after one that is not counted."""
    rows, found = [], []
    for name, label in (("one", "one task"), ("chain", "a chain of five"), ("cached", "a task with a cached result")):
        times = []
        for turn in range(runs + 1):
            execution = flows.start(name)
            took = total(flows.wait(execution, _LIMIT))
            say(f"{label}, {turn}/{runs}: {took:.1f} s")
            if turn:
                times.append(took)
                if name != "cached":
                    found.append(parts(pods(cluster, execution), flows.nodes(execution), flows.begins(execution)))
        rows.append(_row(label, times))
    rows.append(_map(flows, cluster, runs))
    rows.append(_at_once(flows, runs))
    both = (*PARTS, NEXT)
    merged = {part: [value for one in found for value in one[part]] for part in both}
    steps = [_row(part, merged[part]) for part in both]
    head = ("median", "p95", "spread", "number")
    return [
        Table("workflows", ("workflow", *head), rows, "make bench PARTS=workflows"),
        Table("parts", ("part of a task", *head), steps, "make bench PARTS=workflows"),
    ]


def _map(flows: Flows, cluster: Cluster, runs: int) -> list[str]:
    """The row of a map, with the share of its time in which the cores were busy with pods."""
    times, busy = [], []
    for turn in range(runs):
        before = pods_cpu(summaries(cluster))
        took = total(flows.wait(flows.start("many", range(_MAP)), _LIMIT))
        spent = pods_cpu(summaries(cluster)) - before
        say(f"a map of {_MAP}, {turn + 1}/{runs}: {took:.1f} s, {spent:.0f} s of CPU time in pods")
        times.append(took)
        busy.append(spent / (os.cpu_count() or 1))
    return _row(f"a map of {_MAP} ({shown(figure(busy).median)} s of CPU time per core in pods)", times)


def _at_once(flows: Flows, runs: int) -> list[str]:
    """The row of many executions at once: the time of each of them."""
    times = []
    for turn in range(runs):
        names = [flows.start("one") for _ in range(_AT_ONCE)]
        took = [total(flows.wait(name, _LIMIT)) for name in names]
        say(f"{_AT_ONCE} at once, {turn + 1}/{runs}: the last one after {max(took):.1f} s")
        times += took
    return _row(f"{_AT_ONCE} with one task at once, each", times)


def _row(label: str, times: Sequence[float]) -> list[str]:
    one = figure(times)
    return [label, f"{shown(one.median)} s", f"{shown(one.p95)} s", one.spread, str(one.count)]
