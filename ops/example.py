"""``make example``: runs examples/remedy_tidal one of four ways, with the same code and the same secret.

Usage: python -m ops.example python|local|sandbox|cluster [--stack STACK] [--credentials FOLDER] [--library NAME]

``python`` and ``local`` run it here, ``sandbox`` in Flyte's own sandbox in Docker, ``cluster`` on the stack's cluster,
where the secret is the stack's. Elsewhere it is the file tidal-creds/json in the folder that ``--credentials`` or
FLYTE_SECRETS_DEFAULT_DIR names; otherwise a sample that opens nothing.
"""

import argparse
import base64
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ops.lib.stack_file import stack_config
from ops.tools import provide
from paths import ROOT
from settings import settings_from
from settings.chart import PINNED_CHART
from settings.errors import SettingsError
from settings.values import split_address

EXAMPLE = ROOT / "examples" / "remedy_tidal"
CLIENTS = ROOT / ".client"
_GROUP, _KEY = "tidal-creds", "json"
# What flytectl calls it, everywhere: https://github.com/flyteorg/flyte/blob/v1.16.8/flytectl/pkg/sandbox/start.go
_SANDBOX = "flyte-sandbox"
_SANDBOX_PROJECT, _SANDBOX_DOMAIN = "flytesnacks", "development"


class ExampleError(Exception):
    """The example cannot run this way; the message says why, and what to do."""


@dataclass(frozen=True)
class Request:
    """What is asked for on the command line."""

    stack: str
    credentials: Path | None
    library: str

    @property
    def secrets(self) -> Path:
        """The folder of the secret, for the ways that have no cluster's."""
        named = self.credentials or os.environ.get("FLYTE_SECRETS_DEFAULT_DIR") or EXAMPLE / "secrets"
        return Path(named).expanduser().absolute()  # the example runs in its own folder

    @property
    def inputs(self) -> list[str]:
        """Options of the workflow; without any it takes its defaults."""
        return ["--library", self.library] if self.library else []


