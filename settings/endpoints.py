"""The addresses at which a client outside the cluster reaches the stack."""

from dataclasses import dataclass

from settings.values import GrpcAddress, Model, Url


@dataclass(frozen=True)
class Endpoints:
    """The addresses that a client uses, and what it has to trust and to present there."""

    http: str
    """Address of console and REST API, such as https://flyte.home.example."""
    grpc: str
    """Address of the gRPC API, such as dns:///flyte.home.example:443."""
    object_store: str
    """Address of the object store, for which uploads are signed."""
    insecure: bool
    """Whether gRPC connects without TLS."""
    ca_certificate: str = ""
    """Certificate in PEM of the private authority that signed the servers'; empty: an authority every system trusts."""
    login: bool = False
    """Whether Flyte requires a login."""
    bundled_store: bool = True
    """Whether the object store is a Service of the stack, which a port-forward or an ingress can lead to."""
    store_region: str = "us-east-1"
    """Region in signatures. The bundled store has none, but a signature needs one; Flyte uses the same
    (charts/flyte-binary/values.yaml)."""
    store_ca_certificate: str = ""
    """Certificate in PEM of the private authority of an external object store; empty: none."""


class ClientEndpoints(Model):
    """Addresses at which a laptop reaches the stack. The defaults match the port-forwards in the stack's outputs."""

    http: Url = "http://127.0.0.1:8088"
    """Address of console and REST API."""
    grpc: GrpcAddress = "dns:///127.0.0.1:8089"
    """Address of the gRPC API."""
    object_store: Url = "http://127.0.0.1:9000"
    """Address of the object store."""
    insecure: bool = True
    """Whether gRPC connects without TLS, as through a port-forward."""

    @property
    def endpoints(self) -> Endpoints:
        """The same addresses as endpoints."""
        return Endpoints(self.http, self.grpc, self.object_store, self.insecure)
