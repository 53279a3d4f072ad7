"""How long the program takes: previews, compared with those of plain ConfigMaps and of an empty program."""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from bench.figures import figure, shown
from bench.report import Table
from bench.timed import Run, say, timed
from components.flyte.archive import chart_archive
from ops.lib.engine import bare_environment
from ops.lib.kubectl import Cluster
from ops.lib.recorder import record
from paths import ROOT
from settings import PROJECT
from settings.chart import ChartSettings

STACK = "bench"
_SAMPLE = '{"token": "made up"}'
_PARTS = ("settings", "components", "charts", "scripts", "ops")
_FILES = ("__main__.py", "paths.py", "Pulumi.yaml", "requirements.txt", "pyproject.toml")
_PLAIN = """name: plain
runtime: {name: python, options: {toolchain: pip, virtualenv: .venv}}
"""
_CONFIG_MAPS = """import pulumi
import pulumi_kubernetes as k8s

provider = k8s.Provider("provider", context={context!r}, kubeconfig={kubeconfig!r})
for number in range({count}):
    k8s.core.v1.ConfigMap(f"map-{{number}}", data={{"key": "value"}}, opts=pulumi.ResourceOptions(provider=provider))
"""


@dataclass(frozen=True)
class Program:
    """A Pulumi project with its own state, and the stack `bench` in it."""

    folder: Path

    def pulumi(self, *arguments: str) -> Run:
        """Run a Pulumi command and measure it.

        Raises:
            SettingsError: it failed.
        """
        return timed(
            ["pulumi", *arguments, "--stack", STACK, "--non-interactive"], self.folder, bare_environment() | self.place
        )

    @property
    def place(self) -> dict[str, str]:
        """Environment variables for the state, which contains only what was made up for the measurement."""
        return {
            "PULUMI_BACKEND_URL": f"file://{self.folder}",
            "PULUMI_CONFIG_PASSPHRASE": "only-for-measurements",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }

    def configure(self, config: Mapping[str, Any]) -> None:
        """Write the stack file."""
        (self.folder / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump({"config": dict(config)}))


@contextmanager
def projects() -> Iterator[Path]:
    """A folder for Pulumi projects that exists inside the context."""
    with TemporaryDirectory(prefix="flyte-home-bench-") as folder:
        yield Path(folder)


def stack_file(cluster: Cluster, names: Sequence[str], more: Mapping[str, Any]) -> dict[str, Any]:
    """The stack file of a stack with these projects, and ``more`` settings, on a cluster."""
    asked = [{"name": name, "taskSecrets": ["tidal-creds"]} for name in names]
    return {
        "kubernetes:context": cluster.context,
        "kubernetes:kubeconfig": cluster.kubeconfig,
        f"{PROJECT}:clusterUid": cluster.uid(),
        f"{PROJECT}:projects": asked,
        **{f"{PROJECT}:{key}": value for key, value in more.items()},
    }


def flyte_home(folder: Path, config: Mapping[str, Any]) -> Program:
    """A copy of this program in ``folder``, with this stack file and a sample for the task secret."""
    folder.mkdir()
    for name in _FILES:
        shutil.copy(ROOT / name, folder)
    for name in _PARTS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    chart_archive(ChartSettings().pin, cache=folder / ".charts")
    (folder / ".venv").symlink_to(sys.prefix)
    program = Program(folder)
    program.pulumi("stack", "init")
    program.configure(config)
    program.pulumi("config", "set", "--secret", f"{PROJECT}:tidalCreds", _SAMPLE)
    return program


def plain(folder: Path, source: str) -> Program:
    """A program with this source."""
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text(_PLAIN)
    (folder / "__main__.py").write_text(source)
    (folder / ".venv").symlink_to(sys.prefix)
    program = Program(folder)
    program.pulumi("stack", "init")
    return program


def config_maps(folder: Path, cluster: Cluster, count: int) -> Program:
    """A program with ``count`` resources, all but two of them ConfigMaps."""
    return plain(
        folder, _CONFIG_MAPS.format(context=cluster.context, kubeconfig=cluster.kubeconfig, count=max(0, count - 2))
    )


def resources(config: Mapping[str, Any]) -> int:
    """Number of resources of a stack, with the stack itself."""
    text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    text[f"{PROJECT}:tidalCreds"] = _SAMPLE
    return len(record(text, {f"{PROJECT}:tidalCreds"}, STACK).resources) + 1


def measure(cluster: Cluster, sizes: Sequence[int], runs: int, more: Mapping[str, Any]) -> Table:
    """The table of previews: this program, as many ConfigMaps, and an empty program, each ``runs`` times in turn."""
    rows = []
    for size in sizes:
        config = stack_file(cluster, [f"project-{number}" for number in range(size)], more)
        with projects() as folder:
            count = resources(config)
            programs = {
                "an empty program": plain(folder / "empty", "import pulumi\n"),
                "ConfigMaps": config_maps(folder / "maps", cluster, count),
                "flyte-home": flyte_home(folder / "own", config),
            }
            found: dict[str, list[Run]] = {name: [] for name in programs}
            for turn in range(runs + 1):
                for name, program in programs.items():
                    run = program.pulumi("preview")
                    say(f"preview, {size} x 3, {name}, {turn}/{runs}: {run.wall:.1f} s, {run.cpu:.1f} s of CPU time")
                    if turn:  # the first one compiles bytecode
                        found[name].append(run)
        rows += _rows(size, count, found)
    return Table(
        "program",
        (
            "projects x 3",
            "resources",
            "program",
            "wall, median (spread)",
            "CPU, median (spread)",
            "wall",
            "CPU",
            "load",
        ),
        rows,
        "make bench PARTS=program",
    )


def _rows(size: int, count: int, found: Mapping[str, Sequence[Run]]) -> list[list[str]]:
    """The rows of one size, with the ratio to the ConfigMaps."""
    base = {kind: figure([getattr(run, kind) for run in found["ConfigMaps"]]).median for kind in ("wall", "cpu")}
    rows = []
    for name, runs in found.items():
        row = [str(size), str(count) if name != "an empty program" else "1", name]
        figures = {kind: figure([getattr(run, kind) for run in runs]) for kind in ("wall", "cpu")}
        row += [f"{shown(one.median)} s ({one.spread})" for one in figures.values()]
        row += [f"{one.median / base[kind]:.2f} x" for kind, one in figures.items()]
        rows.append([*row, f"{os.getloadavg()[0]:.1f}"])
    return rows
