"""What a stack may add to the values of the flyte-binary chart with ``flyteValues``."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from settings.annotations import LARGEST, is_key, is_label_value, size
from settings.chart_schema import part_of, schema_problems
from settings.credentials import has_credential
from settings.errors import SettingsError
from settings.helm_templates import REMEDY, is_accepted
from settings.messages.commands import typed

# Values that the program itself sets, and the setting to use instead. Another value in the chart would leave Flyte
# without its password, its namespaces or its webhook, or would leave something behind after destroy.
_OWNED = {
    "configuration.auth": "auth",
    "configuration.co-pilot": "images",
    "configuration.database": "postgres",
    "configuration.inline.admin": "",
    "configuration.inline.auth": "auth",
    "configuration.inline.database": "postgres.maxConnections",
    "configuration.inline.domains": "domains",
    "configuration.inline.namespace_mapping": "namespaceTemplate",
    "configuration.inline.plugins.k8s.default-env-from-secrets": "",
    "configuration.inline.plugins.k8s.default-pod-template-name": "tasks",
    "configuration.inline.prof.disableConfigEndpoint": "",
    "configuration.inline.propeller.create-flyteworkflow-crd": "",
    "configuration.inline.secrets": "secretManager",
    "configuration.inline.server.security.useAuth": "auth",
    "configuration.inline.storage.enable-multicontainer": "",
    "configuration.inline.storage.signedURL": "clientEndpoints.objectStore",
    "configuration.inline.task_resources": "tasks",
    "configuration.inline.webhook": "secretManager",
    "configuration.inlineSecretRef": "",
    "configuration.logging.plugins": "logLinks",
    "configuration.propeller.createCRDs": "",
    "configuration.storage": "minio",
    "deployment.image": "images",
    "deployment.resources": "flyte.resources",
    "deployment.waitForDB.image": "images",
    "flyte-core-components.admin.disabled": "",
    "flyte-core-components.admin.disableScheduler": "",
    "flyte-core-components.admin.seedProjects": "projects",
    "flyte-core-components.admin.seedProjectsWithDetails": "projects",
    "flyte-core-components.dataCatalog": "",
    "flyte-core-components.propeller": "",
    "fullnameOverride": "",
    "ingress": "ingress",
    "nameOverride": "",
    "rbac.create": "flyte.rights",
    "serviceAccount.create": "",
    "serviceAccount.name": "",
}
# Values that take effect, or are possible, only with the chart's own rights.
_OF_CHART_RIGHTS = (
    "clusterResourceTemplates",
    "flyte-core-components.admin.disableClusterResourceManager",
    "rbac.extraRules",
)
_CREDENTIAL = re.compile(
    r"(pass(word|wd|phrase)|secret|token|(api|access|private|secret)[-_]?key|credentials?|authorization)$", re.I
)
_LARGEST = 512 * 1024
# Keys that look like a credential but hold only the name of a Kubernetes Secret.
_REFERENCES = {"extraEnvVarsSecret"}


def own_value_problems(values: Mapping[str, Any], rights: str) -> Iterator[str]:
    """Problems of ``flyte-home:flyteValues``.

    They are values the chart would ignore, credentials, and values that the stack itself sets.

    Args:
        values: the content of ``flyte-home:flyteValues``.
        rights: ``flyte-home:flyte.rights``.
    """
    setting = "flyte-home:flyteValues"
    if len(json.dumps(values).encode()) > _LARGEST:
        yield f"{setting}: is larger than 512 KiB; Kubernetes allows 1 MiB for a release: leave out what is long"
    yield from schema_problems(values, setting)
    yield from _credentials(values, setting)
    yield from _templates(values, setting)
    yield from _labels(values, setting)
    for path, instead in _OWNED.items():
        if _at(values, path) is not None:
            remedy = f"write flyte-home:{instead} instead" if instead else "leave it out"
            yield f"{setting}.{path}: is set by the stack itself; {remedy}"
    for path in _OF_CHART_RIGHTS:
        if rights != "chart" and _at(values, path) is not None:
            yield (
                f"{setting}.{path}: needs more rights than Flyte has; leave it out, or set flyte-home:flyte.rights to "
                "chart"
            )


def check_values(values: Mapping[str, Any]) -> None:
    """Reject chart values that the chart, or Flyte, would silently ignore.

    Raises:
        SettingsError: naming every key that is not in ``values.schema.json``, or whose value has the wrong type.
    """
    if problems := list(schema_problems(values, "the chart's values")):
        raise SettingsError(*problems)


def _at(values: Mapping[str, Any], path: str) -> Any:
    found: Any = values
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _credentials(value: Any, where: str) -> Iterator[str]:
    """Values that look like a credential: Helm keeps them readable in the cluster, and Pulumi in the state."""
    if isinstance(value, Mapping):
        name = value.get("name")
        if isinstance(name, str) and _CREDENTIAL.search(name) and isinstance(value.get("value"), str):
            yield f"{part_of(where, name)}: looks like a credential; take it from a Secret with valueFrom"
        for key, item in value.items():
            if isinstance(item, str) and item and _CREDENTIAL.search(str(key)) and key not in _REFERENCES:
                yield f"{part_of(where, key)}: looks like a credential, which must not be in Helm values; use a Secret"
            else:
                yield from _credentials(item, part_of(where, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            option = str(value[index - 1]) if index else ""
            if option.startswith("-") and _CREDENTIAL.search(option) and not str(item).startswith("-"):
                yield f"{where}[{index}]: looks like a credential, which must not be in Helm values; use a Secret"
            yield from _credentials(item, f"{where}[{index}]")
    elif isinstance(value, str) and has_credential(value):
        yield f"{where}: looks like it holds a credential, which must not be in Helm values; refer to a Secret"


def _templates(value: Any, where: str) -> Iterator[str]:
    """Texts, and keys, with templates that Helm may not be able to run."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not is_accepted(str(key)):
                yield f"{where}: has a key with a template that Helm may reject; write the key without braces"
            yield from _templates(item, part_of(where, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _templates(item, f"{where}[{index}]")
    elif isinstance(value, str) and not is_accepted(value):
        yield f"{where}: has a template that Helm may reject; {REMEDY}"


def _labels(value: Any, where: str) -> Iterator[str]:
    """Labels and annotations that Kubernetes rejects."""
    for key, item in value.items() if isinstance(value, Mapping) else ():
        kind = str(key).lower()
        if kind.endswith(("labels", "annotations")) and isinstance(item, Mapping):
            if size(item) > LARGEST:
                yield f"{part_of(where, key)}: is larger than 200 KiB; Kubernetes allows 256 KiB: shorten it"
            for name, text in item.items():
                if not is_key(name):
                    yield f"{part_of(where, key)}: has a key that is none of a label or an annotation, such as team"
                elif (
                    kind.endswith("labels") and isinstance(text, str) and "{{" not in text and not is_label_value(text)
                ):
                    yield f"{part_of(where, key)}{typed(name)}: is not the value of a label; write it like home"
        else:
            yield from _labels(item, part_of(where, key))
