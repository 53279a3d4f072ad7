"""The fence against the wrong cluster: Kubernetes providers that work only with the cluster the stack is pinned to."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from settings.errors import SettingsError


@dataclass(frozen=True)
class ClusterFenceArgs:
    """What the stack says about its cluster."""

    context: str
    """Context in the kubeconfig."""
    kubeconfig: str
    """Path of the kubeconfig that has this context."""
    pinned_uid: str
    """UID of the cluster's kube-system namespace, which lives as long as the cluster; empty: not pinned yet."""
    stack: str
    """Name of the stack, for the commands in messages."""


class ClusterFence(pulumi.ComponentResource):
    """Compares the cluster behind a context with the cluster that the stack is pinned to.

    Both providers get their context only from a successful comparison. So every resource waits for the check, in a
    preview as well as in an update. The name of a context proves nothing: ``default`` or ``kubernetes-admin`` exists on
    most machines and means a different cluster on each.

    ``clusterIdentifier`` keeps Pulumi from planning to replace the whole stack when only the path of the kubeconfig or
    the address of the cluster changes.
    """

    provider: k8s.Provider
    """Provider for cluster-wide objects and namespaces. It refuses to change an object that it did not create."""
    contents: k8s.Provider
    """Provider for objects inside the stack's namespaces, where everything belongs to the stack.

    It takes over an existing object. This makes it safe to repeat an update that was killed after it created an object
    but before it recorded it.
    """

    def __init__(self, name: str, args: ClusterFenceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:ClusterFence", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        identity = k8s.Provider(
            f"{name}-identity",
            context=args.context,
            kubeconfig=args.kubeconfig,
            opts=child,
        )
        kube_system = k8s.core.v1.Namespace.get(
            f"{name}-kube-system", "kube-system", opts=pulumi.ResourceOptions(parent=self, provider=identity)
        )
        context = kube_system.metadata.uid.apply(lambda uid: _checked_context(args, uid))

        def behind_fence(provider_name: str, take_over: bool) -> k8s.Provider:
            return k8s.Provider(
                provider_name,
                context=context,
                kubeconfig=args.kubeconfig,
                cluster_identifier=args.pinned_uid,
                # A task secret has a fixed name and must change in place: a replacement would be missing for a moment.
                # Immutable Secrets and ConfigMaps are still replaced, which rolls the pods that mount them.
                enable_secret_mutable=True,
                # The program decides what its objects look like. Otherwise a field that someone has changed with
                # kubectl, or that an update has written which was then killed, would make every later update fail.
                enable_patch_force=True,
                upsert_existing_objects=take_over,
                opts=child,
            )

        self.provider = behind_fence(name, False)
        self.contents = behind_fence(f"{name}-contents", True)
        self.register_outputs({})


def _checked_context(args: ClusterFenceArgs, uid: str) -> str:
    """The context, if ``uid`` belongs to the cluster the stack is pinned to.

    Raises:
        SettingsError: another cluster answers, or the stack is not pinned yet.
    """
    command = f"pulumi config set flyte-home:clusterUid {uid} --stack {args.stack}"
    if not args.pinned_uid:
        raise SettingsError(
            f"flyte-home:clusterUid: stack {args.stack!r} is not pinned to a cluster yet. The context {args.context!r} "
            f"leads to the cluster {uid}. If this is the right one, write: {command}"
        )
    if uid != args.pinned_uid:
        raise SettingsError(
            f"flyte-home:clusterUid: stack {args.stack!r} belongs to the cluster {args.pinned_uid}, but the context "
            f"{args.context!r} leads to the cluster {uid}. Nothing was changed. Choose the right context, or, to move "
            f"the stack to this cluster, write: {command}"
        )
    return args.context
