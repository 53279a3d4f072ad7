"""Flyte itself: the flyte-binary chart, with its credentials kept out of Helm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.flyte.catch_up import catch_up_values
from components.flyte.names import RELEASE, WORKFLOWS
from components.flyte.storage import STORE_KEY
from components.flyte.values import FlyteConfiguration, chart_values
from components.object_store import StoreKey
from components.pods import LABELS, PATIENCE_SECONDS, Platform
from settings import go_yaml

# The same as in the chart's templates/crds/flyteworkflow.yaml.
_WORKFLOWS: k8s.apiextensions.v1.CustomResourceDefinitionSpecArgsDict = {
    "group": "flyte.lyft.com",
    "scope": "Namespaced",
    "names": {"kind": "FlyteWorkflow", "plural": "flyteworkflows", "singular": "flyteworkflow", "short_names": ["fly"]},
    "versions": [
        {
            "name": "v1alpha1",
            "served": True,
            "storage": True,
            "schema": {"open_apiv3_schema": {"type": "object", "x_kubernetes_preserve_unknown_fields": True}},
        }
    ],
}


@dataclass(frozen=True)
class FlyteBinaryArgs:
    """How Flyte is installed."""

    platform: Platform
    configuration: FlyteConfiguration
    chart: str
    """Path of the verified chart archive."""
    hooks: pulumi.ResourceHookBinding
    """Hooks that run before every installation and upgrade of the release."""
    requires: Sequence[pulumi.Resource]
    """Resources that must exist before Flyte and may only be deleted after it."""


class FlyteBinary(pulumi.ComponentResource):
    """The flyte-binary release, its credentials, and the CustomResourceDefinition of its workflows."""

    namespace: pulumi.Output[str]
    """Namespace of Flyte, known once Flyte is ready."""

    def __init__(self, name: str, args: FlyteBinaryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:FlyteBinary", name, None, opts)
        platform, configuration = args.platform, args.configuration
        database, store, auth = configuration.database, configuration.store, configuration.auth
        credentials = k8s.core.v1.Secret(
            f"{name}-config",
            metadata={"namespace": platform.namespace, "labels": LABELS},
            # Named by Pulumi: other credentials mean another name in the pod template, which restarts Flyte. The chart
            # itself hashes only what it renders.
            immutable=True,
            string_data={
                # Flyte merges its files in the order of their names; these come after all files of the chart.
                "202-database.yaml": pulumi.Output.secret(database.password).apply(_database_file),
                **({STORE_KEY: _key_file(store.key)} if store.key else {}),
                **({"204-auth.yaml": auth.clients} if auth else {}),
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        age = configuration.settings.flyte.catch_up_interval
        catch_up = catch_up_values(name, platform, database, age, pulumi.ResourceOptions(parent=self))
        values = pulumi.Output.all(
            host=database.host,
            database_authority=database.authority or "",
            endpoint=store.endpoint,
            store_authority=store.authority,
            credentials=credentials.metadata.name,
            login=auth.secret if auth else "",
            mail=configuration.mail.secret if configuration.mail else "",
            pull_secrets=platform.pull_secrets,
            catch_up=catch_up,
        ).apply(lambda known: chart_values(platform, configuration, **known))
        release = k8s.helm.v3.Release(
            name,
            name=RELEASE,
            namespace=platform.namespace,
            chart=args.chart,
            values=values,
            timeout=PATIENCE_SECONDS,
            # A failed installation or upgrade is rolled back.
            atomic=True,
            opts=pulumi.ResourceOptions(
                parent=self,
                # Destroy deletes Flyte first: if it is protected, nothing is deleted at all.
                protect=platform.safekeeping.protect,
                depends_on=args.requires,
                hooks=args.hooks,
            ),
        )
        # Created after Flyte, so that destroy deletes it before Flyte. The API server then deletes every workflow,
        # Flyte aborts the running ones, and only then is Flyte itself removed. In the opposite order nothing would
        # remove the workflows' finalizers, and their namespaces would never go. Flyte waits for it when it starts.
        workflows = k8s.apiextensions.v1.CustomResourceDefinition(
            f"{name}-workflows",
            metadata={"name": WORKFLOWS, "labels": LABELS},
            spec=_WORKFLOWS,
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=platform.cluster_provider,
                protect=platform.safekeeping.protect,
                depends_on=[release],
            ),
        )
        self.namespace = pulumi.Output.all(release.status.namespace, workflows.metadata.name).apply(
            lambda known: str(known[0])
        )
        self.register_outputs({"namespace": self.namespace})


def _database_file(password: str) -> str:
    return go_yaml.dump({"database": {"postgres": {"password": password}}})


def _key_file(key: StoreKey) -> pulumi.Output[str]:
    """The file in which AWS' library looks for the key."""

    def content(secret_key: str) -> str:
        return f"[default]\naws_access_key_id = {key.access_key}\naws_secret_access_key = {secret_key}\n"

    return pulumi.Output.secret(key.secret_key).apply(content)
