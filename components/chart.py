"""The pinned flyte-binary chart: fetching its archive, proving its digest, and checking values against its schema."""

import functools
import hashlib
import os
import re
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pulumi
import yaml

from components.errors import SettingsError

ROOT = Path(__file__).resolve().parent.parent
CHART_DIR = ROOT / "charts" / "flyte-binary"
_DOWNLOAD_SECONDS = 60


@dataclass(frozen=True)
class ChartPin:
    """A chart version and the SHA-256 of its archive."""

    name: str
    repository: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The archive's name in a Helm repository."""
        return f"{self.name}-{self.version}.tgz"


PINNED_CHART = ChartPin(**yaml.safe_load((CHART_DIR / "chart.yaml").read_text()))


def chart_archive(pin: ChartPin, local: str = "", cache: Path = ROOT / ".charts") -> Path:
    """The path of the archive that ``pin`` describes, in ``cache``, with its digest proven.

    Helm itself does not compare the digests of a repository's index with what it downloads, so the archive is
    fetched here and handed to it as a file. Where it comes from does not matter: ``local``, the file that the
    environment variable ``FLYTE_CHART`` names, the cache of an earlier run, the mirror at the address in
    ``FLYTE_HOME_MIRROR`` (see ops/tools), or the repository, in this order.

    Raises:
        SettingsError: there is no archive, or it is not the pinned one.
    """
    cached = cache / pin.file_name
    source = local or os.environ.get("FLYTE_CHART", "")
    if source:
        try:
            content = Path(source).expanduser().read_bytes()
        except OSError as error:
            raise SettingsError(
                f"flyte-home:chart.archive: cannot read {source!r}: {error.strerror}; write the path of "
                f"{pin.file_name}, or leave it (and FLYTE_CHART) empty to fetch it from {pin.repository}"
            ) from None
    elif cached.is_file() and _sha256(cached.read_bytes()) == pin.sha256:
        return cached
    else:
        mirror = os.environ.get("FLYTE_HOME_MIRROR", "")
        source = f"{(mirror or pin.repository).rstrip('/')}/{pin.file_name}"
        content = _download(source, "FLYTE_HOME_MIRROR" if mirror else "flyte-home:chart.repository")
    if _sha256(content) != pin.sha256:
        raise SettingsError(
            f"flyte-home:chart: {source} has the SHA-256 {_sha256(content)}, but {pin.sha256} is pinned; take the "
            f"archive of version {pin.version}, or, if this is the one you mean, write "
            f"pulumi config set --path flyte-home:chart.sha256 {_sha256(content)}"
        )
    try:
        cache.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache, delete=False) as file:
            file.write(content)
        Path(file.name).replace(cached)  # so that an interrupted run leaves no half archive
    except OSError as error:
        raise SettingsError(
            f"the chart's archive cannot be kept in {cache}: {error.strerror}; make room there"
        ) from None
    return cached


def project_path(path: Path) -> str:
    """``path`` as a resource input: relative where it can be, so that state made on two machines is the same.

    The provider resolves it against the Pulumi project's folder, where the engine starts it.
    """
    root = pulumi.runtime.get_root_directory()
    if root and Path(root).resolve() == ROOT and path.is_relative_to(ROOT):
        return f"./{path.relative_to(ROOT)}"
    return str(path)


def _download(url: str, setting: str) -> bytes:
    folders = ("file:///",) if setting == "FLYTE_HOME_MIRROR" else ()
    if not url.startswith(("https://", "http://", *folders)):
        raise SettingsError(f"{setting}: {url!r} is not an http address{' or file:///FOLDER' if folders else ''}")
    try:
        with urllib.request.urlopen(url, timeout=_DOWNLOAD_SECONDS) as response:  # noqa: S310 (http checked above)
            return bytes(response.read())
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{setting}: cannot fetch {url}: {error}; without a network, fetch it elsewhere and write "
            "pulumi config set --path flyte-home:chart.archive FILE, or set FLYTE_CHART=FILE"
        ) from None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@functools.cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(yaml.safe_load((CHART_DIR / "values.schema.json").read_text()))


