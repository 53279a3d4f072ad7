"""Where the tasks of each project and domain store their data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.flyte.auth import CLIENT_ID, CLIENT_SECRET
from components.flyte.names import HTTP_PORT, HTTP_SERVICE
from components.pods import (
    Platform,
    awaited_job,
    container_security,
    pod_security,
    resources,
    script_config_map,
)
from settings.projects import TaskScope
from settings.quantities import Resources, default_resources

JOB = "flyte-raw-outputs"
"""Value of the label of the Job's pods."""
_UID = 65534
_RESOURCES: Resources = default_resources("50m", "32Mi", "1", "128Mi")


@dataclass(frozen=True)
class RawOutputsArgs:
    """The task scopes, and how to log in to Flyte."""

    platform: Platform
    """The platform, with a namespace that is known only when Flyte is ready."""
    scopes: Sequence[TaskScope]
    login: pulumi.Input[str] | None
    """Name of the Secret with which to log in to Flyte; None if Flyte requires no login."""


class RawOutputs(pulumi.ComponentResource):
    """Configures the bucket of each project and domain in Flyte, with a Job that runs again when one changes.

    Flyte stores it in its database, as the attribute ``workflow_execution_config`` of a project and domain. Its
    configuration files have only one setting for all projects
    (https://docs-legacy.flyte.org/en/latest/deployment/configuration/customizable_resources.html).
    """

    def __init__(self, name: str, args: RawOutputsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:RawOutputs", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        outputs = "".join(f"{scope.project} {scope.domain} s3://{scope.bucket}/data\n" for scope in args.scopes)
        scripts = script_config_map(f"{name}-scripts", args.platform.namespace, "flyte", child, {"outputs": outputs})
        pod = args.platform.pod(_pod(args, scripts.metadata.name))
        job = awaited_job(name, args.platform.namespace, JOB, pod, child)
        self.register_outputs({"told": job.metadata.name})


def _pod(args: RawOutputsArgs, scripts: pulumi.Input[str]) -> k8s.core.v1.PodSpecArgsDict:
    env = {"FLYTE_HOST": HTTP_SERVICE, "FLYTE_PORT": str(HTTP_PORT), "OUTPUTS": "/scripts/outputs"}
    volumes: list[k8s.core.v1.VolumeArgsDict] = [{"name": "scripts", "config_map": {"name": scripts}}]
    mounts: list[k8s.core.v1.VolumeMountArgsDict] = [{"name": "scripts", "mount_path": "/scripts", "read_only": True}]
    if args.login:
        items: list[k8s.core.v1.KeyToPathArgsDict] = [{"key": CLIENT_SECRET, "path": CLIENT_SECRET}]
        volumes.append({"name": "login", "secret": {"secret_name": args.login, "items": items}})
        mounts.append({"name": "login", "mount_path": "/login", "read_only": True})
        env |= {"CLIENT_ID": CLIENT_ID, "CLIENT_SECRET_FILE": f"/login/{CLIENT_SECRET}"}
    return {
        "automount_service_account_token": False,
        "enable_service_links": False,
        "restart_policy": "Never",
        "security_context": pod_security(_UID),
        "containers": [
            {
                "name": "raw-outputs",
                # Any image with perl would do; this one is on the node already.
                "image": args.platform.images["postgres"].reference,
                "image_pull_policy": "IfNotPresent",
                "command": ["sh", "/scripts/raw-outputs.sh"],
                "env": [{"name": name, "value": value} for name, value in env.items()],
                "resources": resources(_RESOURCES),
                "security_context": container_security(),
                "volume_mounts": mounts,
            }
        ],
        "volumes": volumes,
    }
