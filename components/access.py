"""How a person reaches the stack: what the stack's outputs say."""

import shlex
from typing import Any

import pulumi

from components import flyte_binary, minio
from components.client import Client, client_config, split_address


def access(context: str, kubeconfig: str, namespace: pulumi.Input[str], client: Client) -> dict[str, Any]:
    """The stack outputs: names, addresses, Flyte's client configuration, and the commands that open the way.

    Args:
        context: kubeconfig context, for the commands.
        kubeconfig: its file, where kubectl would not find it by itself; otherwise empty.
        namespace: that of the services, known once they answer.
        client: where a client reaches them.
    """
    forwards = ways(client)
    where = f" --kubeconfig {shlex.quote(kubeconfig)}" if kubeconfig else ""
    return {
        "namespace": namespace,
        "services": {
            "http": flyte_binary.HTTP_SERVICE,
            "grpc": flyte_binary.GRPC_SERVICE,
            "objectStore": minio.SERVICE,
        },
        "consoleUrl": f"{client.http}/console",
        "clientConfig": client_config(client),
        # For addresses that are this machine's own, which is the default.
        "portForwards": [
            pulumi.Output.concat(
                f"kubectl{where} --context {shlex.quote(context)} --namespace ",
                namespace,
                f" port-forward service/{service} {split_address(address).port or port}:{port}",
            )
            for service, port, address in forwards
        ],
    }


def ways(client: Client) -> list[tuple[str, int, str]]:
    """Service, its port, and the address for each that a client reaches at its own machine, through a port-forward."""
    found = [
        (flyte_binary.HTTP_SERVICE, flyte_binary.HTTP_PORT, client.http),
        (flyte_binary.GRPC_SERVICE, flyte_binary.GRPC_PORT, client.grpc),
        (minio.SERVICE, minio.PORT, client.object_store),
    ]
    return [way for way in found if split_address(way[2]).hostname in {"127.0.0.1", "localhost", "::1"}]
