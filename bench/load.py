"""``make load``: starts workflows at a rate on a stack of its own, and shows how the stack copes.

Usage: python -m bench.load --context NAME --rate N --for SECONDS [--flow one] [--image IMAGE] [--settings FILE]
       [--plot FILE]

While it runs, a line every ten seconds says how many executions have started, ended and failed. At the end it prints
the times from the start of an execution to its end, and how memory and the database have grown.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench import life, workflows
from bench.ending import end_in_order
from bench.executions import ENDED, Flows, total
from bench.figures import figure, percentile, shown
from bench.node import database_bytes, summaries, uses
from bench.plot import plot
from bench.settings import further_settings
from bench.timed import say
from ops.lib.example_workflow import ExampleError
from ops.lib.flyte_rest import FlyteError, ask
from ops.lib.kubectl import Cluster
from settings.errors import SettingsError

_PERIOD = 10.0
_PAGE = 200
# Seconds to wait for the last executions.
_PATIENCE = 600.0
_STARTERS = 8


@dataclass
class Load:
    """What a load has done so far."""

    started: int = 0
    refused: int = 0
    """Executions that Flyte did not accept."""
    samples: list[tuple[float, int, int]] = field(default_factory=list)
    """Seconds since the begin, and the numbers of started and of ended executions, every ten seconds."""
    use: list[dict[str, float]] = field(default_factory=list)
    """MiB of each pod and of the database, every ten seconds."""
    executions: list[dict[str, Any]] = field(default_factory=list)
    """The executions as Flyte lists them."""

    @property
    def times(self) -> list[float]:
        """Seconds that the successful executions took."""
        return [total(one["closure"]) for one in self.executions if one["closure"]["phase"] == "SUCCEEDED"]

    @property
    def failed(self) -> int:
        """Number of executions that ended without success."""
        return sum(one["closure"]["phase"] in ENDED - {"SUCCEEDED"} for one in self.executions)

    @property
    def ended(self) -> int:
        """Number of executions that have ended."""
        return sum(one["closure"]["phase"] in ENDED for one in self.executions)


def run(flows: Flows, cluster: Cluster, flow: str, rate: float, length: float) -> Load:
    """Start ``rate`` executions a minute for ``length`` seconds, and wait until they have ended."""
    load, begin, looked = Load(), time.monotonic(), 0.0
    futures: list[Future[str]] = []
    with ThreadPoolExecutor(_STARTERS) as starters:
        while True:
            elapsed = time.monotonic() - begin
            while len(futures) < min(elapsed, length) * rate / 60:
                futures.append(starters.submit(flows.start, flow))
            if elapsed - looked >= _PERIOD:
                looked = elapsed
                _look(load, flows, cluster, futures, elapsed)
                if (elapsed > length and load.ended >= load.started) or elapsed > length + _PATIENCE:
                    return load
            time.sleep(min(0.1, 6 / rate))


def _look(load: Load, flows: Flows, cluster: Cluster, futures: Sequence[Future[str]], elapsed: float) -> None:
    """Take a sample, and show it."""
    done = [one for one in futures if one.done()]
    load.refused = sum(one.exception() is not None for one in done)
    load.started = len(done) - load.refused
    load.executions = listed(flows)
    load.samples.append((elapsed, load.started, load.ended))
    memory = {name.split("-")[0]: use.memory for name, use in uses(summaries(cluster), "flyte").items()}
    load.use.append({**memory, "rows": database_bytes(cluster) / 2**20})
    say(
        f"{elapsed:.0f} s: {load.started} started, {load.ended} ended, {load.failed} failed, {load.refused} refused, "
        f"{load.started - load.ended} running"
    )


def listed(flows: Flows) -> list[dict[str, Any]]:
    """All executions of the bench's project.

    Raises:
        FlyteError: Flyte does not answer.
    """
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        query = urlencode({"limit": _PAGE, "token": token, "sort_by.key": "created_at"})
        answer = ask(flows.client, "GET", f"/api/v1/executions/{life.PROJECT_NAME}/{life.DOMAIN}?{query}")
        found += answer.get("executions") or []
        token = answer.get("token", "")
        if not token:
            return found


def summary(load: Load) -> list[str]:
    """The lines at the end: numbers, times, and growth."""
    lines = [f"{load.started} started, {load.ended} ended, {load.failed} failed, {load.refused} refused"]
    if times := load.times:
        one = figure(times)
        points = ", ".join(f"p{percent} {shown(percentile(times, percent))} s" for percent in (50, 90, 95, 99))
        lines.append(f"from start to end: {points}, {one.spread} s")
    if load.samples:
        elapsed, _, ended = load.samples[-1]
        lines.append(f"throughput: {shown(ended / elapsed * 60)} executions per minute")
    if load.use:
        first, last = load.use[0], load.use[-1]
        growth = ", ".join(f"{name} {shown(first[name])} to {shown(last.get(name, 0))}" for name in sorted(first))
        lines.append(f"MiB at the first and the last look: {growth}")
    return lines


def picture(load: Load, title: str) -> str:
    """The plot of started, ended and running executions."""
    return plot(
        title,
        "seconds",
        {
            "started": [(elapsed, started) for elapsed, started, _ in load.samples],
            "ended": [(elapsed, ended) for elapsed, _, ended in load.samples],
            "running": [(elapsed, started - ended) for elapsed, started, ended in load.samples],
        },
    )


def main() -> int:
    """Run the command line; return 0 if every execution succeeded, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="load", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--context", required=True, help="kubeconfig context of a cluster without a Flyte")
    parser.add_argument("--rate", type=float, required=True, help="executions per minute")
    parser.add_argument("--for", type=float, required=True, dest="length", help="seconds")
    parser.add_argument("--flow", default="one", choices=("one", "chain", "cached"), help="workflow of bench/flows.py")
    parser.add_argument("--image", default="", help="image of the tasks; default: flytekit's own")
    parser.add_argument("--settings", default="", help="YAML file with further settings of the stack, such as images")
    parser.add_argument("--plot", default="load.svg", help="file for the plot")
    args = parser.parse_args()
    end_in_order()
    try:
        if args.rate <= 0 or args.length <= 0:
            raise SettingsError("RATE and FOR: write how many executions a minute for how many seconds, such as 30 120")
        cluster = Cluster.of(args.context)
        with (
            life.deployed(cluster, further_settings(args.settings), {}) as deployed,
            workflows.reached(deployed, cluster, args.image) as flows,
        ):
            load = run(flows, cluster, args.flow, args.rate, args.length)
    except (SettingsError, ExampleError, FlyteError) as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(summary(load)))
    Path(args.plot).write_text(picture(load, f"{args.flow}: {args.rate:.0f} per minute for {args.length:.0f} s"))
    print(f"plot: {args.plot}")
    return 0 if load.ended == load.started and not load.failed and not load.refused else 1


if __name__ == "__main__":
    sys.exit(main())
