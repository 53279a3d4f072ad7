"""``make smoke``: whether a stack works, from here to a finished workflow.

Usage: python -m ops.smoke STACK [--timeout SECONDS]

First the doctor; then, if nothing is wrong, examples/remedy_tidal on the cluster: its nodes while it runs, and in the
end its result and where to look at it. Of one that fails: the error of the node, and the end of its pod's log.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from ops.doctor.laptop import EXAMPLE
from ops.doctor.run import doctor, lines
from ops.doctor.stack import one_line
from ops.lib.client import Client
from ops.lib.flyte_login import client_secret
from ops.lib.kubectl import Cluster
from ops.lib.stack_file import stack_config
from settings import Settings, settings_from
from settings.errors import SettingsError

_FOLLOW = Path(__file__).parent / "lib" / "follow.py"
_GROUP = "tidal-creds"
_LOG_LINES = 40


class SmokeError(Exception):
    """Something does not work; the message says what, and what to do."""


class LateError(SmokeError):
    """The example takes too long."""


@dataclass(frozen=True)
class Run:
    """One execution of the example."""

    name: str
    project: str
    domain: str
    # Where its pods are.
    namespace: str
    # In the console.
    url: str


@dataclass
class Progress:
    """The nodes of an execution, on a terminal redrawn, elsewhere a line for each change."""

    out: TextIO
    # By id.
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    _drawn: int = 0

    def see(self, node: Mapping[str, Any]) -> None:
        """Take in a change of a node."""
        self.nodes[node["id"]] = dict(node)
        if self.out.isatty():
            self.draw()
        else:
            self.out.write(f"        {self._line(node)}\n")
            self.out.flush()

    def draw(self) -> None:
        """Draw all nodes anew, with the seconds that those that run have now."""
        if not self.out.isatty():
            return
        above = f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""  # up to the first of them, and clear from there
        self.out.write(above + "".join(f"        {self._line(node)}\n" for node in self.nodes.values()))
        self.out.flush()
        self._drawn = len(self.nodes)

    @staticmethod
    def _line(node: Mapping[str, Any]) -> str:
        seconds = node["seconds"]
        if not seconds and node["started"]:
            seconds = max(0.0, time.time() - node["started"])
        return f"{node['node']:<24} {node['phase']:<10} {f'{seconds:.0f} s' if seconds else ''}".rstrip()


def main() -> int:
    """The command line; 0 if the workflow succeeded, 1 with a message otherwise, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="smoke", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for the workflow; default 600")
    args = parser.parse_args()
    start = time.monotonic()
    try:
        settings = settings_from(*stack_config(args.stack))
        with doctor(args.stack, settings, f"make smoke STACK={args.stack}") as findings:
            wrong = 0
            for finding in findings:
                print(lines(finding), flush=True)
                wrong += finding.state == "wrong"
            if wrong:
                raise SmokeError(f"{wrong} of the doctor's findings are wrong; the example was not started")
            run_example(settings, Cluster.of(settings.context, settings.kubeconfig), args.timeout)
    except (SettingsError, SmokeError) as error:
        print(f"FAILED  {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # the execution goes on; who asked does not wait for it
        return 130
    print(f"ok      everything, in {time.monotonic() - start:.0f} s")
    return 0


def run_example(settings: Settings, cluster: Cluster, timeout: float, out: TextIO = sys.stdout) -> None:
    """Run the example workflow on the cluster, show its progress, and wait for it.

    Raises:
        SmokeError: no project may use its secret, or it failed, or took longer than ``timeout`` seconds.
    """
    project = next((project.name for project in settings.projects if _GROUP in project.task_secrets), None)
    if not project:
        raise SmokeError(f"flyte-home:projects: none asks for the secret {_GROUP}, which the example needs")
    domain = settings.domains[0]
    (namespace,) = [
        scope.namespace for scope in settings.task_scopes if (scope.project, scope.domain) == (project, domain)
    ]
    client = Client.of(settings)
    name = f"smoke-{secrets.token_hex(5)}"
    url = f"{client.console}/projects/{project}/domains/{domain}/executions/{name}"
    run = Run(name, project, domain, namespace, url)
    start = time.monotonic()
    secret = client_secret(cluster, settings.namespace) if client.login else ""
    with _environment(client, secret) as environment:
        _start(run, environment, timeout)
        out.write(f"started {url}\n")
        progress = Progress(out)
        try:
            end = _wait(run, environment, timeout - (time.monotonic() - start), progress)
        except LateError as error:
            said = _warnings(run, cluster)
            raise SmokeError("\n".join([str(error), *said])) from None
    if end["phase"] != "SUCCEEDED":
        failed = [node["id"] for node in progress.nodes.values() if node["phase"] not in {"SUCCEEDED", "SKIPPED"}]
        raise SmokeError(_failure(run, end, failed, cluster))
    for output, value in end["outputs"].items():
        out.write(f"result  {output}: {value}\n")
    out.write(f"ok      the example in {namespace}, in {time.monotonic() - start:.0f} s; {url}\n")
    out.flush()


@contextmanager
def _environment(client: Client, secret: str) -> Iterator[dict[str, str]]:
    """What Flyte's client needs around it."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.yaml")
        client.write_config(config, secret)
        yield os.environ | {"FLYTECTL_CONFIG": str(config)}


def _start(run: Run, environment: Mapping[str, str], timeout: float) -> None:
    where = ["--project", run.project, "--domain", run.domain, "--name", run.name]
    command = [str(EXAMPLE / ".venv/bin/pyflyte"), "run", "--remote", *where, "workflow.py", "remedy"]
    try:
        done = subprocess.run(
            command, cwd=EXAMPLE, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
    except OSError as error:
        raise SmokeError(f"{command[0]}: {error.strerror}; make smoke installs it") from None
    except subprocess.TimeoutExpired:
        raise SmokeError(f"the example could not be registered within {timeout:.0f} s") from None
    if done.returncode:
        raise SmokeError(f"the example could not be started:\n{_tail(done.stdout + done.stderr)}")


def _wait(run: Run, environment: Mapping[str, str], timeout: float, progress: Progress) -> dict[str, Any]:
    """The end of an execution, as `ops.lib.follow` has it."""
    command = [str(EXAMPLE / ".venv/bin/python"), str(_FOLLOW), run.project, run.domain, run.name]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True) as follower,
    ):
        timer = threading.Timer(timeout, follower.terminate)
        timer.start()
        drawn = _Redrawing(progress)
        try:
            end: dict[str, Any] = {}
            for line in follower.stdout or ():
                seen = json.loads(line)
                with drawn.lock:
                    if "id" in seen:
                        progress.see(seen)
                    else:
                        end = seen
            follower.wait()
        finally:
            late = not timer.is_alive()
            timer.cancel()
            drawn.end()
            follower.terminate()
        if end:
            return end
        if late:
            raise LateError(f"the workflow has not finished within {timeout:.0f} s; see {run.url}")
        errors.seek(0)
        raise SmokeError(f"the workflow cannot be followed; see {run.url}\n{_tail(errors.read())}")


class _Redrawing:
    """Draws the progress every second, so that the seconds go on while nothing happens."""

    def __init__(self, progress: Progress) -> None:
        self.lock = threading.Lock()
        self._progress, self._ended = progress, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop drawing."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(1):
            with self.lock:
                self._progress.draw()


def _failure(run: Run, end: Mapping[str, Any], failed: Collection[str], cluster: Cluster) -> str:
    """Why an execution has failed: Flyte's message, and the end of the log of the newest pod of each failed node."""
    parts = [f"the workflow has {end['phase'].lower().replace('_', ' ')}; {run.url}", end["error"].strip()]
    answer = cluster.run(
        "get", "pods", f"--namespace={run.namespace}", f"--selector=execution-id={run.name}", "--output=json"
    )
    pods = json.loads(answer.stdout)["items"] if answer.returncode == 0 else []
    # Not by their phase: a pod whose task has failed in Python has succeeded in saying so.
    newest: dict[str, str] = {}
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"])):
        node = pod["metadata"]["labels"].get("node-id", "")
        # The nodes of a workflow within are called after the one that they belong to.
        if any(node == name or node.startswith(f"{name}-") for name in failed):
            newest[node] = pod["metadata"]["name"]
    for pod in newest.values():
        said = cluster.run("logs", pod, f"--namespace={run.namespace}", f"--tail={_LOG_LINES}")
        parts += [f"--- the end of the log of {pod}", (said.stdout or said.stderr).strip(), "--- all of it:"]
        parts.append(cluster.shown("logs", pod, "--namespace", run.namespace))
    return "\n".join(filter(None, parts))


def _warnings(run: Run, cluster: Cluster) -> list[str]:
    """The newest warnings about the pods of an execution: why none of them gets on."""
    answer = cluster.run(
        "get", "events", f"--namespace={run.namespace}", "--field-selector=type=Warning", "--output=json"
    )
    events = json.loads(answer.stdout)["items"] if answer.returncode == 0 else []
    events.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    return [
        f"{event['involvedObject']['name']}: {event['reason']}: {one_line(event['message'])}"
        for event in events
        if event["involvedObject"]["name"].startswith(f"{run.name}-")
    ][-2:]


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-_LOG_LINES:])


if __name__ == "__main__":
    sys.exit(main())
