"""Flyte on a home cluster: the contents page. It reads the settings of the stack and builds its parts in order."""

from dataclasses import replace

import pulumi
import pulumi_random as random

from components import backup, cluster, database, flyte, monitoring, network, object_store, retention, tasks
from components.pods import Platform, Safekeeping, pull_secrets
from components.program import collect_no_garbage, end_quietly_when_interrupted
from settings import load_settings
from settings.secrets import TASK_STORE_SECRET

if __name__ == "__main__":  # not in make render, or in tests
    collect_no_garbage()
    end_quietly_when_interrupted()
settings = load_settings()
scopes, generations, endpoints = settings.task_scopes, settings.generations, settings.endpoints

# The cluster. Everything below waits until the fence has compared it with the one that the stack is pinned to.
kubeconfig = cluster.find_kubeconfig(settings.context, settings.kubeconfig)
fence = cluster.ClusterFence(
    "cluster", cluster.ClusterFenceArgs(settings.context, kubeconfig, settings.cluster_uid, pulumi.get_stack())
)
in_cluster = pulumi.ResourceOptions(providers=[fence.contents, random.Provider("random")])
chart = flyte.release_chart(settings.chart)
safekeeping = Safekeeping(settings.protect, settings.keep_volumes)
namespace = cluster.platform_namespace(settings.namespace, safekeeping, fence).metadata.name
logins = pull_secrets("registries", namespace, settings.docker_config, in_cluster)
platform = Platform(namespace, fence.provider, settings.chosen_images, settings.placement, safekeeping, logins)

# An external object store is checked before anything else is created or changed.
external = object_store.external_store("object-store", platform, settings, in_cluster)
in_cluster = object_store.after(external, in_cluster)

# The namespaces of the tasks, the database, the object store, and the secrets of the tasks.
namespaces = tasks.ProjectNamespacesArgs(
    platform, scopes, settings.tasks, settings.minio.used_external, settings.docker_config
)
projects = tasks.ProjectNamespaces("projects", namespaces, in_cluster)
password = settings.postgres_password.get_secret_value()
monitored = settings.monitoring.enabled
archive_key = settings.postgres_archive_key.get_secret_value()
server = database.PostgresArgs(platform, settings.postgres, generations, password, monitored, archive_key)
postgres = database.flyte_database("postgres", server, in_cluster)
days, reader = settings.retention.objects, backup.reader(settings.backup)
bundled = object_store.MinioArgs(
    platform, settings.minio, generations, scopes, endpoints.object_store, days, reader, monitored
)
store = external or object_store.Minio("minio", bundled, in_cluster)
secrets: dict[str, tasks.SecretValues] = {
    **settings.task_secret_values,
    TASK_STORE_SECRET: store.store.task_environment,
}
task_secrets = [
    tasks.TaskSecret(group, tasks.TaskSecretArgs(group, projects.names, values, requires=[store.ready]), in_cluster)
    for group, values in secrets.items()
]

drill = None
if settings.backup.target:
    sets = backup.BackupArgs(platform, settings, pulumi.get_stack(), postgres, store.backup)
    drill = backup.Backup("backup", sets, in_cluster).drill_namespace
monitoring.monitoring("monitoring", platform, settings, postgres, store, in_cluster)

# The guards: what must be in place before Flyte starts a task. With the chart's rights Flyte creates namespaces itself,
# so that their names are not known here.
minimal = settings.flyte.rights == "minimal"
watched = list(projects.names) if minimal else None
webhook_args = flyte.SecretsWebhookArgs(platform, settings.flyte, settings.secret_manager, watched, generations.webhook)
webhook = flyte.SecretsWebhook("webhook", webhook_args, in_cluster)
pod_policy = tasks.TaskPodPolicyArgs(platform, list(projects.names), settings.minio.token_audience)
guards: list[pulumi.Resource] = [tasks.TaskPodPolicy("task-pods", pod_policy, in_cluster)]
if minimal:
    guards.append(flyte.FlyteRights("rights", flyte.FlyteRightsArgs(platform, projects.names), in_cluster))
if settings.network.enabled:
    policies = network.NetworkPoliciesArgs(platform, settings, projects.names, drill)
    guards.append(network.NetworkPolicies("network", policies, in_cluster))

# Flyte, with a login and mails if the stack has them.
login = None
if endpoints.login:
    client_secret = settings.oidc_client_secret.get_secret_value()
    auth = flyte.AuthArgs(platform, settings.auth, client_secret, endpoints.http, generations.auth)
    login = flyte.Auth("auth", auth, in_cluster).flyte
mail = flyte.mail("mail", platform, settings, in_cluster)
configuration = flyte.FlyteConfiguration(settings, postgres.database, store.store, login, mail)
release = flyte.FlyteBinary(
    "flyte",
    flyte.FlyteBinaryArgs(
        platform,
        configuration,
        chart,
        flyte.forget_interrupted_release(flyte.RELEASE, settings.namespace, settings.context, kubeconfig),
        requires=[projects, postgres, store, *task_secrets, webhook, *guards],
    ),
    in_cluster,
)

# What needs a running Flyte: old keys are closed, buckets are configured, clients get access.
running = replace(platform, namespace=release.namespace)
object_store.retire_users("retired-users", running, store, settings.minio, in_cluster)
flyte.RawOutputs("raw-outputs", flyte.RawOutputsArgs(running, scopes, login.secret if login else None), in_cluster)
retention.retention("retention", running, settings.retention, postgres.database, in_cluster)
if settings.ingress.controller != "none":
    network.Ingress("ingress", network.IngressArgs(running, settings.ingress, settings.buckets), in_cluster)
outputs = network.stack_outputs(settings.context, settings.kubeconfig, release.namespace, endpoints)
for name, value in outputs.items():
    pulumi.export(name, value)
