"""Flyte on a home cluster: the table of contents."""

from collections.abc import Mapping
from dataclasses import replace

import pulumi
import pulumi_random as random
from pulumi import ResourceOptions

from components.access import access
from components.auth import Auth, AuthArgs
from components.chart import chart_archive, project_path
from components.cluster_fence import ClusterFence, ClusterFenceArgs, find_kubeconfig
from components.flyte_binary import RELEASE, TASK_STORE_SECRET, FlyteBinary, FlyteBinaryArgs, task_store_environment
from components.flyte_rights import FlyteRights, FlyteRightsArgs
from components.images import images
from components.ingress import Ingress, IngressArgs
from components.interrupted_release import forget_interrupted_release
from components.minio import Minio, MinioArgs
from components.network_policies import NetworkPolicies, NetworkPoliciesArgs
from components.postgres import Postgres, PostgresArgs
from components.project_namespaces import ProjectNamespaces, ProjectNamespacesArgs, platform_namespace
from components.raw_outputs import RawOutputs, RawOutputsArgs
from components.secrets_webhook import SecretsWebhook, SecretsWebhookArgs
from components.store_users import RetiredUsers, RetiredUsersArgs
from components.task_pod_policy import TaskPodPolicy, TaskPodPolicyArgs
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
    "projects",
    ProjectNamespacesArgs(settings.namespaces, settings.tasks.resources, fence.provider, settings.tasks.placement),
    fenced,
)

password = settings.postgres_password.get_secret_value() or None
generation = settings.generations
postgres = Postgres(
    "postgres",
    PostgresArgs(
        namespace=namespace,
        image=image["postgres"],
        safekeeping=keep,
        password=password,
        generation=generation.postgres,
        superuser_generation=generation.postgres_superuser,
        placement=settings.placement,
        **dict(settings.postgres),
    ),
    fenced,
)
endpoints = settings.endpoints
minio = Minio(
    "minio",
    MinioArgs(
        namespace=namespace,
        image=image["minio"],
        client_image=image["mc"],
        safekeeping=keep,
        client_endpoint=endpoints.object_store,
        bucket=settings.minio.bucket,
        projects=settings.namespaces,
        volume=settings.minio.volume,
        resources=settings.minio.resources,
        root_generation=generation.minio_root,
        flyte_generation=generation.minio_flyte,
        task_generation=generation.minio_tasks,
        placement=settings.placement,
    ),
    fenced,
)

secrets: Mapping[str, Mapping[str, Mapping[str, pulumi.Input[str]]]] = {
    **settings.task_secret_values,
    TASK_STORE_SECRET: task_store_environment(minio.store),
}
task_secrets = [
    TaskSecret(name, TaskSecretArgs(name, projects.names, values, requires=[minio]), fenced)
    for name, values in secrets.items()
]

minimal = settings.flyte.rights == "minimal"
# None: Flyte makes namespaces of its own, which nobody knows beforehand.
watched = list(projects.names) if minimal else None
webhook = SecretsWebhook("webhook", SecretsWebhookArgs(namespace, watched, fence.provider, generation.webhook), fenced)
fences: list[pulumi.Resource] = [
    TaskPodPolicy("task-pods", TaskPodPolicyArgs(watched, fence.provider), fenced),
]
if minimal:
    fences.append(
        FlyteRights("rights", FlyteRightsArgs(namespace, projects.names, webhook.certificate, fence.provider), fenced)
    )
if settings.network.enabled:
    network = NetworkPoliciesArgs(
        namespace=settings.namespace,
        platform=namespace,
        projects=settings.namespaces,
        task_namespaces=projects.names,
        cluster_provider=fence.provider,
        clients=settings.network.clients,
        client_pods=settings.ingress.controller_pods,
        login=settings.auth.egress if endpoints.login else None,
    )
    fences.append(NetworkPolicies("network", network, fenced))

auth = None
if endpoints.login:
    auth = Auth(
        "auth",
        AuthArgs(
            namespace,
            settings.auth,
            client_secret=settings.oidc_client_secret.get_secret_value(),
            http=endpoints.http,
            secrets=settings.secret_manager.files,
            generation=generation.auth,
        ),
        fenced,
    ).flyte

flyte = FlyteBinary(
    "flyte",
    FlyteBinaryArgs(
        namespace=namespace,
        cluster_provider=fence.provider,
        certificate=webhook.certificate,
        before_release=forget_interrupted_release(RELEASE, settings.namespace, settings.context, kubeconfig),
        requires=[projects, postgres, minio, *task_secrets, webhook, *fences],
        chart=project_path(archive),
        images=image,
        database=postgres.database,
        store=minio.store,
        projects={project.name: project.description for project in settings.projects},
        domains=settings.domains,
        namespace_template=settings.flyte_namespace_template,
        task_maximum=settings.tasks.maximum,
        secret_manager=settings.secret_manager,
        auth=auth,
        log_links=settings.log_links.configuration,
        grpc_service_annotations=settings.ingress.grpc_service_annotations,
        placement=settings.placement,
        protect=settings.protect,
        values=settings.flyte_values,
        **dict(settings.flyte),
    ),
    fenced,
)
# When Flyte has its new key, and not before.
administration = replace(minio.administration, namespace=flyte.namespace)
RetiredUsers("retired-users", RetiredUsersArgs(administration, settings.minio.task_key_window), fenced)
outputs = RawOutputsArgs(
    flyte.namespace, image["postgres"], settings.namespaces, auth.secret if auth else None, settings.placement
)
RawOutputs("raw-outputs", outputs, fenced)
if settings.ingress.controller != "none":
    buckets = [settings.minio.bucket, *(project.bucket for project in settings.namespaces)]
    Ingress("ingress", IngressArgs(flyte.namespace, settings.ingress, buckets), fenced)

for name, value in access(settings.context, settings.kubeconfig, flyte.namespace, endpoints).items():
    pulumi.export(name, value)
