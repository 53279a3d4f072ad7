"""``make connect``: keeps the endpoints of a stack open on this machine until Ctrl-C.

Usage: python -m ops.connect STACK

For each address of ``flyte-home:clientEndpoints`` on this machine, a ``kubectl port-forward`` is opened, and reopened
when it breaks. Flyte's client configuration is written, and the addresses are printed. If all addresses lead elsewhere,
such as to an ingress, the program ends after that.
"""

import argparse
import shlex
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from pathlib import Path

import grpc  # type: ignore[import-untyped]

from ops.lib.client import Client, NoAnswerError
from ops.lib.client_endpoints import ClientEndpoint, client_endpoints
from ops.lib.forwards import Forward, Forwards
from ops.lib.kept_forward import KeptForward
from ops.lib.kubectl import Cluster
from ops.lib.port_holder import FOLDER, ForwardError
from ops.lib.stack_file import stack_config
from settings import Settings, settings_from
from settings.errors import SettingsError

# Seconds between two checks of the port-forwards, and to wait for an answer.
_PERIOD = 3.0
_PATIENCE = 5.0
# Seconds to wait for a port-forward that is reopened.
_REOPEN_SECONDS = 5.0
_NAMES = {"http": "console", "grpc": "gRPC", "objectStore": "object store"}


def main() -> int:
    """Run the command line; return 0 after Ctrl-C, or print a message and return 1 if an endpoint cannot be opened."""
    parser = argparse.ArgumentParser(prog="connect", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    args = parser.parse_args()
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: stop.set())
    try:
        settings = settings_from(*stack_config(args.stack))
        cluster = Cluster.of(settings.context, settings.kubeconfig)
        cluster.check_is(settings.cluster_uid, args.stack)
        connect(args.stack, settings, cluster, stop)
    except (SettingsError, ForwardError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def connect(stack: str, settings: Settings, cluster: Cluster, stop: threading.Event, period: float = _PERIOD) -> None:
    """Keep the endpoints open until ``stop`` is set.

    Args:
        stack: name of the stack.
        settings: its settings.
        cluster: its cluster.
        stop: set to close everything.
        period: seconds between two checks of the port-forwards.

    Raises:
        ForwardError: a port is taken, or a service cannot be reached.
    """
    client = Client.of(settings)
    forwards = Forwards("make connect STACK=" + stack, stack, settings.cluster_uid, cluster, settings.namespace, client)
    if not forwards.endpoints:
        _print_endpoints(client, write_config(stack, client))
        return
    with forwards:
        if forwards.ended:
            _print(f"ended   port-forwards that a killed command had left open: {', '.join(forwards.ended)}")
        forwards.check_free()
        for forward in forwards.forwards:
            if stop.is_set():
                return
            _open(forwards, forward, stack)
        _print_endpoints(client, write_config(stack, client))
        _print("Press Ctrl-C to end.")
        reopen = partial(forwards.open, seconds=_REOPEN_SECONDS)
        kept = [
            KeptForward(forward, reopen, answering(client, forward.endpoint), _print) for forward in forwards.forwards
        ]
        while not stop.wait(period):
            for one in kept:
                one.tend()
    _print("closed")


def answering(client: Client, endpoint: ClientEndpoint) -> Callable[[], bool]:
    """Return a function that asks the service behind an endpoint and returns whether it answers at all."""

    def over_http(path: str) -> bool:
        try:
            # With this status, the browser guard answers that the port-forward or the service does not.
            return client.request(f"{endpoint.address}{path}", seconds=_PATIENCE).status != HTTPStatus.BAD_GATEWAY
        except NoAnswerError:
            return False

    def over_grpc() -> bool:
        try:
            client.flyte_answers(_PATIENCE)
        except grpc.RpcError as error:
            return error.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
        return True

    if endpoint.setting == "grpc":
        return over_grpc
    return partial(over_http, "/healthcheck" if endpoint.setting == "http" else "/minio/health/live")


def write_config(stack: str, client: Client) -> Path:
    """Write Flyte's client configuration, readable by its owner only; return its path."""
    path = FOLDER / f"{stack}.yaml"
    client.write_config(path)
    return path


def _open(forwards: Forwards, forward: Forward, stack: str) -> None:
    try:
        forwards.open(forward)
    except ForwardError as error:
        raise ForwardError(f"{error.says}; run make doctor STACK={stack} for details") from None


def _print_endpoints(client: Client, config: Path) -> None:
    for endpoint in client_endpoints(client):
        address = client.console if endpoint.setting == "http" else endpoint.address
        _print(f"{_NAMES[endpoint.setting]:<13} {address}")
    _print("For pyflyte and flytectl, in another terminal:")
    _print(f"  export FLYTECTL_CONFIG={shlex.quote(str(config))}")


def _print(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
