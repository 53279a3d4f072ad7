"""The check of the isolation: what a task, and a pod of any other namespace, can reach."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from components.database import postgres
from components.flyte import names as flyte
from ops.doctor.check import Result, ok, remark, skipped, wrong
from ops.doctor.expectations import (
    CONFIG,
    DNS,
    FILES,
    METRICS,
    STORE,
    WEBHOOK,
    Surroundings,
    review,
    sources,
    strictest,
)
from ops.doctor.probes import Attempt, Probes, Tried
from ops.doctor.stack import Stack
from ops.lib.kubectl import documents
from ops.lib.text import one_line
from ops.lib.workloads import Object
from settings.errors import SettingsError
from settings.projects import TaskScope

# Policy that closes a namespace of the stack; the others open something.
_DENY = "default-deny"
# Path of the webhook if its registration cannot be read, and the most nodes that are tried.
_PATH, _NODES = "/mutate--v1-pod", 3


def check_isolation(stack: Stack, probes: Probes) -> Iterator[Result]:
    """Check that a task and a pod of another namespace reach only what the settings allow.

    A pod in a task namespace, and one in a namespace that exists only for this check, try every connection.

    Args:
        stack: the stack.
        probes: runs the pods.
    """
    scope = strictest(stack.settings.task_scopes)
    try:
        around = _surroundings(stack, scope)
    except SettingsError as error:
        yield skipped(
            f"what pods reach is unknown: {one_line(str(error))}", stack.cluster.shown("auth", "can-i", "--list")
        )
        return
    image = stack.settings.chosen_images["postgres"].reference
    of_database = [pod for pod in stack.of("Pod") if pod["metadata"]["name"] == f"{postgres.SERVICE}-0"]
    node = next((str(pod.get("spec", {}).get("nodeName", "")) for pod in of_database), "")
    yield from judged(stack, around, probes.run(stack.cluster, image, node, sources(stack.settings, scope, around)))


def judged(stack: Stack, around: Surroundings, tried: Sequence[Tried]) -> Iterator[Result]:
    """Compare what the probes have seen with what the settings say.

    Args:
        stack: the stack.
        around: addresses and policies of the cluster.
        tried: results of the probe of a task and of that of another pod.
    """
    results = [*_answers(stack, tried), *_connections(stack, around, tried)]
    results += [_not_tried(stack, one) for one in tried if one.problem]
    yield from results
    done = [one for one in tried if not one.problem]
    if done and not any(result.state == "wrong" for result in results):
        yield ok("; ".join(_summary(one, tried) for one in done))


def _not_tried(stack: Stack, one: Tried) -> Result:
    remedy = ""
    if "exceeded quota" in one.problem:
        remedy = stack.cluster.shown("describe", "quota", "--namespace", one.source.namespace)
    elif "forbidden" in one.problem:
        remedy = stack.cluster.shown("auth", "can-i", "--list")
    return skipped(f"what {one.source.what} reaches is unknown: {one.problem}", remedy)


def _answers(stack: Stack, tried: Sequence[Tried]) -> Iterator[Result]:
    """Judge what servers answer to a pod that reaches them."""
    seen = [(one.source.what, attempt, result) for one in tried for attempt, result in one.all()]
    files = dict(zip((review(*file) for file in FILES.values()), FILES, strict=True))
    returned = [
        content
        for body, content in files.items()
        if any(attempt.body == body and result.detail == "content" for _, attempt, result in seen)
    ]
    token = list(FILES)[-1]
    if [content for content in returned if content != token]:
        who = _list(dict.fromkeys(what for what, _, result in seen if result.detail == "content"))
        yield wrong(
            f"{WEBHOOK} returns {_list(returned)} to {who}",
            f"make up STACK={stack.name}  # gives the webhook a pod of its own, without these files",
        )
    elif returned:
        account = f"system:serviceaccount:{stack.namespace}:NAME"
        yield remark(
            f"{WEBHOOK} returns {token} to any pod, so every pod has the rights of that account",
            stack.shown("auth", "can-i", "--list", f"--as={account}") + "  # NAME: its service account; shows them",
        )
    untested = {result.detail for _, attempt, result in seen if attempt.how == "webhook"} & {"untested", "unknown"}
    if untested:
        why = "its image has no openssl" if "untested" in untested else "the answer is not that of an admission webhook"
        yield remark(f"what {WEBHOOK} returns to any pod could not be tested: {why}")
    if any(attempt.path == CONFIG and result.detail == "200" for _, attempt, result in seen):
        yield wrong(
            f"{METRICS} shows Flyte's configuration, with its credentials, to every pod that reaches it",
            f"make up STACK={stack.name}  # closes it",
        )
    public = dict.fromkeys(
        attempt.path for _, attempt, result in seen if attempt.what == STORE and result.detail.startswith("2")
    )
    if public:
        yield wrong(
            f"{STORE} answers without a key: {', '.join(public)}",
            "# mc anonymous set none ALIAS/BUCKET, with the root credential",
        )


def _connections(stack: Stack, around: Surroundings, tried: Sequence[Tried]) -> Iterator[Result]:
    """Judge which connections were made."""
    on = f"pulumi config set --path flyte-home:network.enabled true --stack {stack.name} && make up STACK={stack.name}"
    if not stack.settings.network.enabled:
        yield remark("flyte-home:network.enabled is false, so every pod of the cluster reaches all of the stack", on)
        return
    opened = {one.source.what: _opened(one, around) for one in tried}
    every = [(attempt, seen) for one in tried for attempt, seen in one.all() if attempt.expected == "closed"]
    sure = [seen.open for attempt, seen in every if attempt.listens]
    reached = "; ".join(f"{what} reaches {_list(found)}" for what, found in opened.items() if found)
    if around.unprotected:
        where = _list(around.unprotected)
        yield wrong(
            f"the network policy {_DENY} is missing in {where}{': ' if reached else ''}{reached}", stack.up_again
        )
    elif sure and all(sure):
        off = on.replace("true", "false")
        yield wrong(
            f"the cluster's network plugin enforces no network policies (flannel alone does not): {reached}",
            "# install a plugin that enforces them: Calico, Cilium or kube-router; k3s has a controller of its own, "
            f"unless --disable-network-policy is set\n{off}  # runs without policies, and accepts this",
        )
    else:
        for what, found in opened.items():
            if found:
                yield wrong(
                    f"{what} reaches {_list(found)}, which the settings close",
                    f"{stack.cluster.shown('get', 'networkpolicies', '--all-namespaces')}  # which one opens it?\n"
                    f"{stack.up_again}",
                )
        yield from _own_node(tried, around)
    yield from _controls(stack, tried)


def _opened(one: Tried, around: Surroundings) -> list[str]:
    """Names of the targets that a probe reaches although the settings close them."""
    return list(
        dict.fromkeys(
            attempt.what
            for attempt, seen in one.all()
            if attempt.expected == "closed" and seen.open and not _is_own_node(one, attempt, around)
        )
    )


def _is_own_node(one: Tried, attempt: Attempt, around: Surroundings) -> bool:
    """Whether a target is on the probe's own node, whose traffic Kubernetes exempts from network policies.

    Source: https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation
    """
    return one.node in ([attempt.host] if attempt.host != "api-server" else around.api_servers)


def _own_node(tried: Sequence[Tried], around: Surroundings) -> Iterator[Result]:
    for one in tried:
        found = [
            attempt.what
            for attempt, seen in one.all()
            if attempt.expected == "closed" and seen.open and _is_own_node(one, attempt, around)
        ]
        if found:
            yield remark(
                f"{one.source.what} reaches {_list(found)}: many network plugins exempt the node on which a pod runs "
                "from network policies, so what listens there must protect itself"
            )


def _controls(stack: Stack, tried: Sequence[Tried]) -> Iterator[Result]:
    """Judge the connections that must work, without which a closed one proves nothing."""
    for one in tried:
        found = [(attempt.what, seen.open) for attempt, seen in one.all() if attempt.expected == "open"]
        closed = list(dict.fromkeys(what for what, is_open in found if not is_open))
        if not closed:
            continue
        if one.source.namespace:
            yield wrong(
                f"{one.source.what} does not reach {_list(closed)}, which the settings open"
                + ("; so what it finds closed proves nothing" if {STORE, DNS} & set(closed) else ""),
                stack.cluster.shown("describe", "networkpolicies", "--namespace", one.source.namespace),
            )
        elif len(closed) == len({what for what, _ in found}):
            yield remark(
                f"{one.source.what} does not even reach {_list(closed)}, so what it finds closed proves nothing",
                stack.cluster.shown("get", "networkpolicies", "--all-namespaces"),
            )


def _summary(one: Tried, tried: Sequence[Tried]) -> str:
    """What a probe reaches and does not reach."""
    reached = dict.fromkeys(attempt.what for attempt, seen in one.all() if seen.open)
    closed = dict.fromkeys(attempt.what for attempt, seen in one.all() if not seen.open and attempt.what not in reached)
    elsewhere = {attempt.what for other in tried for attempt, seen in other.all() if seen.open}
    unsure = [
        attempt.what for attempt, _ in one.all() if not attempt.listens and attempt.what in closed.keys() - elsewhere
    ]
    proven = [what for what in closed if what not in unsure]
    text = f"{one.source.what} reaches {_list(reached)}"
    text += f", not {_list(proven)}" if proven else ""
    return text + (f"; closed, or nothing there: {_list(unsure)}" if unsure else "")


def _list(names: Sequence[str] | dict[str, None]) -> str:
    *first, last = list(names) or ["nothing"]
    return f"{', '.join(first)} and {last}" if first else last


def _surroundings(stack: Stack, scope: TaskScope) -> Surroundings:
    """Ask the cluster for the addresses and policies; what the user may not read is left out.

    Raises:
        SettingsError: the user may not read the addresses of the platform namespace.
    """

    def listed(*arguments: str) -> list[Object] | None:
        answer = stack.cluster.run("get", *arguments, "--output=json")
        return None if answer.returncode else documents(answer.stdout)

    protected = {name: f"--namespace={name}" for name in (stack.namespace, scope.namespace)}
    with ThreadPoolExecutor(6) as pool:
        slices = pool.submit(
            stack.cluster.ask, "get", "endpointslices", f"--namespace={stack.namespace}", "--output=json"
        )
        of_kubernetes = "--selector=kubernetes.io/service-name=kubernetes"
        servers = pool.submit(listed, "endpointslices", "--namespace=default", of_kubernetes)
        policies = {name: pool.submit(listed, "networkpolicies", where) for name, where in protected.items()}
        nodes = pool.submit(listed, "nodes")
        hooks = pool.submit(listed, "mutatingwebhookconfiguration", flyte.WEBHOOK_REGISTRATION)
    services: dict[str, str] = {}
    for found in documents(slices.result()):
        name = found["metadata"].get("labels", {}).get("kubernetes.io/service-name", "")
        for host in _ready(found)[:1]:
            services.setdefault(name, host)
    hosts = [
        address["address"]
        for node in nodes.result() or []
        for address in node["status"].get("addresses", [])
        if address["type"] == "InternalIP"
    ] or [pod["status"]["hostIP"] for pod in stack.of("Pod") if pod["status"].get("hostIP")]
    webhooks = [webhook for found in hooks.result() or [] for webhook in found.get("webhooks", [])]
    paths = [webhook["clientConfig"].get("service", {}).get("path") for webhook in webhooks]
    return Surroundings(
        services,
        sorted(set(hosts))[:_NODES],
        [host for found in servers.result() or [] for host in _ready(found)],
        flyte.webhook_service(stack.settings.generations.webhook),
        next((path for path in paths if path), _PATH),
        [name for name, found in policies.items() if _lacks(found.result(), _DENY)],
    )


def _lacks(found: list[Object] | None, name: str) -> bool:
    """Whether no object has this name. It is unknown, and so not missing, if the user may not read them."""
    return found is not None and name not in {one["metadata"]["name"] for one in found}


def _ready(found: Object) -> list[str]:
    """Addresses of an EndpointSlice whose pods are ready."""
    return [
        host
        for endpoint in found.get("endpoints") or []
        if endpoint.get("conditions", {}).get("ready", True)
        for host in endpoint["addresses"][:1]
    ]
