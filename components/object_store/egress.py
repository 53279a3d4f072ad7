"""The way of a pod to an external object store, as network policies allow it."""

from components.pods import Egress, all_pods_of
from settings.egress import NOT_PUBLIC
from settings.external_store import ExternalStore


def external_store_egress(external: ExternalStore) -> list[Egress]:
    """As narrow as the settings allow.

    A policy cannot contain a name. An address is allowed with its port. A Service is allowed by its namespace, because
    a policy needs the port of its pods, which may be another. Any other name leads to the networks in the settings, or
    without these to public addresses.
    """
    port = external.port
    if external.ip_network:
        return [{"to": [{"ip_block": {"cidr": external.ip_network}}], "ports": [{"port": port}]}]
    if external.service_namespace:
        return [{"to": [all_pods_of(external.service_namespace)]}]
    public: Egress = {"to": [{"ip_block": {"cidr": "0.0.0.0/0", "except_": NOT_PUBLIC}}], "ports": [{"port": port}]}
    if not external.networks:
        return [public]
    home: Egress = {"to": [{"ip_block": {"cidr": cidr}} for cidr in external.networks], "ports": [{"port": port}]}
    # A role of AWS is exchanged for keys at another service.
    return [public, home] if external.auth == "iam" else [home]
