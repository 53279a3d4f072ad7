"""Where the tasks of each project and domain put their data."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.auth import CLIENT_ID, CLIENT_SECRET
from components.flyte_binary import HTTP_PORT, HTTP_SERVICE
from components.hardening import LABELS, container_security, labels, pod_security, resources
from components.images import Image
from components.placement import ANYWHERE, Placement
from components.project_namespaces import ProjectNamespace
from components.scripts import script_config_map
from components.sizes import Amount, Resources

JOB = "flyte-raw-outputs"
_UID = 65534
_RESOURCES = Resources(requests=Amount(cpu="50m", memory="32Mi"), limits=Amount(cpu="1", memory="128Mi"))


@dataclass
class RawOutputsArgs:
    """The projects, and the Flyte that is told."""

    # Namespace of Flyte, known once it is ready.
    namespace: pulumi.Input[str]
    # Any image with bash.
    image: Image
    projects: Sequence[ProjectNamespace]
    # Secret with which to log in to Flyte; None where it wants no login.
    login: pulumi.Input[str] | None = None
    placement: Placement = ANYWHERE


class RawOutputs(pulumi.ComponentResource):
    """Tells Flyte the bucket of each project and domain, in a Job that runs again whenever one changes.

    Flyte keeps it in its database, as the attribute ``workflow_execution_config`` of a project and domain; its
    configuration has only one place for all
    (https://docs-legacy.flyte.org/en/latest/deployment/configuration/customizable_resources.html).
    """

    def __init__(self, name: str, args: RawOutputsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:RawOutputs", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        outputs = "".join(
            f"{project.project} {project.domain} s3://{project.bucket}/data\n" for project in args.projects
        )
        scripts = script_config_map(f"{name}-scripts", args.namespace, "flyte", child, outputs=outputs)
        pod = args.placement.of(_pod(args, scripts.metadata.name))
        job = k8s.batch.v1.Job(
            name,
            metadata={"namespace": args.namespace, "labels": LABELS},
            spec={
                "backoff_limit": 4,
                # Before Pulumi's own ten minutes are over.
                "active_deadline_seconds": 540,
                "template": {"metadata": {"labels": labels(JOB)}, "spec": pod},
            },
            opts=child,
        )
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
                "image": args.image.reference,
                "image_pull_policy": "IfNotPresent",
                "command": ["bash", "/scripts/raw-outputs.sh"],
                "env": [{"name": name, "value": value} for name, value in env.items()],
                "resources": resources(_RESOURCES),
                "security_context": container_security(),
                "volume_mounts": mounts,
            }
        ],
        "volumes": volumes,
    }
