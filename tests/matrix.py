"""The configurations tested by all layers that check manifests: both stack files, and several other settings."""

import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from ops.lib.recording import Recording
from ops.lib.stack_file import stack_config
from ops.render import READ_ONLY, render
from settings import PROJECT
from tests.conftest import run
from tests.external_store import AUTHORITY, external, iam

# PyYAML's safe loader, in C if PyYAML was built with it, which is ten times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

DEFINITIONS = [
    json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "captured" / "definitions").glob("*.json"))
]
"""Definitions of other software, of whose kinds the stack can have objects."""
STACKS = ("dev", "prod")
# The oldest and the newest supported minor version of Kubernetes.
KUBERNETES = ("1.31", "1.37")

_HOSTS = {"console": "flyte.home.example", "objectStore": "s3.home.example"}
_AUTHORITY = "-----BEGIN CERTIFICATE-----\nMAoGCCqGSM49BAMC\n-----END CERTIFICATE-----\n"
# In parts, so that no scanner takes it for a key.
_SSH_KEY = "\ngiven\n".join(f"-----{edge} OPENSSH PRIVATE KEY-----" for edge in ("BEGIN", "END"))
BACKUP = "backup to an S3 bucket of a private authority, with rehearsals"
EXTERNAL = "external store with a private authority"
OUTSIDE = "a database and a store outside, with a backup and rows that expire"
CNPG = "a database cluster of CloudNativePG with everything around it"
MONITORED = "monitoring for both operators"
CHART_RIGHTS = "the chart's own rights, no network policies, restricted tasks"