# What the program itself decides, and where a stack says it instead. Another value in the chart would leave Flyte
# without its password, its namespaces or its webhook, or something behind after destroy.
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
    "configuration.inline.propeller.create-flyteworkflow-crd": "",
    "configuration.inline.secrets": "secretManager",
    "configuration.inline.server.security.useAuth": "auth",
    "configuration.inline.storage.enable-multicontainer": "",
    "configuration.inline.storage.signedURL": "clientEndpoints.objectStore",
    "configuration.inline.task_resources": "tasks",
    "configuration.inline.webhook.awsSecretManager": "secretManager",
    "configuration.inline.webhook.certDir": "",
    "configuration.inline.webhook.disableCreateMutatingWebhookConfig": "",
    "configuration.inline.webhook.gcpSecretManager": "secretManager",
    "configuration.inline.webhook.listenPort": "",
    "configuration.inline.webhook.localCert": "",
    "configuration.inline.webhook.namespaceSelector": "",
    "configuration.inline.webhook.secretName": "",
    "configuration.inline.webhook.secretManagerType": "secretManager",
    "configuration.inline.webhook.serviceName": "",
    "configuration.inline.webhook.servicePort": "",
    "configuration.inline.webhook.vaultSecretManager": "secretManager",
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
# What has an effect, or is possible, only with the chart's own rights.
_OF_CHART_RIGHTS = (
    "clusterResourceTemplates",
    "flyte-core-components.admin.disableClusterResourceManager",
    "rbac.extraRules",
)
_CREDENTIAL = re.compile(r"(pass(word|wd|phrase)|secret|token|(api|access|private|secret)[-_]?key|credentials?)$", re.I)
# Names a Kubernetes Secret, and holds none.
_REFERENCES = {"extraEnvVarsSecret"}


def check_own_values(values: Mapping[str, Any], rights: str) -> None:
    """Refuse what a stack must not put into ``flyte-home:flyteValues``.

    Args:
        values: what it puts there.
        rights: ``flyte-home:flyte.rights``.

    Raises:
        SettingsError: naming values the chart would ignore, credentials, and values that the stack itself decides.
    """
    setting = "flyte-home:flyteValues"
    problems = [*_problems(values, setting), *_credentials(values, setting)]
    for path, instead in _OWNED.items():
        if _at(values, path) is not None:
            remedy = f"write flyte-home:{instead} instead" if instead else "leave it out"
            problems.append(f"{setting}.{path}: is decided by the stack itself; {remedy}")
    for path in _OF_CHART_RIGHTS:
        if rights != "chart" and _at(values, path) is not None:
            problems.append(
                f"{setting}.{path}: needs more rights than Flyte has; leave it out, or set flyte-home:flyte.rights to "
                "chart"
            )
    if problems:
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
            yield f"{where}[{name}]: looks like a credential; take it from a Secret with valueFrom"
        for key, item in value.items():
            if isinstance(item, str) and item and _CREDENTIAL.search(str(key)) and key not in _REFERENCES:
                yield f"{where}.{key}: looks like a credential, which must not be in Helm values; refer to a Secret"
            else:
                yield from _credentials(item, f"{where}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _credentials(item, f"{where}[{index}]")
    elif isinstance(value, str) and re.search(r"pass(word|wd)\s*=|://[^/\s]*:[^/\s]*@", value, re.I):
        yield f"{where}: looks like it holds a credential, which must not be in Helm values; refer to a Secret"


def check_values(values: Mapping[str, Any]) -> None:
    """Refuse chart values that the chart, or Flyte, would silently ignore.

    Raises:
        SettingsError: naming every key that ``values.schema.json`` does not know, or whose value has a wrong type.
    """
    problems = list(_problems(values, "the chart's values"))
    if problems:
        raise SettingsError(*problems)


def _problems(values: Mapping[str, Any], setting: str) -> Iterator[str]:
    for error in sorted(_validator().iter_errors(values), key=lambda error: list(map(str, error.path))):
        where = ".".join([setting, *map(str, error.absolute_path)])
        if "propertyNames" in error.schema_path:
            yield f"{where}: has a key that is not in lower case, which Flyte may take for another; mend it"
        elif error.validator == "additionalProperties":
            for key in sorted(set(error.instance) - set(error.schema.get("properties", {}))):
                yield (
                    f"{where}.{key}: the chart knows no such value and would ignore it, or it is a credential, which "
                    "must not be in Helm values; see charts/flyte-binary/values.schema.json"
                )
        else:  # the value is not shown: it is free text, and may be anything
            yield f"{where}: must be {error.validator_value!r} ({error.validator}); see charts/flyte-binary/values.yaml"
