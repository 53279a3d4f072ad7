"""Pinning a stack to its cluster, when it is first deployed."""

from collections.abc import Mapping

from components.cluster.kubeconfig import known_contexts
from ops.lib import dev_cluster
from ops.lib.engine import set_config
from ops.lib.kubectl import Cluster
from settings import PROJECT
from settings.errors import SettingsError

TRIAL_STACK = "dev"
"""The stack for trying things out, which may use the only context there is."""


def choose_context(stack: str, configured: str, asked: str, contexts: list[str]) -> str:
    """Return the context to pin a stack to when it is first deployed.

    Raises:
        SettingsError: it is not clear which context is meant; the message lists all of them.
    """
    for name in filter(None, (asked, configured)):
        if name in contexts:
            return name
        if name == asked:
            raise SettingsError(f"CONTEXT: the kubeconfig has no context {name!r}; it has {_listed(contexts)}")
    if stack == TRIAL_STACK and len(contexts) == 1:
        return contexts[0]
    raise SettingsError(
        f"kubernetes:context: the kubeconfig has no context {configured!r}; it has {_listed(contexts)}. "
        f"Run make up STACK={stack} CONTEXT=NAME with the one to deploy to"
    )


def pin(stack: str, config: Mapping[str, str], asked: str, environment: Mapping[str, str]) -> None:
    """Write context and cluster UID into the stack file, if it has no cluster yet or ``asked`` is another context.

    Raises:
        SettingsError: the context is unclear or leads to another cluster, or the cluster does not answer.
    """
    configured, uid = config.get("kubernetes:context", ""), config.get(f"{PROJECT}:clusterUid", "")
    if uid and asked in {"", configured}:
        return
    kubeconfig = config.get("kubernetes:kubeconfig", "")
    context = choose_context(stack, configured, asked, known_contexts(kubeconfig, environment))
    there = Cluster.of(context, kubeconfig, environment).uid()
    if uid and uid != there:
        raise SettingsError(
            f"CONTEXT: stack {stack!r} belongs to the cluster {uid}, but {context!r} leads to {there}; nothing "
            f"was changed. To move the stack there, first run pulumi config rm {PROJECT}:clusterUid --stack {stack}"
        )
    if context != configured:
        set_config(environment, stack, "kubernetes:context", context)
    if not uid:
        print(f"Stack {stack} is now pinned to the cluster {there} of context {context}")
        set_config(environment, stack, f"{PROJECT}:clusterUid", there)


def pin_or_create(stack: str, config: Mapping[str, str], asked: str, environment: Mapping[str, str]) -> None:
    """Pin the stack as `pin` does. If no cluster answers, offer to create one for the trial stack.

    Raises:
        SettingsError: as `pin`, or the user does not agree to create a cluster.
    """
    contexts = known_contexts(environ=environment)
    ours = next((name for name in dev_cluster.CONTEXTS if name in contexts), "")
    free = stack == TRIAL_STACK and not asked
    free = free and not config.get(f"{PROJECT}:clusterUid") and not config.get("kubernetes:kubeconfig")
    try:
        pin(stack, config, ours if free else asked, environment)
    except SettingsError as why:
        # Never ignore a cluster that answers. The cluster that was created for this stack may be stopped; start it.
        if not free or (not ours and any(map(dev_cluster.answers, contexts))):
            raise
        pin(stack, config, dev_cluster.offer(why), environment)


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
