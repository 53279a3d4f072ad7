"""Flyte on a home cluster: the table of contents."""

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random
from pulumi import ResourceOptions

from components.access import access
from components.chart import chart_archive, project_path
from components.cluster_fence import ClusterFence, ClusterFenceArgs, find_kubeconfig
from components.flyte_binary import RELEASE, TASK_STORE_SECRET, FlyteBinary, FlyteBinaryArgs, task_store_environment
from components.hardening import namespace_labels
from components.images import images
from components.interrupted_release import forget_interrupted_release
from components.minio import Minio, MinioArgs
from components.postgres import Postgres, PostgresArgs
from components.project_namespaces import ProjectNamespaces, ProjectNamespacesArgs
from components.task_secret import TaskSecret, TaskSecretArgs
from components.volume import Safekeeping
from settings import Settings

settings = Settings.load()
image = images(settings.images)
for name in settings.samples:
    pulumi.log.warn(f"flyte-home:{name} holds the sample, which opens nothing; set your own with --secret")

kubeconfig = find_kubeconfig(settings.context, settings.kubeconfig)
cluster = ClusterFenceArgs(settings.context, kubeconfig, settings.cluster_uid, pulumi.get_stack())
fence = ClusterFence("cluster", cluster)
fenced = ResourceOptions(providers=[fence.contents, random.Provider("random")])
safekeeping = Safekeeping(settings.protect, settings.keep_volumes)
archive = chart_archive(settings.chart.pin, settings.chart.archive)

namespace = k8s.core.v1.Namespace(
    settings.namespace,
    metadata={"name": settings.namespace, "labels": namespace_labels("restricted")},
    opts=ResourceOptions(
        # A namespace that an earlier destroy kept is taken over; any other that is there already is not.
        provider=fence.contents if settings.keep_volumes else fence.provider,
        protect=settings.protect,
        retain_on_delete=settings.keep_volumes,
    ),
).metadata.name
projects = ProjectNamespaces(
    "projects", ProjectNamespacesArgs(settings.namespaces, settings.tasks.resources, fence.provider), fenced
)

pg = settings.postgres
password = settings.postgres_password.get_secret_value() or None
database = PostgresArgs(
    namespace, image["postgres"], pg.volume, pg.resources, safekeeping, password, pg.max_connections
)
postgres = Postgres("postgres", database, fenced)

s3 = settings.minio
client = settings.client_endpoints
store = MinioArgs(
    namespace, image["minio"], image["mc"], s3.bucket, s3.volume, s3.resources, safekeeping, client.object_store
)
minio = Minio("minio", store, fenced)

secrets: Mapping[str, Mapping[str, Mapping[str, pulumi.Input[str]]]] = {
    **settings.task_secret_values,
    TASK_STORE_SECRET: task_store_environment(minio.store, projects.names),
}
task_secrets = [
    TaskSecret(name, TaskSecretArgs(name, projects.names, values), fenced) for name, values in secrets.items()
]

flyte = FlyteBinary(
    "flyte",
    FlyteBinaryArgs(
        namespace=namespace,
        cluster_provider=fence.provider,
        before_release=forget_interrupted_release(RELEASE, settings.namespace, settings.context, kubeconfig),
        requires=[projects, postgres, minio, *task_secrets],
        chart=project_path(archive),
        images=image,
        database=postgres.database,
        store=minio.store,
        projects={project.name: project.description for project in settings.projects},
        domains=settings.domains,
        namespace_template=settings.flyte_namespace_template,
        task_maximum=settings.tasks.maximum,
        resources=settings.flyte.resources,
        log_level=settings.flyte.log_level,
        max_parallelism=settings.flyte.max_parallelism,
        termination_grace_period_seconds=settings.flyte.termination_grace_period_seconds,
        protect=settings.protect,
        values=settings.flyte_values,
    ),
    fenced,
)

for name, value in access(
    settings.context, flyte.namespace, client.http, client.grpc, client.object_store, client.insecure
).items():
    pulumi.export(name, value)
