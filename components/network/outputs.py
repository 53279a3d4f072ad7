"""The outputs of the stack: how a person reaches it."""

import shlex
from typing import Any, NamedTuple

import pulumi

from components.flyte import names
from components.object_store import minio
from settings import go_yaml
from settings.endpoints import Endpoints
from settings.values import split_address

LOOPBACK_HOSTS = {"127.0.0.1", "localhost", "::1"}
"""Hosts at which a port-forward listens."""


class ServiceEndpoint(NamedTuple):
    """A Service of the stack, and the address at which a client reaches it."""

    service: str
    """Name of the Service; empty: the server is not in the stack."""
    port: int
    """Port of the Service."""
    address: str
    """Address of the client endpoint."""


def service_endpoints(endpoints: Endpoints) -> list[ServiceEndpoint]:
    """The Services that clients use: console and REST API, gRPC API, object store."""
    return [
        ServiceEndpoint(names.HTTP_SERVICE, names.HTTP_PORT, endpoints.http),
        ServiceEndpoint(names.GRPC_SERVICE, names.GRPC_PORT, endpoints.grpc),
        ServiceEndpoint(minio.SERVICE if endpoints.bundled_store else "", minio.PORT, endpoints.object_store),
    ]


def stack_outputs(context: str, kubeconfig: str, namespace: pulumi.Input[str], endpoints: Endpoints) -> dict[str, Any]:
    """The outputs of the stack: names, addresses, Flyte's client configuration, and the commands for port-forwards.

    Args:
        context: kubeconfig context, for the commands.
        kubeconfig: path of the kubeconfig if kubectl does not find it by itself; otherwise empty.
        namespace: namespace of the Services, known once they answer.
        endpoints: addresses at which a client reaches the Services.
    """
    where = f" --kubeconfig {shlex.quote(kubeconfig)}" if kubeconfig else ""
    return {
        "namespace": namespace,
        "services": {
            "http": names.HTTP_SERVICE,
            "grpc": names.GRPC_SERVICE,
            **({"objectStore": minio.SERVICE} if endpoints.bundled_store else {}),
        },
        "consoleUrl": f"{endpoints.http}/console",
        "clientConfig": client_config(endpoints),
        # Only for addresses on the client's own machine, which are the default.
        "portForwards": [
            pulumi.Output.concat(
                f"kubectl{where} --context {shlex.quote(context)} --namespace ",
                namespace,
                f" port-forward service/{service} {split_address(address).port or port}:{port}",
            )
            for service, port, address in service_endpoints(endpoints)
            if service and split_address(address).hostname in LOOPBACK_HOSTS
        ],
    }


def client_config(endpoints: Endpoints, ca_file: str = "", client: tuple[str, str] | None = None) -> str:
    """Flyte's client configuration, as YAML, for `flytectl` and `pyflyte`.

    https://docs-legacy.flyte.org/en/latest/flytectl/overview.html#configuration

    Args:
        endpoints: addresses of the stack.
        ca_file: path of the ``ca_certificate`` on this machine, if there is one.
        client: id of the client to log in as, and path of its secret; None: a person logs in with the browser.
    """
    admin: dict[str, object] = {"endpoint": endpoints.grpc, "insecure": endpoints.insecure}
    if ca_file:
        admin["caCertFilePath"] = ca_file
    if endpoints.login and client:
        admin |= {"authType": "ClientSecret", "clientId": client[0], "clientSecretLocation": client[1]}
    elif endpoints.login:
        admin["authType"] = "Pkce"
    # By default, clients look for the console at the address of the gRPC API.
    return go_yaml.dump({"admin": admin, "console": {"endpoint": endpoints.http}}, sort_keys=False)
