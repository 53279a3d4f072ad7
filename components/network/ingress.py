"""Access to Flyte and the object store through the cluster's ingress controller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.flyte import names
from components.object_store import minio
from components.pods import LABELS, Platform
from settings.ingress import IngressSettings

# The services of Flyte's gRPC API, as in the chart's own ingress.
_GRPC_SERVICES = (
    "flyteidl.service.AdminService",
    "flyteidl.service.AuthMetadataService",
    "flyteidl.service.DataProxyService",
    "flyteidl.service.IdentityService",
    "flyteidl.service.SignalService",
    "grpc.health.v1.Health",
)


INGRESSES = ("console", "grpc", "object-store")
"""The names of the Ingresses, without their prefix ``flyte-``."""


@dataclass(frozen=True)
class IngressArgs:
    """The controller, and the buckets it gives access to."""

    platform: Platform
    """The platform, with a namespace that is known only when Flyte is ready."""
    settings: IngressSettings
    buckets: Sequence[str]
    """Names of the buckets to which signed URLs lead clients."""


# Annotations of every Ingress, and further ones of a single Ingress.
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
            # In seconds: a client may watch an execution for longer than the minute that nginx allows.
            "nginx.ingress.kubernetes.io/proxy-read-timeout": "3600",
            "nginx.ingress.kubernetes.io/proxy-send-timeout": "3600",
        },
        "object-store": {
            # Uploads of any size, passed on as they arrive.
            "nginx.ingress.kubernetes.io/proxy-body-size": "0",
            "nginx.ingress.kubernetes.io/proxy-request-buffering": "off",
        },
    },
}


class Ingress(pulumi.ComponentResource):
    """One Ingress each for console, gRPC and the object store, with TLS.

    The one of the object store leads only to the buckets and to the health check, not to the administration API. There
    is none for an external store.
    """

    def __init__(self, name: str, args: IngressArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:Ingress", name, None, opts)
        hosts = args.settings.hosts
        grpc = hosts.grpc or hosts.console
        buckets = [f"/{bucket}" for bucket in args.buckets]
        self._ingress(name, args, "console", hosts.console, ["/"], names.HTTP_SERVICE, names.HTTP_PORT)
        self._ingress(
            name,
            args,
            "grpc",
            grpc,
            [f"/{service}" for service in _GRPC_SERVICES],
            names.GRPC_SERVICE,
            names.GRPC_PORT,
            certificate_of="console" if grpc == hosts.console else "grpc",
        )
        if hosts.object_store:
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
        # Otherwise Pulumi waits for an address in the status, which some controllers never write.
        annotations = {"pulumi.com/skipAwait": "true", **known[""], **known.get(what, {})}
        if settings.without_login.reason:
            annotations["flyte-home/without-login-reason"] = settings.without_login.reason
        secret = tls.secret
        if tls.issuer:
            # One certificate per host: cert-manager rejects two of the same name.
            # https://cert-manager.io/docs/usage/ingress/
            secret = f"flyte-{certificate_of or what}-tls"
            if certificate_of in {"", what}:
                kind = "cluster-issuer" if tls.issuer_kind == "ClusterIssuer" else "issuer"
                annotations[f"cert-manager.io/{kind}"] = tls.issuer
        k8s.networking.v1.Ingress(
            f"{name}-{what}",
            metadata={
                "name": f"flyte-{what}",
                "namespace": args.platform.namespace,
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
