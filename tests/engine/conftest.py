"""The real engine: Pulumi's command line and plugins, with a copy of the program and its own state."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi import automation as auto

from paths import ROOT
from settings import PROJECT
from tests.conftest import SECRET_SETTINGS
from tests.helm import archive
from tests.kubectl import HALF_COMPILED
from tests.processes import workspace
from tests.tools import require

# Also the passphrase of the states in the folder `states`, which contain no real credentials.
PASSPHRASE = "only-for-tests"
STACK = "dev"
_PLUGINS = ("kubernetes", "random")


@dataclass(frozen=True)
class Cluster:
    """The cluster a stack is deployed to, and the settings that this cluster needs (images, storage classes)."""

    kubeconfig: Path
    context: str
    uid: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[str, str, str]:
        """The values that differ between states of the same stack on different clusters."""
        return str(self.kubeconfig), self.uid, self.context


@dataclass(frozen=True)
class Step:
    """An operation that the engine performs, or would perform, on a resource."""

    operation: str
    urn: str

    @property
    def name(self) -> str:
        """Kind and name, such as ``StatefulSet:postgres``."""
        type_, name = self.urn.split("::")[2:4]
        return f"{type_.rsplit(':', 1)[-1]}:{name}"


class Steps:
    """Records every step of the engine."""

    def __init__(self) -> None:
        self.all: list[Step] = []

    def __call__(self, event: auto.EngineEvent) -> None:
        # A refresh reports only afterwards whether a resource has changed; the other operations report it in advance.
        for found in (event.resource_pre_event, event.res_outputs_event):
            if found:
                metadata = found.metadata
                self.all.append(Step(getattr(metadata.op, "value", metadata.op), metadata.urn))

    @property
    def changes(self) -> set[tuple[str, str]]:
        """Operation and name of every change, except for changes of the stack itself."""
        return {
            (step.operation, step.name)
            for step in self.all
            if step.operation not in {"same", "read", "refresh"} and not step.name.startswith("Stack:")
        }


@dataclass(frozen=True)
class Project:
    """A copy of the program that stores its stacks in its own folder."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables for running `pulumi` in this project."""
        return {
            "PULUMI_BACKEND_URL": f"file://{self.folder}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }

    def stack(self, cluster: Cluster, **settings: Any) -> auto.Stack:
        """The stack, with the smallest valid configuration for ``cluster`` plus these settings."""
        options = auto.LocalWorkspaceOptions(env_vars=self.environment)
        found = auto.create_or_select_stack(STACK, work_dir=str(self.folder), opts=options)
        self.configure(
            found,
            **{
                "kubernetes:context": cluster.context,
                "kubernetes:kubeconfig": str(cluster.kubeconfig),
                "clusterUid": cluster.uid,
                "chart": {"archive": str(archive())},
                "projects": [{"name": "remedy", "taskSecrets": ["tidal-creds"]}],
                "tidalCreds": '{"token": "planted-tidal-token"}',
                **cluster.settings,
                **settings,
            },
        )
        return found

    def state(self) -> dict[str, Any]:
        """The state of the stack as it is stored. The export of the Automation API would decrypt its secrets."""
        command = [require("pulumi"), "stack", "export", "--stack", STACK, "--non-interactive"]
        environment = os.environ | self.environment
        answer = subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True, check=True)
        return json.loads(answer.stdout)["deployment"]

    def configure(self, stack: auto.Stack, **settings: Any) -> None:
        """Change these settings; ``__`` in a name stands for ``-``, and None removes the setting."""
        file = self.folder / f"Pulumi.{STACK}.yaml"
        content = yaml.safe_load(file.read_text()) or {}
        for name, value in settings.items():
            key = name if ":" in name else f"{PROJECT}:{name.replace('__', '-')}"
            content.setdefault("config", {})[key] = value
            if value is None:
                del content["config"][key]
        file.write_text(yaml.safe_dump(content))
        secrets = {
            key: auto.ConfigValue(value, secret=True)
            for key, value in content["config"].items()
            if isinstance(value, str) and key.removeprefix(f"{PROJECT}:").split("-")[0] in SECRET_SETTINGS
        }
        if secrets:
            stack.set_all_config(secrets)


@pytest.fixture(scope="session")
def new_project() -> Iterator[Callable[[], Project]]:
    """A function that creates copies of the program. Without the engine, its tests are skipped."""
    pulumi = require("pulumi")
    if not (shutil.which("pulumi-language-python") or (pulumi.resolve().parent / "pulumi-language-python").exists()):
        pytest.skip("needs pulumi-language-python beside pulumi: install all of Pulumi")
    command = [pulumi, "plugin", "ls", "--json"]
    listed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout)
    there = {(plugin["name"], plugin["version"]) for plugin in listed}
    pins = (ROOT / "pyproject.toml").read_text()
    for plugin in _PLUGINS:
        version = pins.split(f"pulumi-{plugin}==")[1].split('"')[0]
        if (plugin, version) not in there:
            pytest.skip(f"needs a plugin: pulumi plugin install resource {plugin} {version}")
    with workspace() as work:
        count = iter(range(1000))

        def make() -> Project:
            folder = work.folder(f"project{next(count)}")
            for name in ("__main__.py", "paths.py", "Pulumi.yaml", "requirements.txt", "pyproject.toml"):
                shutil.copy(ROOT / name, folder)
            for name in ("settings", "components", "charts", "scripts", "ops"):
                shutil.copytree(ROOT / name, folder / name, ignore=HALF_COMPILED)
            (folder / ".venv").symlink_to(sys.prefix)
            return Project(folder)

        yield make


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """A cluster with nodes that tests may deploy to and destroy on. It must be named explicitly for this purpose."""
    named = os.environ.get("FLYTE_HOME_TEST_KUBECONFIG", "")
    if not named:
        pytest.skip(
            "needs a cluster to deploy to and destroy on: FLYTE_HOME_TEST_KUBECONFIG=kubeconfig of a throw-away "
            "cluster (its current context is used) and, if that cluster needs other images or storage classes, "
            "FLYTE_HOME_TEST_SETTINGS=a YAML file with settings"
        )
    kubeconfig = Path(named).expanduser().resolve()
    settings = os.environ.get("FLYTE_HOME_TEST_SETTINGS", "")
    context = yaml.safe_load(kubeconfig.read_text())["current-context"]
    uid = kubectl(kubeconfig, "get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}")
    more = yaml.safe_load(Path(settings).expanduser().read_text()) if settings else {}
    return Cluster(kubeconfig, context, uid, more)


class KubectlError(Exception):
    """kubectl failed; the message is what it printed."""


def kubectl(kubeconfig: Path, *arguments: str, given: str = "", seconds: float = 120) -> str:
    """The output of kubectl."""
    command = [require("kubectl"), "--kubeconfig", kubeconfig, *arguments]
    answer = subprocess.run(command, input=given, capture_output=True, text=True, timeout=seconds, check=False)
    if answer.returncode:
        raise KubectlError(answer.stderr)
    return answer.stdout
