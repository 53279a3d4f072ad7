"""``make example``: runs examples/remedy_tidal in one of four ways, with the same code and the same secret.

Usage: python -m ops.example python|local|sandbox|cluster [--stack STACK] [--credentials FOLDER] [--library NAME]

``python`` and ``local`` run it on this machine, ``sandbox`` in Flyte's own sandbox in Docker, and ``cluster`` on the
stack's cluster, with the stack's secret. The other ways read the secret from the file tidal-creds/json in the folder
of ``--credentials`` or FLYTE_SECRETS_DEFAULT_DIR, or use a sample that gives no access to anything.
"""

import argparse
import base64
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ops.lib import example_workflow
from ops.lib.example_workflow import SECRET_GROUP, SECRET_KEY, WORKFLOW, ExampleError, pyflyte, scope_of
from ops.lib.port_holder import FOLDER
from ops.lib.stack_file import stack_config
from ops.tools import provide
from paths import ROOT
from settings import settings_from
from settings.chart import PINNED_CHART
from settings.errors import SettingsError
from settings.values import split_address

# Name of the sandbox's container and context: https://github.com/flyteorg/flyte/blob/v1.16.8/flytectl/pkg/sandbox/start.go
_SANDBOX = "flyte-sandbox"
_SANDBOX_PROJECT, _SANDBOX_DOMAIN = "flytesnacks", "development"


@dataclass(frozen=True)
class Request:
    """The options of the command line."""

    stack: str
    credentials: Path | None
    """Folder of the secret; None for the default."""
    library: str
    """Input of the workflow; empty for its default."""

    @property
    def secrets(self) -> Path:
        """Folder of the secret, for the ways that do not use the stack's secret."""
        named = self.credentials or os.environ.get("FLYTE_SECRETS_DEFAULT_DIR") or example_workflow.EXAMPLE / "secrets"
        return Path(named).expanduser().absolute()  # absolute, because the example runs in its own folder

    @property
    def inputs(self) -> list[str]:
        """Options of the workflow; empty for its defaults."""
        return ["--library", self.library] if self.library else []


