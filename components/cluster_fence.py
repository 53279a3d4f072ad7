"""The fence against the wrong cluster: a Kubernetes provider that exists only for the cluster that is pinned."""

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import yaml

from components.errors import SettingsError


@dataclass
class ClusterFenceArgs:
    """What is known about the cluster before asking it."""

    # Context in the kubeconfig.
    context: str
    # Path of the kubeconfig that has this context.
    kubeconfig: str
    # UID of the cluster's kube-system namespace, which lives as long as the cluster; empty: not pinned yet.
    pinned_uid: str
    # Stack name, for the commands in messages.
    stack: str


class ClusterFence(pulumi.ComponentResource):
    """Compares the cluster behind a context with the one that the stack pins, before anything else may use it.

    ``provider`` gets its context only from a successful comparison, so every resource that uses it waits for the
    check, in preview as well as in an update. A context name alone proves nothing: ``default`` or ``kubernetes-admin``
    exists on most machines, and each time means another cluster.

    ``clusterIdentifier`` keeps Pulumi from planning to replace the whole stack when only the kubeconfig's path or
    the cluster's address changes.

    ``provider`` refuses to touch an object that it did not make. ``contents`` takes it over, so that an update that was
    killed between making an object and writing it down can be repeated; it is for what is inside a namespace of this
    stack, where everything belongs to the stack.
    """

    provider: k8s.Provider
    contents: k8s.Provider

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

        def fenced(provider_name: str, take_over: bool) -> k8s.Provider:
            return k8s.Provider(
                provider_name,
                context=context,
                kubeconfig=args.kubeconfig,
                cluster_identifier=args.pinned_uid,
                # A task secret has a fixed name and must change in place: replaced, it would be away for a moment.
                # Secrets and ConfigMaps that say `immutable` are still replaced, and roll the pods that mount them.
                enable_secret_mutable=True,
                upsert_existing_objects=take_over,
                opts=child,
            )

        self.provider = fenced(name, False)
        self.contents = fenced(f"{name}-contents", True)
        self.register_outputs({})


def _checked_context(args: ClusterFenceArgs, uid: str) -> str:
    """The context, if ``uid`` is that of the pinned cluster.

    Raises:
        SettingsError: another cluster answers, or none is pinned yet.
    """
    command = f"pulumi config set flyte-home:clusterUid {uid} --stack {args.stack}"
    if not args.pinned_uid:
        raise SettingsError(
            f"flyte-home:clusterUid: stack {args.stack!r} is not pinned to a cluster yet. The context {args.context!r} "
            f"leads to the cluster {uid}. If this is the one, write: {command}"
        )
    if uid != args.pinned_uid:
        raise SettingsError(
            f"flyte-home:clusterUid: stack {args.stack!r} belongs to the cluster {args.pinned_uid}, but the context "
            f"{args.context!r} leads to the cluster {uid}. Nothing was touched. Choose the right context, or, if the "
            f"stack shall move to this cluster, write: {command}"
        )
    return args.context


def find_kubeconfig(context: str, configured: str = "", environ: Mapping[str, str] = os.environ) -> str:
    """The path of the kubeconfig file that has ``context``, written with ``~`` where it is below the home directory.

    Strict mode of the provider takes one file; kubectl merges those in ``KUBECONFIG``, so the first that has the
    context is taken.

    Args:
        context: the name to look for.
        configured: ``kubernetes:kubeconfig``; otherwise ``KUBECONFIG``, otherwise ``~/.kube/config``.
        environ: where ``KUBECONFIG`` is read.

    Raises:
        SettingsError: no file has the context; the message lists those there are.
    """
    # The provider asks the system for the home directory, not the variable HOME.
    home = pwd.getpwuid(os.getuid()).pw_dir
    for path in _kubeconfigs(configured, environ):
        if context in _contexts(path):
            return str(path).replace(home, "~", 1) if path.is_relative_to(home) else str(path)
    known = known_contexts(configured, environ)
    raise SettingsError(
        f"kubernetes:context: the kubeconfig ({os.pathsep.join(map(str, _kubeconfigs(configured, environ)))}) has no "
        f"context {context!r}; it has {', '.join(map(repr, known)) or 'none'}. Write pulumi config set "
        f"kubernetes:context {known[0] if len(known) == 1 else 'NAME'}, or set KUBECONFIG to the file that has it"
    )


def known_contexts(configured: str = "", environ: Mapping[str, str] = os.environ) -> list[str]:
    """The names of all contexts, in the order of the files (see :func:`find_kubeconfig`)."""
    return [name for path in _kubeconfigs(configured, environ) for name in _contexts(path)]


def _kubeconfigs(configured: str, environ: Mapping[str, str]) -> list[Path]:
    places = configured or environ.get("KUBECONFIG") or "~/.kube/config"
    return [Path(place).expanduser().absolute() for place in places.split(os.pathsep) if place]


def _contexts(path: Path) -> list[str]:
    try:
        content: Any = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError):
        return []
    entries = content.get("contexts") if isinstance(content, dict) else None
    return [str(entry["name"]) for entry in entries or [] if isinstance(entry, dict) and "name" in entry]
