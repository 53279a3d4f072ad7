"""Postgres, the object store and Flyte."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from settings.cloudnative_pg import CloudNativePg
from settings.external_store import ExternalStore
from settings.postgres_external import ExternalPostgres
from settings.quantities import Resources, StorageLimit, Volume, default_resources
from settings.values import Model, PartError

VolumeGeneration = Annotated[int, Field(ge=1, le=1000)]
"""Number of a volume of the database; each major version of PostgreSQL needs another volume."""

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def _duration(value: str) -> str:
    if value and not re.fullmatch(r"[0-9]{1,4}[mhd]", value):
        raise ValueError("is not a duration; write minutes, hours or days, such as 30m, 1h or 2d; empty: no limit")
    return value


class PostgresSettings(Model):
    """Flyte's database."""

    mode: Literal["bundled", "cloudnative-pg", "external"] = "bundled"
    """bundled: one pod; cloudnative-pg: a cluster of that operator; external: another server; docs/outgrowing.md."""
    external: ExternalPostgres = ExternalPostgres()
    """The server of the mode external."""
    cloudnative_pg: CloudNativePg = CloudNativePg()
    """The cluster of the mode cloudnative-pg."""
    volume: Volume = Volume(size="10Gi")
    """Volume of the bundled server, or of each instance of the mode cloudnative-pg."""
    volume_generation: VolumeGeneration = 1
    """Generation of the volume. Only make upgrade raises it, when it copies the data to a new volume."""
    kept_volumes: list[VolumeGeneration] = []
    """Generations of earlier volumes, which stay until make upgrade DROP_OLD_VOLUME=yes."""
    max_connections: int = Field(default=100, ge=30, le=1000)
    """Connections the server accepts. Flyte's five pools share them."""
    resources: Resources = default_resources("100m", "128Mi", "2", "512Mi")
    """Requests and limits of the container of the server, or of each instance."""

    def model_post_init(self, _context: Any) -> None:
        if self.volume_generation in self.kept_volumes:
            index = self.kept_volumes.index(self.volume_generation)
            raise PartError(
                "is the generation in use (volumeGeneration), not an earlier one; leave it out",
                f"keptVolumes[{index}]",
                str(self.volume_generation),
            )

    @property
    def generations(self) -> list[int]:
        """Generations of all volumes, the oldest first."""
        return sorted({*self.kept_volumes, self.volume_generation})


def database_claim(generation: int) -> str:
    """Name of the claim of a volume of the database. The first one has no number, as before there were generations."""
    return "postgres-data" if generation == 1 else f"postgres-data-{generation}"


class MinioSettings(Model):
    """The object store."""

    mode: Literal["bundled", "external"] = "bundled"
    """bundled: a server in the cluster; external: the S3 store in external. make up rejects a change without a move."""
    external: ExternalStore = ExternalStore()
    """S3 store that the stack uses but does not run; see docs/outgrowing.md."""
    keep_volume: bool = False
    """external: whether the volume of the bundled server stays in the cluster."""
    volume: Volume = Volume(size="20Gi")
    """Volume of the object store."""
    bucket: str = Field(default="flyte", pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")
    """Bucket for Flyte's metadata and for registered code."""
    data_bucket: str = "{project}-{domain}"
    """Template for the bucket with the task data of a project and domain."""
    bucket_quota: StorageLimit = ""
    """The most that the bucket of each project and domain may hold; empty: no limit."""
    task_key_window: int = Field(default=3600, ge=0, le=604800)
    """Seconds for which task keys of the previous generation still open the store, so that running tasks can finish."""
    resources: Resources = default_resources("100m", "256Mi", "2", "1Gi")
    """Requests and limits of the container."""

    @property
    def used_external(self) -> ExternalStore | None:
        """The external store, if the stack uses one."""
        return self.external if self.mode == "external" else None

    @property
    def token_audience(self) -> str:
        """Audience of the token that task pods exchange for the keys of their role; empty without roles."""
        external = self.used_external
        return external.token_audience if external else ""


class WebhookSettings(Model):
    """The webhook that puts secrets into task pods."""

    replicas: int = Field(default=1, ge=1, le=10)
    """Pods of the webhook. While none is ready, tasks with secrets wait."""
    resources: Resources = default_resources("10m", "64Mi", "500m", "192Mi")
    """Requests and limits of the container."""
    vertical_pod_autoscaler: Literal["none", "Off", "Initial", "Recreate", "InPlaceOrRecreate"] = "none"
    """Update mode of a VerticalPodAutoscaler, whose definition the cluster must have; Off: it only recommends."""


class FlyteSettings(Model):
    """Flyte, and its webhook."""

    log_level: int = Field(default=3, ge=1, le=5)
    """1 fatal, 2 error, 3 warning, 4 info, 5 debug."""
    max_parallelism: int = Field(default=25, ge=1, le=10000)
    """Nodes of one workflow that run at the same time."""
    rights: Literal["minimal", "chart"] = "minimal"
    """chart: the chart's own ClusterRole, which can create namespaces, and read and write every Secret."""
    termination_grace_period_seconds: int = Field(default=10, ge=1, le=600)
    """Seconds Flyte gets to stop. It ignores SIGTERM, so every restart takes this long."""
    resources: Resources = default_resources("100m", "256Mi", "2", "1Gi")
    """Requests and limits of the container."""
    schedule_catch_up: Annotated[str, AfterValidator(_duration)] = ""
    """How far back Flyte starts, after it was away, what its schedules missed: 1h, 2d; empty: everything."""
    webhook: WebhookSettings = WebhookSettings()
    """The webhook that puts secrets into task pods."""

    @property
    def catch_up_interval(self) -> str:
        """`schedule_catch_up` as PostgreSQL writes intervals; empty: no limit."""
        return f"{self.schedule_catch_up[:-1]} {_UNITS[self.schedule_catch_up[-1]]}" if self.schedule_catch_up else ""