def main() -> int:
    """Run the command line; return 0 if the workflow succeeded, or print a message and return 1."""
    parser = argparse.ArgumentParser(prog="example", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--stack", default="dev", help="stack for the way cluster; default dev")
    parser.add_argument(
        "--credentials", type=Path, help=f"folder of {SECRET_GROUP}/{SECRET_KEY}; not for the way cluster"
    )
    parser.add_argument("--library", default="", help="input of the workflow")
    args = parser.parse_args()
    try:
        WAYS[args.way](Request(args.stack, args.credentials, args.library))
    except (SettingsError, ExampleError) as error:
        print(f"FAILED  {error}", file=sys.stderr)
        return 1
    return 0


def run_python(request: Request) -> None:
    """Run the workflow in plain Python, in an environment that uv creates.

    Raises:
        SettingsError: there is no uv, and none can be downloaded; the way ``local`` needs none.
        ExampleError: the workflow failed.
    """
    provide("uv")
    # The script pins flytekit only; the lock file also pins its dependencies.
    command = ["uv", "run", "--with-requirements", "requirements.txt", "workflow.py", *request.inputs]
    _run_workflow(command, {"FLYTE_SECRETS_DEFAULT_DIR": str(request.secrets)})


def run_local(request: Request) -> None:
    """Run the workflow under pyflyte, without a cluster.

    Raises:
        ExampleError: there is no pyflyte, or the workflow failed.
    """
    command = [pyflyte("example"), "run", *WORKFLOW, *request.inputs]
    _run_workflow(command, {"FLYTE_SECRETS_DEFAULT_DIR": str(request.secrets)})


def run_sandbox(request: Request) -> None:
    """Run the workflow in Flyte's sandbox, which is started if necessary.

    Raises:
        SettingsError: there is no kubectl, and none can be downloaded.
        ExampleError: another program or the secret is missing, Docker does not answer, or a command failed.
    """
    _need("docker", "https://docs.docker.com/get-started/get-docker/")
    _need("flytectl", "https://docs-legacy.flyte.org/en/latest/flytectl/overview.html")
    provide("kubectl")
    manifests = _sandbox_secret(request.secrets / SECRET_GROUP / SECRET_KEY)
    docker = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    if docker.returncode:
        raise ExampleError(f"docker does not answer; start Docker. Its message: {docker.stderr.strip()}")
    inspect = ["docker", "container", "inspect", "--format={{.State.Running}}", _SANDBOX]
    if subprocess.run(inspect, capture_output=True, text=True, check=False).stdout.strip() != "true":
        # The same version of Flyte as the stack's. flytectl asks before it replaces a stopped sandbox.
        _run(["flytectl", "demo", "start", "--version", PINNED_CHART.version], "the sandbox did not start")
    # On the server's side: otherwise kubectl would copy the secret into an annotation.
    apply = ["kubectl", "--context", _SANDBOX, "apply", "--server-side", "--force-conflicts", "--filename=-"]
    _run(apply, f"the sandbox did not accept the secret {SECRET_GROUP}", manifests)
    config = Path.home() / ".flyte" / "config-sandbox.yaml"
    _run_remotely(config, _SANDBOX_PROJECT, _SANDBOX_DOMAIN, request.inputs)


def run_cluster(request: Request) -> None:
    """Run the workflow on the stack's cluster, in the task scope of `scope_of`.

    Raises:
        SettingsError: the stack's settings are wrong.
        ExampleError: Flyte cannot be reached, no project may use the secret, or the workflow failed.
    """
    if request.credentials:
        raise ExampleError(
            f"CREDENTIALS={request.credentials}: the cluster uses the stack's secret; run "
            f"pulumi config set --secret flyte-home:tidalCreds --stack {request.stack} "
            f"< {shlex.quote(f'{request.credentials}/{SECRET_GROUP}/{SECRET_KEY}')} && make up STACK={request.stack}"
        )
    settings = settings_from(*stack_config(request.stack))
    scope = scope_of(settings)
    config = FOLDER / f"{request.stack}.yaml"
    connect = f"run make connect STACK={request.stack} in another terminal, and leave it open"
    if not config.is_file():
        raise ExampleError(f"there is no {config.relative_to(ROOT)}; {connect}")
    address = settings.endpoints.grpc
    parts = split_address(address)
    if not _answers(parts.hostname or "", parts.port or 443):
        raise ExampleError(f"nothing answers at {address}; {connect}")
    _run_remotely(config, scope.project, scope.domain, request.inputs)


WAYS: dict[str, Callable[[Request], None]] = {
    "python": run_python,
    "local": run_local,
    "sandbox": run_sandbox,
    "cluster": run_cluster,
}


def _sandbox_secret(file: Path) -> str:
    """Return manifests of the secret and its namespace, which Flyte creates only some time after its start."""
    try:
        content = base64.b64encode(file.read_bytes()).decode()
    except OSError as error:
        raise ExampleError(
            f"the secret {SECRET_GROUP}/{SECRET_KEY}: {file}: {error.strerror}; see CREDENTIALS"
        ) from None
    namespace = f"{_SANDBOX_PROJECT}-{_SANDBOX_DOMAIN}"
    items = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": SECRET_GROUP, "namespace": namespace},
            "data": {SECRET_KEY: content},
        },
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def _run_remotely(config: Path, project: str, domain: str, inputs: list[str]) -> None:
    where = ["--project", project, "--domain", domain]
    command = [pyflyte("example"), "--config", str(config), "run", "--remote", "--wait", *where, *WORKFLOW]
    _run_workflow([*command, *inputs])


def _run_workflow(command: list[str], environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=example_workflow.EXAMPLE, env=os.environ | dict(environment or {}), check=False)
    if done.returncode:
        raise ExampleError("the workflow failed, see above")


def _run(command: list[str], failed: str, sent: str | None = None) -> None:
    """Run the command on the user's terminal, with ``sent`` as its input if given."""
    if subprocess.run(command, input=sent, text=True, check=False).returncode:
        raise ExampleError(f"{failed}, see above")


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
