"""How a person reaches the stack: what the stack's outputs say."""

import shlex
from typing import Any

import pulumi

from components import flyte_binary, minio
from components.endpoints import OWN_HOSTS, Endpoints, client_config, split_address


def access(context: str, kubeconfig: str, namespace: pulumi.Input[str], endpoints: Endpoints) -> dict[str, Any]:
    """The stack outputs: names, addresses, Flyte's client configuration, and the commands that open the way.

    Args:
        context: kubeconfig context, for the commands.
        kubeconfig: its file, where kubectl would not find it by itself; otherwise empty.
        namespace: that of the services, known once they answer.
        endpoints: where a client reaches them.
    """
    where = f" --kubeconfig {shlex.quote(kubeconfig)}" if kubeconfig else ""
    return {
        "namespace": namespace,
        "services": {
            "http": flyte_binary.HTTP_SERVICE,
            "grpc": flyte_binary.GRPC_SERVICE,
            "objectStore": minio.SERVICE,
        },
        "consoleUrl": f"{endpoints.http}/console",
        "clientConfig": client_config(endpoints),
        # For addresses that are this machine's own, which is the default.
        "portForwards": [
            pulumi.Output.concat(
                f"kubectl{where} --context {shlex.quote(context)} --namespace ",
                namespace,
                f" port-forward service/{service} {split_address(address).port or port}:{port}",
            )
            for service, port, address in ways(endpoints)
            if split_address(address).hostname in OWN_HOSTS
        ],
    }


def ways(endpoints: Endpoints) -> list[tuple[str, int, str]]:
    """Service, its port, and the address at which a client reaches it: console, gRPC, object store."""
    return [
        (flyte_binary.HTTP_SERVICE, flyte_binary.HTTP_PORT, endpoints.http),
        (flyte_binary.GRPC_SERVICE, flyte_binary.GRPC_PORT, endpoints.grpc),
        (minio.SERVICE, minio.PORT, endpoints.object_store),
    ]
