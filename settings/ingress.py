"""The ingress: access to Flyte and the object store through a controller that the cluster has."""

from typing import Literal

from pydantic import Field
from pydantic.alias_generators import to_camel

from settings.annotations import Annotations
from settings.certificates import Certificates
from settings.credentials import PlainText
from settings.endpoints import Endpoints
from settings.messages.commands import remove_command, typed
from settings.values import Host, Model, ObjectName, OptionalLabel, PartError

_OF_CONTROLLERS = ("nginx.ingress.kubernetes.io/", "traefik.ingress.kubernetes.io/")


class Hosts(Model):
    """Host names under which clients reach the stack. They must resolve to the ingress controller."""

    console: Host = ""
    """Host of console and REST API."""
    grpc: Host = ""
    """Host of the gRPC API; empty: the console's."""
    object_store: Host = ""
    """Host of the object store, which must not be one of the others."""


class Tls(Model):
    """Certificates that the controller serves; without issuer and secret, its own default certificate."""

    issuer: ObjectName = ""
    """cert-manager issuer."""
    issuer_kind: Literal["ClusterIssuer", "Issuer"] = "ClusterIssuer"
    """Kind of the issuer."""
    secret: ObjectName = ""
    """Secret in the stack's namespace with the key and one certificate for all hosts."""
    ca_certificate: Certificates = ""
    """Certificate in PEM of a private authority that clients must trust."""


class WithoutLogin(Model):
    """Consent to an ingress without a login, which lets everyone who reaches it start every workflow."""

    reason: PlainText = Field(default="", max_length=1000)
    """Why there is no login; required without flyte-home:auth."""


class IngressSettings(Model):
    """Access through an ingress controller that the cluster has."""

    controller: Literal["none", "traefik", "nginx"] = "none"
    """none: clients use port-forwards, or the addresses in clientEndpoints."""
    class_name: ObjectName = ""
    """Ingress class; empty: the controller's name."""
    namespace: OptionalLabel = ""
    """Namespace of the controller; empty: kube-system for traefik, ingress-nginx for nginx."""
    hosts: Hosts = Hosts()
    """Host names of the stack."""
    port: int = Field(default=443, ge=1, le=65535)
    """Port at which clients reach the controller."""
    tls: Tls = Tls()
    """Certificates."""
    annotations: Annotations = {}
    """Further annotations of every Ingress."""
    without_login: WithoutLogin = WithoutLogin()
    """Consent to an ingress without a login, which lets everyone who reaches it start every workflow."""

    def model_post_init(self, _context: object) -> None:
        hosts = self.hosts
        if self.controller == "none":
            for name, field in type(self).model_fields.items():
                if getattr(self, name) != field.default:
                    raise PartError(
                        f"has {to_camel(name)}, but no controller, so that it has no effect; write "
                        f"{remove_command(f'flyte-home:ingress.{to_camel(name)}')}, or traefik or nginx",
                        "controller",
                        "traefik",
                    )
            return
        if not hosts.console:
            raise PartError("has no host for the console; write it", "hosts.console", "flyte.home.example")
        if hosts.object_store and hosts.object_store in {hosts.console, hosts.grpc}:
            raise PartError(
                f"has the host {hosts.object_store!r} twice, but the object store's buckets need one of their own; "
                "write another",
                "hosts.objectStore",
                "s3.home.example",
            )
        if self.tls.issuer and self.tls.secret:
            raise ValueError(
                "has both tls.issuer and tls.secret; keep one: " + remove_command("flyte-home:ingress.tls.secret")
            )
        if self.tls.issuer_kind == "Issuer" and not self.tls.issuer:
            raise PartError("has tls.issuerKind, but no tls.issuer; write it", "tls.issuer", "letsencrypt")
        for key in self.annotations:
            if key == "kubernetes.io/ingress.class":
                raise PartError(
                    f"has the annotation {key}, which Kubernetes rejects next to the class; write that instead",
                    "className",
                    self.controller,
                )
            if key.startswith(_OF_CONTROLLERS) and not key.startswith(f"{self.controller}."):
                raise ValueError(
                    f"has the annotation {key}, which has no effect with the controller {self.controller!r}; leave it "
                    f"out: {remove_command(f'flyte-home:ingress.annotations{typed(key)}')}"
                )

    @property
    def endpoints(self) -> Endpoints:
        """The addresses at which a client reaches the stack through the controller."""
        port = "" if self.port == 443 else f":{self.port}"
        return Endpoints(
            http=f"https://{self.hosts.console}{port}",
            grpc=f"dns:///{self.hosts.grpc or self.hosts.console}:{self.port}",
            object_store=f"https://{self.hosts.object_store}{port}",
            insecure=False,
            ca_certificate=self.tls.ca_certificate,
        )
