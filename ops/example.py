"""``make example``: runs examples/remedy_tidal in one of four ways, with the same code and the same secret.

Usage: python -m ops.example python|local|sandbox|cluster [--stack STACK] [--credentials FOLDER] [--library NAME]
       [--image REFERENCE]
       python -m ops.example schedule [--stack STACK] [--image REFERENCE] [--cron TIMES] [--notify ADDRESSES]

``python`` and ``local`` run it on this machine, ``sandbox`` in Flyte's own sandbox in Docker, and ``cluster`` on the
stack's cluster, with the stack's secret. The other ways read the secret from the file tidal-creds/json in the folder
of ``--credentials`` or FLYTE_SECRETS_DEFAULT_DIR, or use a sample that gives no access to anything. ``schedule`` lets
the stack's cluster run it at fixed times.
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
from ops.lib.example_workflow import LAUNCH_PLAN, SECRET_GROUP, SECRET_KEY, WORKFLOW, ExampleError, pyflyte, scope_of
from ops.lib.port_holder import FOLDER
from ops.lib.stack_file import stack_config
from ops.tools import provide
from paths import ROOT
from settings import Settings, settings_from
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
    image: str = ""
    """Image of the tasks; empty for flytekit's."""
    cron: str = ""
    """Times at which the workflow runs; empty for the launch plan's."""
    notify: str = ""
    """Addresses, separated by commas, that get a mail when a scheduled execution fails; empty: none."""

    @property
    def secrets(self) -> Path:
        """Folder of the secret, for the ways that do not use the stack's secret."""
        named = self.credentials or os.environ.get("FLYTE_SECRETS_DEFAULT_DIR") or example_workflow.EXAMPLE / "secrets"
        return Path(named).expanduser().absolute()  # absolute, because the example runs in its own folder

    @property
    def inputs(self) -> list[str]:
        """Options of the workflow; empty for its defaults."""
        return ["--library", self.library] if self.library else []

    @property
    def images(self) -> list[str]:
        """Options of pyflyte for the image of the tasks; empty for its default."""
        return ["--image", self.image] if self.image else []

    def check(self, way: str) -> None:
        """Check that every option has an effect.

        Raises:
            ExampleError: one has none in this way.
        """
        for option, value, ways in (
            ("TASK_IMAGE", self.image, ("sandbox", "cluster", "schedule")),
            ("CRON", self.cron, ("schedule",)),
            ("NOTIFY", self.notify, ("schedule",)),
            ("LIBRARY", self.library, ("python", "local", "sandbox", "cluster")),
        ):
            if value and way not in ways:
                raise ExampleError(
                    f"{option}={value} has no effect with WAY={way}; use it with WAY={' or '.join(ways)}"
                )


def main() -> int:
    """Run the command line; return 0 if the workflow succeeded, or print a message and return 1."""
    parser = argparse.ArgumentParser(prog="example", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--stack", default="dev", help="stack for the way cluster; default dev")
    parser.add_argument(
        "--credentials", type=Path, help=f"folder of {SECRET_GROUP}/{SECRET_KEY}; not for the way cluster"
    )
    parser.add_argument("--library", default="", help="input of the workflow")
    parser.add_argument("--image", default="", help="image of the tasks, in a registry that the cluster reaches")
    parser.add_argument("--cron", default="", help="times for the way schedule, such as '0 4 * * *' (UTC)")
    parser.add_argument("--notify", default="", help="addresses that get a mail when a scheduled execution fails")
    args = parser.parse_args()
    request = Request(args.stack, args.credentials, args.library, args.image, args.cron, args.notify)
    try:
        request.check(args.way)
        WAYS[args.way](request)
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
    # Flyte's cache on this machine would hide a change of the code.
    environment = {"FLYTE_SECRETS_DEFAULT_DIR": str(request.secrets), "FLYTE_LOCAL_CACHE_ENABLED": "false"}
    _run_workflow(command, environment)


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
    _run_remotely(config, _SANDBOX_PROJECT, _SANDBOX_DOMAIN, request)


def run_cluster(request: Request) -> None:
    """Run the workflow on the stack's cluster, in the task scope of `scope_of`.

    Raises:
        SettingsError: the stack's settings are wrong.
        ExampleError: Flyte cannot be reached, no project may use the secret, or the workflow failed.
    """
    settings, config = _connected(request)
    scope = scope_of(settings)
    _run_remotely(config, scope.project, scope.domain, request)


def run_schedule(request: Request) -> None:
    """Register the workflow and its launch plan, and activate the launch plan, in the task scope of `scope_of`.

    Raises:
        SettingsError: the stack's settings are wrong.
        ExampleError: Flyte cannot be reached, no project may use the secret, the stack cannot send the mails, or Flyte
            rejects the launch plan.
    """
    settings, config = _connected(request)
    if request.notify and not settings.notifications.host:
        raise ExampleError(
            f"NOTIFY={request.notify}: the stack {request.stack} has no mail server, so nothing would arrive; set "
            f"flyte-home:notifications and run make up STACK={request.stack}, or leave NOTIFY out"
        )
    scope = scope_of(settings)
    where = ["--project", scope.project, "--domain", scope.domain]
    command = [
        pyflyte("example"),
        "--config",
        str(config),
        "register",
        *where,
        "--activate-launchplans",
        *request.images,
    ]
    chosen = {"REMEDY_CRON": request.cron, "REMEDY_NOTIFY": request.notify}
    _run_workflow([*command, LAUNCH_PLAN], chosen, "the launch plan was not registered")


def _connected(request: Request) -> tuple[Settings, Path]:
    """Return the stack's settings, and a client configuration with which it answers."""
    if request.credentials:
        raise ExampleError(
            f"CREDENTIALS={request.credentials}: the cluster uses the stack's secret; run "
            f"pulumi config set --secret flyte-home:tidalCreds --stack {request.stack} "
            f"< {shlex.quote(f'{request.credentials}/{SECRET_GROUP}/{SECRET_KEY}')} && make up STACK={request.stack}"
        )
    settings = settings_from(*stack_config(request.stack))
    scope_of(settings)
    config = FOLDER / f"{request.stack}.yaml"
    connect = f"run make connect STACK={request.stack} in another terminal, and leave it open"
    if not config.is_file():
        raise ExampleError(f"there is no {config.relative_to(ROOT)}; {connect}")
    address = settings.endpoints.grpc
    parts = split_address(address)
    if not _answers(parts.hostname or "", parts.port or 443):
        raise ExampleError(f"nothing answers at {address}; {connect}")
    return settings, config


WAYS: dict[str, Callable[[Request], None]] = {
    "python": run_python,
    "local": run_local,
    "sandbox": run_sandbox,
    "cluster": run_cluster,
    "schedule": run_schedule,
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


def _run_remotely(config: Path, project: str, domain: str, request: Request) -> None:
    where = ["--project", project, "--domain", domain]
    command = [pyflyte("example"), "--config", str(config), "run", "--remote", "--wait", *where, *request.images]
    _run_workflow([*command, *WORKFLOW, *request.inputs])


def _run_workflow(
    command: list[str], environment: Mapping[str, str] | None = None, failed: str = "the workflow failed"
) -> None:
    done = subprocess.run(command, cwd=example_workflow.EXAMPLE, env=os.environ | dict(environment or {}), check=False)
    if done.returncode:
        raise ExampleError(f"{failed}, see above")


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
