"""An init container of Flyte that limits what its schedules start after it was away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from components.database import AUTHORITY, PASSWORD, Database, connect_script, connection
from components.pods import Platform, container_security, resources, script_config_map
from settings.quantities import Resources, default_resources

_CREDENTIALS, _SCRIPTS = "/run/secrets/database", "/scripts"
_RESOURCES: Resources = default_resources("10m", "32Mi", "500m", "64Mi")


def catch_up_values(
    name: str, platform: Platform, database: Database, age: str, opts: pulumi.ResourceOptions
) -> pulumi.Output[Mapping[str, Any]]:
    """Values of the chart for the init container; empty without an ``age``, as PostgreSQL writes intervals.

    It runs whenever Flyte starts. A schedule that another Flyte is still running at that moment is not affected: its
    last time is in Flyte's snapshot, and is younger.
    """
    if not age:
        return pulumi.Output.from_input({})
    scripts = script_config_map(f"{name}-schedules", platform.namespace, "schedules", opts, connect_script())
    return pulumi.Output.all(
        scripts=scripts.metadata.name,
        credentials=database.credentials,
        authority=database.authority or "",
        host=database.host,
    ).apply(lambda known: {"deployment": _deployment(platform, database, age, **known)})


def _deployment(
    platform: Platform, database: Database, age: str, scripts: str, credentials: str, authority: str, host: str
) -> dict[str, Any]:
    environment = {**connection(database, _CREDENTIALS, _SCRIPTS), "PGHOST": host, "AGE": age}
    security = container_security()
    return {
        "initContainers": [
            {
                "name": "skip-missed-schedules",
                "image": platform.images["postgres"].reference,
                "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/sh", f"{_SCRIPTS}/skip-missed.sh"],
                "env": [{"name": variable, "value": value} for variable, value in environment.items()],
                "resources": resources(_RESOURCES),
                "securityContext": {
                    "allowPrivilegeEscalation": security["allow_privilege_escalation"],
                    "readOnlyRootFilesystem": security["read_only_root_filesystem"],
                    "capabilities": security["capabilities"],
                },
                "volumeMounts": [
                    {"name": "database-password", "mountPath": _CREDENTIALS, "readOnly": True},
                    {"name": "schedule-scripts", "mountPath": _SCRIPTS, "readOnly": True},
                ],
            }
        ],
        "extraVolumes": [
            _credentials(credentials, authority),
            {"name": "schedule-scripts", "configMap": {"name": scripts}},
        ],
    }


def _credentials(secret: str, authority: str) -> dict[str, Any]:
    """The volume of `components.database.credentials_volume`, in Helm's notation."""
    items = [{"key": PASSWORD, "path": PASSWORD}]
    if not authority:
        content = {"secretName": secret, "defaultMode": 0o440, "items": items}
        return {"name": "database-password", "secret": content}
    certificate = {"name": authority, "items": [{"key": AUTHORITY, "path": AUTHORITY}]}
    sources = [{"secret": {"name": secret, "items": items}}, {"secret": certificate}]
    return {"name": "database-password", "projected": {"defaultMode": 0o440, "sources": sources}}
