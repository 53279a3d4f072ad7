"""The way to Flyte and the object store through the cluster's ingress controller."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import pulumi
import pulumi_kubernetes as k8s
from pydantic import AfterValidator, Field

from components import flyte_binary, minio
from components.certificates import Certificates
from components.endpoints import Endpoints
from components.hardening import LABELS, NAME
from components.sizes import OBJECT_NAME, Label, Model

# The services of Flyte's gRPC API, as the chart's own ingress has them.
_GRPC_SERVICES = (
    "flyteidl.service.AdminService",
    "flyteidl.service.AuthMetadataService",
    "flyteidl.service.DataProxyService",
    "flyteidl.service.IdentityService",
    "flyteidl.service.SignalService",
    "grpc.health.v1.Health",
)


# What there is an Ingress for each; its name is ``flyte-`` and this.
INGRESSES = ("console", "grpc", "object-store")


def _host(value: str) -> str:
    label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    if value and (len(value) > 253 or not re.fullmatch(rf"{label}(\.{label})*", value)):
        raise ValueError("is not the name of a host; write it like flyte.home.example, without https:// and port")
    return value


Host = Annotated[str, AfterValidator(_host)]


class Hosts(Model):
    """The names under which clients reach the stack. They have to lead to the ingress controller."""

    console: Host = Field(default="", description="Of console and REST API.")
    grpc: Host = Field(default="", description="Of the gRPC API; empty: that of the console.")
    object_store: Host = Field(default="", description="Of the object store; one of its own.")


class Tls(Model):
    """The certificates that the controller shows; with neither issuer nor secret, the controller's own default."""

    issuer: str = Field(default="", pattern=OBJECT_NAME, description="cert-manager issuer.")
    issuer_kind: Literal["ClusterIssuer", "Issuer"] = Field(default="ClusterIssuer", description="Kind of the issuer.")
    secret: str = Field(
        default="",
        pattern=OBJECT_NAME,
        description="Secret in the stack's namespace with a certificate for all hosts and its key.",
    )
    ca_certificate: Certificates = Field(
        default="", description="Certificate of a private authority, in PEM, which clients are to trust."
    )


class IngressSettings(Model):
    """The way through an ingress controller that the cluster has."""

    controller: Literal["none", "traefik", "nginx"] = Field(
        default="none", description="none: clients use port-forwards, or what clientEndpoints says."
    )
    class_name: str = Field(
        default="",
        pattern=OBJECT_NAME,
        description="Ingress class; empty: that of the controller's name.",
    )
    namespace: Label | Literal[""] = Field(
        default="", description="Namespace of the controller; empty: kube-system for traefik, ingress-nginx for nginx."
    )
    hosts: Hosts = Hosts()
    port: int = Field(default=443, ge=1, le=65535, description="Port at which clients reach the controller.")
    tls: Tls = Tls()
    annotations: dict[str, str] = Field(default={}, description="Further annotations of every Ingress.")

    def model_post_init(self, _context: object) -> None:
        hosts = self.hosts
        if self.controller == "none":
            if hosts != Hosts():
                raise ValueError("has hosts, but no controller; write controller: traefik or nginx")
            return
        if not hosts.console or not hosts.object_store:
            raise ValueError(
                "needs the hosts console and objectStore; write hosts: {console: flyte.home.example, "
                "objectStore: s3.home.example}"
            )
        if hosts.object_store in {hosts.console, hosts.grpc}:
            raise ValueError(
                f"has the host {hosts.object_store!r} twice, but the object store's buckets need one of their own"
            )
        if self.tls.issuer and self.tls.secret:
            raise ValueError("has both tls.issuer and tls.secret; keep one")

    @property
    def controller_pods(self) -> dict[str, dict[str, str]]:
        """Namespace and labels of the controller's pods, as k3s and the controllers' own charts have them."""
        known = {"traefik": ("kube-system", "traefik"), "nginx": ("ingress-nginx", "ingress-nginx")}
        if self.controller == "none":
            return {}
        namespace, name = known[self.controller]
        return {self.namespace or namespace: {NAME: name}}

    @property
    def endpoints(self) -> Endpoints:
        """How a client reaches the stack this way."""
        port = "" if self.port == 443 else f":{self.port}"
        return Endpoints(
            http=f"https://{self.hosts.console}{port}",
            grpc=f"dns:///{self.hosts.grpc or self.hosts.console}:{self.port}",
            object_store=f"https://{self.hosts.object_store}{port}",
            insecure=False,
            ca_certificate=self.tls.ca_certificate,
        )

    @property
    def grpc_service_annotations(self) -> dict[str, str]:
        """What Flyte's gRPC Service has to say so that the controller speaks HTTP/2 without TLS with it.

        https://doc.traefik.io/traefik/reference/routing-configuration/kubernetes/ingress/#on-service
        """
        if self.controller != "traefik":
            return {}
        return {"traefik.ingress.kubernetes.io/service.serversscheme": "h2c"}


