"""What a stack uses while it does nothing."""

import time

from bench.figures import shown
from bench.node import api_requests, summaries, transactions, uses
from bench.report import Table
from bench.timed import say
from ops.lib.kubectl import Cluster

_NAMESPACE = "flyte"


def measure(cluster: Cluster, period: float, quiet: float) -> Table:
    """The table of memory, CPU time and requests of a stack at rest.

    Args:
        cluster: cluster with the stack.
        period: seconds for which it is watched.
        quiet: requests to the API server per minute before there was a stack.
    """
    say(f"at rest: watching for {period:.0f} s")
    begin = time.monotonic()
    before, asked, written = uses(summaries(cluster), _NAMESPACE), _asked(cluster), transactions(cluster)
    time.sleep(period)
    after, elapsed = uses(summaries(cluster), _NAMESPACE), time.monotonic() - begin
    minutes = elapsed / 60
    rows, memory, cpu = [], 0.0, 0.0
    for pod in sorted(after.keys() & before.keys()):
        spent = (after[pod].cpu - before[pod].cpu) / elapsed * 1000
        memory, cpu = memory + after[pod].memory, cpu + spent
        rows.append([pod, f"{shown(after[pod].memory)} MiB", f"{shown(spent)} m", ""])
    rows.append(["**all**", f"{shown(memory)} MiB", f"{shown(cpu)} m", ""])
    requests = (_asked(cluster) - asked) / minutes
    rows.append(["API server", "", "", f"{requests - quiet:.0f} requests per minute ({quiet:.0f} without the stack)"])
    rows.append(["database", "", "", f"{(transactions(cluster) - written) / minutes:.0f} transactions per minute"])
    return Table("idle", ("what", "memory", "CPU", "requests"), rows, "make bench PARTS=idle")


def requests_per_minute(cluster: Cluster, period: float) -> float:
    """Requests to the API server per minute, over ``period`` seconds."""
    begin, asked = time.monotonic(), _asked(cluster)
    time.sleep(period)
    return (_asked(cluster) - asked) / (time.monotonic() - begin) * 60


def _asked(cluster: Cluster) -> float:
    return api_requests(cluster.ask("get", "--raw", "/metrics"))
