"""``make connect``: the way from this machine to a stack, kept open until Ctrl-C.

Usage: python -m ops.connect STACK

Where the addresses of ``flyte-home:clientEndpoints`` are this machine's own, it keeps a ``kubectl port-forward`` open
for each and opens it again when it breaks. It writes Flyte's client configuration, and says where everything is. Where
the addresses lead elsewhere, to an ingress, that is all there is to do.
"""

import argparse
import shlex
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import grpc  # type: ignore[import-untyped]

from ops.lib.client import Client, NoAnswerError
from ops.lib.client_endpoints import ClientEndpoint, ForwardError, client_endpoints
from ops.lib.forwards import Forward, Forwards, Kept
from ops.lib.kubectl import Cluster
from ops.lib.port_holder import FOLDER
from ops.lib.stack_file import stack_config
from settings import Settings, settings_from
from settings.errors import SettingsError

# Seconds between two looks at the port-forwards, and for one answer.
_PERIOD = 3.0
_PATIENCE = 5.0
# For an attempt to open one again.
_REOPEN_SECONDS = 5.0
_NAMES = {"http": "console", "grpc": "gRPC", "objectStore": "object store"}


def main() -> int:
    """The command line; 0 when it was ended on purpose, 1 with a message where it could not start."""
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
    """Keep the way open until ``stop`` is set.

    Raises:
        ForwardError: a port is taken, or a service cannot be reached.
    """
    client = Client.of(settings)
    forwards = Forwards("make connect STACK=" + stack, stack, settings.cluster_uid, cluster, settings.namespace, client)
    if not forwards.endpoints:
        _say_where(client, write_config(stack, client))
        return
    with forwards:
        if forwards.ended:
            _say(f"ended   port-forwards that a killed command had left: {', '.join(forwards.ended)}")
        forwards.check_free()
        for forward in forwards.forwards:
            if stop.is_set():
                return
            _open(forwards, forward, stack)
        _say_where(client, write_config(stack, client))
        _say("Ctrl-C ends it.")
        reopen = partial(forwards.open, seconds=_REOPEN_SECONDS)
        kept = [Kept(forward, reopen, answering(client, forward.endpoint), _say) for forward in forwards.forwards]
        while not stop.wait(period):
            for one in kept:
                one.tend()
    _say("closed")


def answering(client: Client, endpoint: ClientEndpoint) -> Callable[[], bool]:
    """Asks whether the service at the other end of a way answers anything at all."""

    def over_http(path: str) -> bool:
        try:
            client.request(f"{endpoint.address}{path}", seconds=_PATIENCE)
        except NoAnswerError:
            return False
        return True

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
    """Write Flyte's client configuration where only its owner can read it; the file."""
    path = FOLDER / f"{stack}.yaml"
    client.write_config(path)
    return path


def _open(forwards: Forwards, forward: Forward, stack: str) -> None:
    try:
        forwards.open(forward)
    except ForwardError as error:
        raise ForwardError(f"{error.says}; make doctor STACK={stack} says more") from None


def _say_where(client: Client, config: Path) -> None:
    for endpoint in client_endpoints(client):
        address = client.console if endpoint.setting == "http" else endpoint.address
        _say(f"{_NAMES[endpoint.setting]:<13} {address}")
    _say("For pyflyte and flytectl, in another terminal:")
    _say(f"  export FLYTECTL_CONFIG={shlex.quote(str(config))}")


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