@dataclass
class IngressArgs:
    """The controller, and what it leads to."""

    # Namespace of Flyte and the object store, known once they answer.
    namespace: pulumi.Input[str]
    settings: IngressSettings
    # Those that clients are sent to by signed URLs.
    buckets: Sequence[str]


# For every Ingress, and further ones for that of a service.
_ANNOTATIONS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "traefik": {
        "": {
            "traefik.ingress.kubernetes.io/router.entrypoints": "websecure",
            "traefik.ingress.kubernetes.io/router.tls": "true",
        },
    },
    "nginx": {
        "": {"nginx.ingress.kubernetes.io/force-ssl-redirect": "true"},
        "grpc": {
            "nginx.ingress.kubernetes.io/backend-protocol": "GRPC",
            # Seconds; a client may watch an execution for longer than the minute that nginx allows.
            "nginx.ingress.kubernetes.io/proxy-read-timeout": "3600",
            "nginx.ingress.kubernetes.io/proxy-send-timeout": "3600",
        },
        "object-store": {
            # Uploads of any size, handed on as they come.
            "nginx.ingress.kubernetes.io/proxy-body-size": "0",
            "nginx.ingress.kubernetes.io/proxy-request-buffering": "off",
        },
    },
}


class Ingress(pulumi.ComponentResource):
    """An Ingress each for console, gRPC and the object store, with TLS.

    Of the object store only the buckets are there, and whether it is ready: not its administration.
    """

    def __init__(self, name: str, args: IngressArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:Ingress", name, None, opts)
        hosts = args.settings.hosts
        grpc = hosts.grpc or hosts.console
        buckets = [f"/{bucket}" for bucket in args.buckets]
        self._ingress(name, args, "console", hosts.console, ["/"], flyte_binary.HTTP_SERVICE, flyte_binary.HTTP_PORT)
        self._ingress(
            name,
            args,
            "grpc",
            grpc,
            [f"/{service}" for service in _GRPC_SERVICES],
            flyte_binary.GRPC_SERVICE,
            flyte_binary.GRPC_PORT,
            certificate_of="console" if grpc == hosts.console else "grpc",
        )
        self._ingress(
            name, args, "object-store", hosts.object_store, [*buckets, "/minio/health"], minio.SERVICE, minio.PORT
        )
        self.register_outputs({})

    def _ingress(
        self,
        name: str,
        args: IngressArgs,
        what: str,
        host: str,
        paths: Sequence[str],
        service: str,
        port: int,
        certificate_of: str = "",
    ) -> None:
        settings, tls = args.settings, args.settings.tls
        known = _ANNOTATIONS[settings.controller]
        # Pulumi would wait for an address in the status, which not every controller writes there.
        annotations = {"pulumi.com/skipAwait": "true", **known[""], **known.get(what, {})}
        secret = tls.secret
        if tls.issuer:
            # One certificate for a host: cert-manager refuses two of the same name.
            # https://cert-manager.io/docs/usage/ingress/
            secret = f"flyte-{certificate_of or what}-tls"
            if certificate_of in {"", what}:
                kind = "cluster-issuer" if tls.issuer_kind == "ClusterIssuer" else "issuer"
                annotations[f"cert-manager.io/{kind}"] = tls.issuer
        k8s.networking.v1.Ingress(
            f"{name}-{what}",
            metadata={
                "name": f"flyte-{what}",
                "namespace": args.namespace,
                "labels": LABELS,
                "annotations": annotations | settings.annotations,
            },
            spec={
                "ingress_class_name": settings.class_name or settings.controller,
                "tls": [{"hosts": [host], **({"secret_name": secret} if secret else {})}],
                "rules": [
                    {
                        "host": host,
                        "http": {
                            "paths": [
                                {
                                    "path": path,
                                    "path_type": "Prefix",
                                    "backend": {"service": {"name": service, "port": {"number": port}}},
                                }
                                for path in paths
                            ]
                        },
                    }
                ],
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
