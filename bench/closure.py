"""A workflow of hundreds of nodes, with its definition inside the FlyteWorkflow object and in the object store."""

from collections.abc import Mapping
from typing import Any

from bench import life, workflows
from bench.executions import ENDED, NAMESPACE, total
from bench.figures import figure, shown
from bench.node import workflow_bytes
from bench.report import Table
from bench.timed import say
from ops.lib.kubectl import Cluster
from settings.merge import merged

_LIMIT = 600.0


def measure(cluster: Cluster, runs: int, image: str, more: Mapping[str, Any]) -> Table:
    """The table of both ways, each with ``runs`` executions after one that fills the cache."""
    rows = []
    for offloaded in (False, True):
        inline = {"flyteadmin": {"useOffloadedWorkflowClosure": offloaded}}
        settings = merged(dict(more), {"flyteValues": {"configuration": {"inline": inline}}})
        with (
            life.deployed(cluster, settings, {}) as deployed,
            workflows.reached(deployed, cluster, image) as flows,
        ):
            flows.wait(flows.start("cached"), _LIMIT)
            sizes, times = [], []
            for turn in range(runs):
                name, largest = flows.start("wide"), 0
                while flows.closure(name)["phase"] not in ENDED:
                    largest = max(largest, workflow_bytes(cluster, NAMESPACE, name))
                times.append(total(flows.wait(name, _LIMIT)))
                sizes.append(largest / 1024)
                say(f"offloaded: {offloaded}, {turn + 1}/{runs}: {times[-1]:.1f} s, at most {largest} bytes")
        took, size = figure(times), figure(sizes)
        rows.append(
            [str(offloaded).lower(), f"{shown(size.median)} KiB", f"{shown(took.median)} s", took.spread, str(runs)]
        )
    head = ("useOffloadedWorkflowClosure", "largest FlyteWorkflow", "time, median", "spread", "runs")
    return Table("closure", head, rows, "make bench PARTS=closure")
