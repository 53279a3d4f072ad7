"""How every pod of the stack is built: no component, but what all components share."""

from components.pods.certificate import self_signed
from components.pods.egress import Egress, all_pods_of, dns_egress
from components.pods.job import awaited_job
from components.pods.labels import LABELS, NAME, labels, namespace_labels
from components.pods.password import generated_password, random_password
from components.pods.patience import PATIENCE_SECONDS, patience
from components.pods.placement import placed, placement_values, toleration_fields
from components.pods.platform import Platform
from components.pods.pull_secret import pull_secrets, with_pull_secrets
from components.pods.scripts import binary_config_map, script_config_map
from components.pods.security import container_security, empty_dir, pod_security, resources
from components.pods.stateful_server import StatefulServer, stateful_server
from components.pods.volume import Safekeeping, volume_claim

__all__ = [
    "LABELS",
    "NAME",
    "PATIENCE_SECONDS",
    "Egress",
    "Platform",
    "Safekeeping",
    "StatefulServer",
    "all_pods_of",
    "awaited_job",
    "binary_config_map",
    "container_security",
    "dns_egress",
    "empty_dir",
    "generated_password",
    "labels",
    "namespace_labels",
    "patience",
    "placed",
    "placement_values",
    "pod_security",
    "pull_secrets",
    "random_password",
    "resources",
    "script_config_map",
    "self_signed",
    "stateful_server",
    "toleration_fields",
    "volume_claim",
    "with_pull_secrets",
]
