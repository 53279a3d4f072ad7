"""``make smoke``: checks whether a stack works, from this machine to a finished workflow.

Usage: python -m ops.smoke STACK [--timeout SECONDS]

The doctor runs first. If nothing is wrong except the isolation, examples/remedy_tidal runs on the cluster: its nodes
are shown while it runs, then its result and its address in the console. If it fails, the error of the node and the end
of its pod's log are shown.
"""

import argparse
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ops.doctor.run import doctor, lines
from ops.lib.client import Client
from ops.lib.example_workflow import ExampleError, scope_of
from ops.lib.execution import Execution, LateError, failure, follow, start, warnings
from ops.lib.flyte_login import client_secret
from ops.lib.kubectl import Cluster
from ops.lib.progress import Progress
from ops.lib.stack_file import stack_config
from settings import Settings, settings_from
from settings.errors import SettingsError


def main() -> int:
    """Run the command line; return 0 if the workflow succeeded, 1 with a message otherwise, and 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="smoke", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for the workflow; default 600")
    args = parser.parse_args()
    begin = time.monotonic()
    try:
        settings = settings_from(*stack_config(args.stack))
        with doctor(args.stack, settings, f"make smoke STACK={args.stack}") as findings:
            wrong = open_doors = 0
            for finding in findings:
                print(lines(finding), flush=True)
                # A pod that reaches too much does not keep a workflow from running.
                open_doors += finding.state == "wrong" and finding.check == "isolation"
                wrong += finding.state == "wrong" and finding.check != "isolation"
            if wrong:
                raise ExampleError(f"{wrong} of the doctor's findings are wrong; the example was not started")
            run_example(settings, Cluster.of(settings.context, settings.kubeconfig), args.timeout)
    except (SettingsError, ExampleError) as error:
        print(f"FAILED  {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # the execution continues on the cluster
        return 130
    exception = f" except the isolation ({open_doors} wrong)" if open_doors else ""
    print(f"ok      everything{exception}, in {time.monotonic() - begin:.0f} s")
    return 0


def run_example(settings: Settings, cluster: Cluster, timeout: float, out: TextIO = sys.stdout) -> None:
    """Run the example workflow on the cluster, show its progress, and wait for its end.

    Args:
        settings: settings of the stack.
        cluster: cluster of the stack.
        timeout: seconds to wait.
        out: receives the progress and the result.

    Raises:
        ExampleError: no project may use its secret, it failed, or it did not finish in time.
    """
    scope = scope_of(settings)
    client = Client.of(settings)
    name = f"smoke-{secrets.token_hex(5)}"
    url = f"{client.console}/projects/{scope.project}/domains/{scope.domain}/executions/{name}"
    execution = Execution(name, scope.project, scope.domain, scope.namespace, url)
    begin = time.monotonic()
    secret = client_secret(cluster, settings.namespace) if client.login else ""
    with _environment(client, secret) as environment:
        start(execution, environment, timeout)
        out.write(f"started {url}\n")
        progress = Progress(out)
        try:
            end = follow(execution, environment, timeout - (time.monotonic() - begin), progress)
        except LateError as error:
            raise ExampleError("\n".join([str(error), *warnings(execution, cluster)])) from None
    if end["phase"] != "SUCCEEDED":
        failed = [node["id"] for node in progress.nodes.values() if node["phase"] not in {"SUCCEEDED", "SKIPPED"}]
        raise ExampleError(failure(execution, end, failed, cluster))
    for output, value in end["outputs"].items():
        out.write(f"result  {output}: {value}\n")
    out.write(f"ok      the example in {scope.namespace}, in {time.monotonic() - begin:.0f} s; {url}\n")
    out.flush()


@contextmanager
def _environment(client: Client, secret: str) -> Iterator[dict[str, str]]:
    """Return the environment for Flyte's client, with a configuration that exists inside this context only."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.yaml")
        client.write_config(config, secret)
        yield os.environ | {"FLYTECTL_CONFIG": str(config)}


if __name__ == "__main__":
    sys.exit(main())
