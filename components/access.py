"""How a person reaches the stack: what the stack's outputs say."""

import shlex
from typing import Any
from urllib.parse import SplitResult, urlsplit

import pulumi
import yaml

from components import flyte_binary, minio


def access(
    context: str, kubeconfig: str, namespace: pulumi.Input[str], http: str, grpc: str, object_store: str, insecure: bool
) -> dict[str, Any]:
    """The stack outputs: names, addresses, Flyte's client configuration, and the commands that open the way.

    Args:
        context: kubeconfig context, for the commands.
        kubeconfig: its file, where kubectl would not find it by itself; otherwise empty.
        namespace: that of the services, known once they answer.
        http: address of console and REST API, as a client outside the cluster reaches it.
        grpc: address of the gRPC API, likewise.
        object_store: address of the object store, likewise.
        insecure: whether gRPC goes without TLS.
    """
    forwards = ways(http, grpc, object_store)
    where = f" --kubeconfig {shlex.quote(kubeconfig)}" if kubeconfig else ""
    return {
        "namespace": namespace,
        "services": {"http": forwards[0][0], "grpc": forwards[1][0], "objectStore": forwards[2][0]},
        "consoleUrl": f"{http}/console",
        "clientConfig": client_config(http, grpc, insecure),
        # Needed where the addresses are this machine's own, which is the default.
        "portForwards": [
            pulumi.Output.concat(
                f"kubectl{where} --context {shlex.quote(context)} --namespace ",
                namespace,
                f" port-forward service/{service} {split_address(address).port or port}:{port}",
            )
            for service, port, address in forwards
        ],
    }


def ways(http: str, grpc: str, object_store: str) -> list[tuple[str, int, str]]:
    """Service, its port, and the address at which a client reaches it (arguments as in :func:`access`)."""
    return [
        (flyte_binary.HTTP_SERVICE, flyte_binary.HTTP_PORT, http),
        (flyte_binary.GRPC_SERVICE, flyte_binary.GRPC_PORT, grpc),
        (minio.SERVICE, minio.PORT, object_store),
    ]


def client_config(http: str, grpc: str, insecure: bool) -> str:
    """Flyte's client configuration, as YAML (arguments as in :func:`access`).

    https://docs-legacy.flyte.org/en/latest/flytectl/overview.html#configuration
    """
    # Without an address of its own, the console would be looked for at that of the gRPC API.
    config = {"admin": {"endpoint": grpc, "insecure": insecure}, "console": {"endpoint": http}}
    return yaml.safe_dump(config, sort_keys=False)


def split_address(address: str) -> SplitResult:
    """The parts of an HTTP address, or of a gRPC one such as ``dns:///127.0.0.1:8089``."""
    return urlsplit(address.replace("dns:///", "dns://"))
