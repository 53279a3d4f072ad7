"""``make smoke``: whether a stack works, from here to a finished workflow.

Usage: python -m ops.smoke STACK [--timeout SECONDS]

Asks the fence, the servers, Flyte's API and the object store, in this order, and then runs examples/remedy_tidal on
the cluster. Where the addresses of ``flyte-home:clientEndpoints`` are this machine's own, it opens the port-forwards
that are not open yet, for as long as it runs.
"""

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from components import flyte_binary, minio
from components.access import ways
from components.chart import ROOT
from components.client import client_config, split_address
from components.errors import SettingsError
from ops.cluster import Cluster
from ops.stack_file import stack_config
from settings import Settings

EXAMPLE = ROOT / "examples" / "remedy_tidal"
_GROUP = "tidal-creds"
_SERVERS = (f"statefulset/{minio.SERVICE}", "statefulset/postgres", f"deployment/{flyte_binary.RELEASE}")
_OWN_HOSTS = {"127.0.0.1", "localhost", "::1"}
_FORWARD_SECONDS = 20


class SmokeError(Exception):
    """Something does not work; the message says what, and what to do."""


def main() -> int:
    """The command line; 0 if the workflow succeeded, 1 with a message otherwise."""
    parser = argparse.ArgumentParser(prog="smoke", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for the workflow; default 600")
    args = parser.parse_args()
    start = time.monotonic()
    try:
        settings = Settings.from_config(*stack_config(args.stack))
        cluster = Cluster.of(settings.context, settings.kubeconfig)
        check_fence(cluster, settings, args.stack)
        check_servers(cluster, settings.namespace)
        client = settings.client
        with ExitStack() as opened:
            for way in ways(client):
                opened.enter_context(forwarded(cluster, settings.namespace, *way))
            check_flyte(client.http, [project.name for project in settings.projects])
            check_store(client.object_store)
            run_example(settings, args.timeout)
    except (SettingsError, SmokeError) as error:
        print(f"FAILED  {error}", file=sys.stderr)
        return 1
    print(f"ok      everything, in {time.monotonic() - start:.0f} s")
    return 0


def check_fence(cluster: Cluster, settings: Settings, stack: str) -> None:
    """The cluster that answers is the stack's own.

    Raises:
        SmokeError: it is another one, or the stack names none.
    """
    uid = cluster.uid()
    if uid != settings.cluster_uid:
        raise SmokeError(
            f"flyte-home:clusterUid: stack {stack!r} belongs to the cluster {settings.cluster_uid or '(none yet)'}, "
            f"but {settings.context!r} leads to {uid}; choose the right context, or make up STACK={stack} first"
        )
    _ok(f"cluster {uid} of context {settings.context}")


def check_servers(cluster: Cluster, namespace: str) -> None:
    """Every server of the stack is ready.

    Raises:
        SmokeError: naming the first that is not, with the newest events of its pods.
    """
    for server in _SERVERS:
        found = json.loads(
            cluster.ask("get", server, f"--namespace={namespace}", "--ignore-not-found", "-o=json") or "{}"
        )
        if not found:
            raise SmokeError(f"{server} is not in the namespace {namespace}; make up")
        if found["status"].get("readyReplicas", 0) < 1:
            events = cluster.ask("get", "events", f"--namespace={namespace}", "--sort-by=.lastTimestamp", "-o=json")
            name = server.split("/")[1]
            said = [
                f"{event['reason']}: {event['message']}"
                for event in json.loads(events)["items"]
                if event["involvedObject"]["name"].startswith(name) and event["type"] == "Warning"
            ]
            raise SmokeError(
                f"{server} is not ready{''.join(f'; {line}' for line in said[-2:])}; "
                f"kubectl --context {cluster.context} --namespace {namespace} describe {server}"
            )
        _ok(f"{server} is ready")


def check_flyte(http: str, projects: list[str]) -> None:
    """Flyte's API answers from its database, and knows the stack's projects.

    Raises:
        SmokeError: it does not.
    """
    listed = json.loads(_get(f"{http}/api/v1/projects?limit=1000", "Flyte's API"))
    missing = set(projects) - {project["id"] for project in listed.get("projects", [])}
    if missing:
        raise SmokeError(f"Flyte does not know the project {', '.join(sorted(missing))}; make up restarts it with them")
    _ok(f"Flyte's API at {http} knows {', '.join(projects)}")


def check_store(address: str) -> None:
    """The object store answers where uploads are signed for.

    Raises:
        SmokeError: it does not.
    """
    _get(f"{address}/minio/health/ready", "the object store")
    _ok(f"the object store at {address}")


def run_example(settings: Settings, timeout: float) -> None:
    """Run the example workflow on the cluster and wait for it.

    Raises:
        SmokeError: no project may use its secret, or it failed, or took longer than ``timeout`` seconds.
    """
    project = next((project.name for project in settings.projects if _GROUP in project.task_secrets), None)
    if not project:
        raise SmokeError(f"flyte-home:projects: none asks for the secret {_GROUP}, which the example needs")
    client = settings.client
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.yaml")
        config.write_text(client_config(client))
        where = ["--project", project, "--domain", settings.domains[0]]
        command = [str(EXAMPLE / ".venv/bin/pyflyte"), "--config", str(config), "run", "--remote", "--wait", *where]
        start = time.monotonic()
        try:
            done = subprocess.run([*command, "workflow.py", "remedy"], cwd=EXAMPLE, timeout=timeout, check=False)
        except OSError as error:
            raise SmokeError(f"{command[0]}: {error.strerror}; make smoke installs it") from None
        except subprocess.TimeoutExpired:
            raise SmokeError(
                f"the workflow has not finished within {timeout:.0f} s; see {client.http}/console"
            ) from None
    if done.returncode:
        raise SmokeError(f"the workflow failed, see above and {client.http}/console")
    _ok(f"the example workflow in {project}-{settings.domains[0]}, in {time.monotonic() - start:.0f} s")


@contextmanager
def forwarded(cluster: Cluster, namespace: str, service: str, port: int, address: str) -> Iterator[None]:
    """The way to ``service`` is open at ``address``, if that is on this machine and nothing is there yet.

    Raises:
        SmokeError: it cannot be opened.
    """
    parts = split_address(address)
    local = parts.port or port
    if parts.hostname not in _OWN_HOSTS or _open(local):
        yield
        return
    command = cluster.command(f"--namespace={namespace}", "port-forward", f"service/{service}", f"{local}:{port}")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as forward:
        try:
            end = time.monotonic() + _FORWARD_SECONDS
            while not _open(local):
                if forward.poll() is not None or time.monotonic() > end:
                    forward.terminate()
                    _, said = forward.communicate()
                    raise SmokeError(f"no way to service/{service}: {said.strip() or 'no answer'}")
                time.sleep(0.1)
            yield
        finally:
            forward.terminate()


def _open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _get(url: str, what: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 (the settings allow http and https only)
            return bytes(answer.read())
    except (urllib.error.URLError, OSError) as error:
        raise SmokeError(f"{what} does not answer at {url}: {error}; see flyte-home:clientEndpoints") from None


def _ok(what: Any) -> None:
    print(f"ok      {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
