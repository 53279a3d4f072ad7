"""Flyte's HTTP API within reach of a command, through a port-forward if its address needs one."""

from collections.abc import Iterator
from contextlib import contextmanager

from ops.lib.client import Client
from ops.lib.flyte_login import LoginError, client_secret, logged_in
from ops.lib.forwards import Forwards
from ops.lib.kubectl import Cluster
from ops.lib.port_holder import ForwardError, holder_of
from settings import Settings
from settings.errors import SettingsError


@contextmanager
def flyte_within_reach(stack: str, settings: Settings, cluster: Cluster, command: str) -> Iterator[Client]:
    """Yield a client that reaches Flyte's HTTP API until the end of the context, logged in if Flyte requires it.

    Args:
        stack: name of the stack.
        settings: its settings.
        cluster: its cluster.
        command: name of the running command, for the messages of other commands.

    Raises:
        SettingsError: a port is taken, the service cannot be reached, or Flyte issues no token.
    """
    client = Client.of(settings)
    forwards = Forwards(command, stack, settings.cluster_uid, cluster, settings.namespace, client)
    needed = [forward for forward in forwards.forwards if forward.endpoint.setting == "http"]
    try:
        if not needed or holder_of(stack):
            yield _logged_in(client, cluster, settings)
            return
        with forwards:
            forwards.settle()
            forwards.open(needed[0])
            yield _logged_in(client, cluster, settings)
    except (ForwardError, LoginError) as error:
        raise SettingsError(str(error)) from None


def _logged_in(client: Client, cluster: Cluster, settings: Settings) -> Client:
    return logged_in(client, client_secret(cluster, settings.namespace)) if client.login else client
