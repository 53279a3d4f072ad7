"""Flyte on a home cluster: the table of contents."""

from collections.abc import Mapping

import pulumi
import pulumi_random as random
from pulumi import ResourceOptions

from components.access import access
from components.chart import chart_archive, project_path
from components.cluster_fence import ClusterFence, ClusterFenceArgs, find_kubeconfig
from components.flyte_binary import RELEASE, TASK_STORE_SECRET, FlyteBinary, FlyteBinaryArgs, task_store_environment
from components.images import images
from components.interrupted_release import forget_interrupted_release
from components.minio import Minio, MinioArgs
from components.postgres import Postgres, PostgresArgs
from components.project_namespaces import ProjectNamespaces, ProjectNamespacesArgs, platform_namespace
from components.task_secret import TaskSecret, TaskSecretArgs
from components.volume import Safekeeping
from settings import Settings

settings = Settings.load()
image = images(settings.images)
kubeconfig = find_kubeconfig(settings.context, settings.kubeconfig)
fence = ClusterFence(
    "cluster", ClusterFenceArgs(settings.context, kubeconfig, settings.cluster_uid, pulumi.get_stack())
)
fenced = ResourceOptions(providers=[fence.contents, random.Provider("random")])
archive = chart_archive(settings.chart.pin, settings.chart.archive)

keep = Safekeeping(settings.protect, settings.keep_volumes)
# A namespace that an earlier destroy kept is taken over; any other that is there already is not.
owner = fence.contents if settings.keep_volumes else fence.provider
namespace = platform_namespace(settings.namespace, keep.options(None, owner)).metadata.name
projects = ProjectNamespaces(
    "projects", ProjectNamespacesArgs(settings.namespaces, settings.tasks.resources, fence.provider), fenced
)

password = settings.postgres_password.get_secret_value() or None
postgres = Postgres(
    "postgres", PostgresArgs(namespace, image["postgres"], keep, password=password, **dict(settings.postgres)), fenced
)
client = settings.client_endpoints
minio = Minio(
    "minio",
    MinioArgs(namespace, image["minio"], image["mc"], keep, client.object_store, **dict(settings.minio)),
    fenced,
)

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
        protect=settings.protect,
        values=settings.flyte_values,
        **dict(settings.flyte),
    ),
    fenced,
)

for name, value in access(settings.context, settings.kubeconfig, flyte.namespace, **dict(client)).items():
    pulumi.export(name, value)