SETTINGS: dict[str, dict[str, Any]] = {
    "smallest": {},
    "several projects, own domains and template": {
        "projects": [
            {"name": "a", "description": "with {{ braces }}", "taskSecrets": ["tidal-creds"]},
            {
                "name": "b",
                "quota": {"pods": 3},
                "podSecurity": {"enforce": "privileged", "reason": "writes to a tape drive"},
                "serviceAccountToken": True,
                "runAsUser": 0,
                "existingSecrets": ["of-the-operator"],
                "serviceAccounts": ["reader"],
                "volumeTypes": ["hostPath", "nfs"],
                "bucketQuota": "10Gi",
                "egress": {"internet": False, "networks": ["192.168.1.20/32", "fd00::/8"]},
            },
        ],
        "domains": ["d-dev", "p-dev"],
        "namespaceTemplate": "103020-{project}-x-{domain}",
    },
    "storage classes, sizes and resources": {
        "domains": ["development"],
        "postgres": {"volume": {"size": "5Gi", "storageClass": "local-path"}, "maxConnections": 200},
        "minio": {"volume": {"size": "1Ti", "storageClass": "longhorn"}, "bucket": "other"},
        "flyte": {"resources": {"limits": {"cpu": "4", "memory": "4Gi"}}, "terminationGracePeriodSeconds": 30},
        "tasks": {"requests": {"cpu": "250m", "memory": "512Mi"}, "quota": {"pods": 10}},
    },
    "given password, secret of one domain, mirror": {
        "postgresPassword": "given-password",
        "tidalCreds-production": '{"token": "of-production"}',
        "images": {"minio": "mirror.home:5000/silo:1", "flyte": "mirror.home:5000/flyte@sha256:" + "a" * 64},
    },
    "own values of the chart and addresses": {
        "domains": ["development"],
        "flyteValues": {
            "deployment": {"labels": {"team": "home"}, "extraEnvVars": [{"name": "TZ", "value": "Europe/Berlin"}]},
            "configuration": {"logging": {"level": 5}},
        },
        "clientEndpoints": {"objectStore": "https://s3.home.example", "grpc": "dns:///flyte.home.example:443"},
        "network": {"clients": ["traefik"]},
    },
    "traefik, certificates of an issuer, login, links to logs": {
        "domains": ["development"],
        "ingress": {"controller": "traefik", "hosts": _HOSTS, "tls": {"issuer": "home"}},
        "auth": {"issuer": "https://id.home.example/realms/home", "egress": {"networks": ["192.168.1.20/32"]}},
        "oidcClientSecret": "given-oidc-secret",
        "logLinks": {
            "kubernetesDashboard": "https://dashboard.home.example",
            "grafana": {"url": "https://grafana.home.example"},
            "custom": [{"name": "Logs", "uri": "https://logs.home.example/?pod={{ .podName }}"}],
        },
    },
    "secrets from Global, three webhooks": {
        "domains": ["development"],
        "tidalCreds": None,
        "projects": [{"name": "remedy"}],
        "secretManager": {"type": "Global", "globalSecrets": ["spotify", "tidal-creds"]},
        "flyte": {"webhook": {"replicas": 3}},
        "minio": {"bucketQuota": "50Gi"},
    },
    "everything expires": {
        "domains": ["development"],
        "retention": {
            "executions": 90,
            "cache": 30,
            "objects": 210,
            "schedule": "0 4 * * 0",
            "finishedHours": 2,
            "finishedPods": "delete",
        },
        "flyte": {"scheduleCatchUp": "1h"},
    },
    BACKUP: {
        "domains": ["development"],
        "backup": {
            "target": "s3:https://nas.home.example:9000/backups/flyte",
            "accessKeyId": "flyte-backup",
            "region": "eu-central-1",
            "certificateAuthority": _AUTHORITY,
            "recoveryKey": "0" * 64,
            "drillSchedule": "0 5 1 * *",
            "timeZone": "Europe/Berlin",
        },
        "backupCredentials": "given-store-secret",
        "protect": True,
        "keepVolumes": True,
    },
    "backup to an SFTP server": {
        "domains": ["development"],
        "backup": {
            "target": "sftp://backup@nas.home.example:2222//volume1/flyte",
            "knownHosts": ["[nas.home.example]:2222 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"],
            "volume": {"size": "5Gi", "storageClass": "longhorn"},
            "prune": False,
        },
        "backupCredentials": _SSH_KEY,
    },
    "backup to a claim": {
        "domains": ["development"],
        "backup": {"target": "claim:nas/flyte", "keep": {"daily": 3, "weekly": 0, "monthly": 0}},
        "network": {"enabled": False},
    },
    MONITORED: {
        "domains": ["development"],
        "monitoring": {"scrape": "operator", "dashboards": {"grafanaOperator": True}},
        "backup": {"target": "claim:nas/flyte"},
    },
    "monitoring with annotations, without metrics of the cluster": {
        "domains": ["development"],
        "monitoring": {"scrape": "annotations", "namespace": "observability", "clusterMetrics": False},
    },
    "nginx at another port with a given certificate": {
        "domains": ["development"],
        "ingress": {
            "controller": "nginx",
            "hosts": {**_HOSTS, "grpc": "grpc.home.example"},
            "port": 8443,
            "tls": {"secret": "wildcard"},
            "withoutLogin": {"reason": "only one laptop reaches these hosts"},
        },
    },
    EXTERNAL: external("development", certificateAuthority=AUTHORITY, region="eu-home"),
    "external store of AWS with roles": iam("development"),
    "a database outside, rows that expire": {
        "domains": ["development"],
        "postgres": {
            "mode": "external",
            "external": {
                "host": "192.168.1.20",
                "port": 5433,
                "database": "workflows",
                "username": "engine",
                "tls": {"certificateAuthority": AUTHORITY},
            },
        },
        "postgresPassword": "given-password",
        "retention": {"executions": 90},
        "flyte": {"scheduleCatchUp": "1h"},
        "backup": {"target": "claim:nas"},
    },
    "a database of another namespace, its password in a Secret": {
        "domains": ["development"],
        "postgres": {
            "mode": "external",
            "external": {
                "host": "db-rw.databases.svc",
                "tls": {"mode": "require"},
                "existingSecret": {"name": "db-app", "namespace": "databases"},
            },
        },
    },
    OUTSIDE: {
        **external("development", certificateAuthority=AUTHORITY, region="eu-home", backup=True),
        "postgres": {
            "mode": "external",
            "external": {
                "host": "db.home.example",
                "networks": ["192.168.1.21/32"],
                "tls": {"certificateAuthority": AUTHORITY},
            },
        },
        "postgresPassword": "given-password",
        "retention": {"executions": 90},
        "flyte": {"scheduleCatchUp": "1h"},
        "backup": {"target": "claim:nas"},
    },
    CNPG: {
        "domains": ["development"],
        "postgres": {
            "mode": "cloudnative-pg",
            "volume": {"size": "20Gi", "storageClass": "local-path"},
            "cloudnativePg": {
                "spread": "required",
                "archive": {
                    "destination": "s3://backups/flyte",
                    "endpoint": "https://nas.home.example:9000",
                    "accessKeyId": "flyte-archive",
                    "region": "eu-home",
                    "certificateAuthority": AUTHORITY,
                },
            },
        },
        "postgresArchiveKey": "given-archive-key",
        "placement": {"nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "home/database"}]},
        "retention": {"executions": 90},
        "flyte": {"scheduleCatchUp": "1h"},
        "backup": {"target": "claim:nas"},
        "monitoring": {"scrape": "operator"},
    },
    "one database instance of CloudNativePG": {
        "domains": ["development"],
        "postgres": {"mode": "cloudnative-pg", "cloudnativePg": {"instances": 1}},
        "postgresPassword": "given-password",
        "network": {"enabled": False},
        "protect": True,
        "keepVolumes": True,
    },
    "a mirror, logins at registries, GPUs, mails": {
        "domains": ["development"],
        "projects": [{"name": "vision", "gpus": 2, "taskSecrets": ["tidal-creds"]}, {"name": "remedy"}],
        "gpus": {"runtimeClass": "nvidia", "tolerations": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]},
        "registries": {
            "mirror": "registry.home:5000/mirror",
            "logins": [
                {"host": "registry.home:5000", "user": "flyte"},
                {"host": "docker.io", "user": "me", "setting": "hubCreds"},
            ],
        },
        "registryPassword": "given-registry-password",
        "hubCreds": "given-hub-password",
        "notifications": {"host": "mail.home.example", "sender": "flyte@home.example", "user": "flyte"},
        "smtpPassword": "given-smtp-password",
        "backup": {"target": "claim:backups/flyte"},
    },
    CHART_RIGHTS: {
        "domains": ["development"],
        "flyte": {"rights": "chart"},
        "flyteValues": {
            "flyte-core-components": {"admin": {"disableClusterResourceManager": False}},
            "rbac": {"extraRules": [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get"]}]},
        },
        "network": {"enabled": False},
        "tasks": {"podSecurity": "restricted"},
    },
}
CASES = (*STACKS, *SETTINGS)


@functools.cache
def recording(case: str) -> Recording:
    """The recording of one of the `CASES`: the name of a stack file or of an entry in `SETTINGS`."""
    return run(**SETTINGS[case]) if case in SETTINGS else of_stack(case)


def of_stack(stack: str, **more: Any) -> Recording:
    """The recording with a stack file of this repository, pinned to some cluster, and additional settings."""
    config, _ = stack_config(stack)
    own = {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items() if key.startswith(f"{PROJECT}:")}
    return run(stack, **{**own, "clusterUid": "pinned", **more})


def manifests(case: str) -> dict[str, dict[str, Any]]:
    """The Kubernetes objects of one of the `CASES` as Pulumi creates them, by their file names in ``make render``."""
    return objects(recording(case))


def objects(recorded: Recording) -> dict[str, dict[str, Any]]:
    """The Kubernetes objects of a recording as Pulumi creates them, by their file names in ``make render``."""
    files = render(recorded, show_secrets=True)
    found = {
        name: yaml.load(text, _LOADER)  # noqa: S506 (a safe loader)
        for name, text in files.items()
        if not name.endswith(".values.yaml")
    }
    for manifest in found.values():
        for label in READ_ONLY if manifest["kind"] == "Secret" else ():
            del manifest["metadata"]["labels"][label]
    return found


def is_builtin(manifest: Mapping[str, Any]) -> bool:
    """Whether Kubernetes itself has the kind of an object."""
    return manifest["kind"] not in {definition["spec"]["names"]["kind"] for definition in DEFINITIONS}


def distinct(manifests: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The manifests without duplicates; most are the same in many cases."""
    return list({json.dumps(manifest, sort_keys=True): manifest for manifest in manifests}.values())