def main() -> int:
    """The command line; 0 if the workflow succeeded, 1 with a message otherwise."""
    parser = argparse.ArgumentParser(prog="example", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--stack", default="dev", help="for the way cluster; default dev")
    parser.add_argument("--credentials", type=Path, help=f"folder of {_GROUP}/{_KEY}; not for the way cluster")
    parser.add_argument("--library", default="", help="input of the workflow")
    args = parser.parse_args()
    try:
        WAYS[args.way](Request(args.stack, args.credentials, args.library))
    except (SettingsError, ExampleError) as error:
        print(f"FAILED  {error}", file=sys.stderr)
        return 1
    return 0


def run_python(request: Request) -> None:
    """In plain Python, in an environment that uv makes.

    Raises:
        SettingsError: there is no uv, and none can be fetched; ``local`` does without.
        ExampleError: the workflow failed.
    """
    provide("uv")
    # The script names flytekit alone; the lock file has the version of all that comes with it.
    command = ["uv", "run", "--with-requirements", "requirements.txt", "workflow.py", *request.inputs]
    _run_workflow(command, {"FLYTE_SECRETS_DEFAULT_DIR": str(request.secrets)})


def run_local(request: Request) -> None:
    """Under pyflyte, without a cluster.

    Raises:
        ExampleError: there is no pyflyte, or the workflow failed.
    """
    command = [_pyflyte(), "run", "workflow.py", "remedy", *request.inputs]
    _run_workflow(command, {"FLYTE_SECRETS_DEFAULT_DIR": str(request.secrets)})


def run_sandbox(request: Request) -> None:
    """In Flyte's sandbox, which is started unless it runs.

    Raises:
        SettingsError: there is no kubectl, and none can be fetched.
        ExampleError: another program or the secret is missing, Docker does not answer, or something failed.
    """
    _need("docker", "https://docs.docker.com/get-started/get-docker/")
    _need("flytectl", "https://docs-legacy.flyte.org/en/latest/flytectl/overview.html")
    provide("kubectl")
    manifests = _sandbox_secret(request.secrets / _GROUP / _KEY)
    docker = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    if docker.returncode:
        raise ExampleError(f"docker does not answer; start Docker. It says: {docker.stderr.strip()}")
    inspect = ["docker", "container", "inspect", "--format={{.State.Running}}", _SANDBOX]
    if subprocess.run(inspect, capture_output=True, text=True, check=False).stdout.strip() != "true":
        # The same Flyte as the stack's. It asks before it replaces a sandbox that has been stopped.
        _run(["flytectl", "demo", "start", "--version", PINNED_CHART.version], "the sandbox did not start")
    # On the server's side: otherwise kubectl would leave a copy of the secret in an annotation.
    apply = ["kubectl", "--context", _SANDBOX, "apply", "--server-side", "--force-conflicts", "--filename=-"]
    _run(apply, f"the sandbox did not take the secret {_GROUP}", manifests)
    config = Path.home() / ".flyte" / "config-sandbox.yaml"
    _run_remotely(config, _SANDBOX_PROJECT, _SANDBOX_DOMAIN, request.inputs)


def run_cluster(request: Request) -> None:
    """On the cluster of the stack, in the first project that may use the secret, and its first domain.

    Raises:
        SettingsError: the stack's settings are wrong.
        ExampleError: the way to Flyte is not open, no project may use the secret, or the workflow failed.
    """
    if request.credentials:
        raise ExampleError(
            f"CREDENTIALS={request.credentials}: on the cluster the secret is the stack's; "
            f'pulumi config set --secret flyte-home:tidalCreds "$(cat {request.credentials}/{_GROUP}/{_KEY})" '
            f"--stack {request.stack}, then make up STACK={request.stack}"
        )
    settings = settings_from(*stack_config(request.stack))
    project = next((project.name for project in settings.projects if _GROUP in project.task_secrets), None)
    if not project:
        raise ExampleError(f"flyte-home:projects: none asks for the secret {_GROUP}, which the example needs")
    config = CLIENTS / f"{request.stack}.yaml"
    connect = f"run make connect STACK={request.stack} in another terminal, and leave it open"
    if not config.is_file():
        raise ExampleError(f"there is no {config.relative_to(ROOT)}; {connect}")
    address = settings.endpoints.grpc
    parts = split_address(address)
    if not _answers(parts.hostname or "", parts.port or 443):
        raise ExampleError(f"nothing answers at {address}; {connect}")
    _run_remotely(config, project, settings.domains[0], request.inputs)


WAYS: dict[str, Callable[[Request], None]] = {
    "python": run_python,
    "local": run_local,
    "sandbox": run_sandbox,
    "cluster": run_cluster,
}


def _sandbox_secret(file: Path) -> str:
    """The secret, and the namespace it belongs into, which Flyte makes only some time after its start."""
    try:
        content = base64.b64encode(file.read_bytes()).decode()
    except OSError as error:
        raise ExampleError(f"the secret {_GROUP}/{_KEY}: {file}: {error.strerror}; see CREDENTIALS") from None
    namespace = f"{_SANDBOX_PROJECT}-{_SANDBOX_DOMAIN}"
    items = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": _GROUP, "namespace": namespace},
            "data": {_KEY: content},
        },
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def _run_remotely(config: Path, project: str, domain: str, inputs: list[str]) -> None:
    where = ["--project", project, "--domain", domain]
    command = [_pyflyte(), "--config", str(config), "run", "--remote", "--wait", *where, "workflow.py", "remedy"]
    _run_workflow([*command, *inputs])


def _run_workflow(command: list[str], environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=EXAMPLE, env=os.environ | dict(environment or {}), check=False)
    if done.returncode:
        raise ExampleError("the workflow failed, see above")


def _run(command: list[str], failed: str, sent: str | None = None) -> None:
    """Run the command on the user's terminal, or with ``sent`` as its input."""
    if subprocess.run(command, input=sent, text=True, check=False).returncode:
        raise ExampleError(f"{failed}, see above")


def _pyflyte() -> str:
    program = EXAMPLE / ".venv" / "bin" / "pyflyte"
    if not program.is_file():
        raise ExampleError(f"there is no {program}; make example installs it")
    return str(program)


def _need(tool: str, where: str) -> None:
    if not shutil.which(tool):
        raise ExampleError(f"{tool} is not on the PATH; install it from {where}")


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
