"""The archive of the pinned flyte-binary chart: downloading it, and verifying its digest."""

import hashlib
import io
import os
import tarfile
import tempfile
import urllib.request
from pathlib import Path

import pulumi
import yaml

from paths import ROOT
from settings.chart import FLYTE_2, PINNED_CHART, ChartPin, ChartSettings, is_flyte_2
from settings.errors import SettingsError

_DOWNLOAD_SECONDS = 60


def release_chart(settings: ChartSettings) -> str:
    """Path of the chart's archive for the Release, after its digest is verified; see :func:`chart_archive`."""
    path = chart_archive(settings.pin, settings.archive)
    if settings.sha256 != PINNED_CHART.sha256:
        check_chart(path.read_bytes(), settings.pin, settings.archive or path.name)
    return project_path(path)


def chart_archive(pin: ChartPin, local: str = "", cache: Path = ROOT / ".charts") -> Path:
    """The path of the archive that ``pin`` describes, in ``cache``, after its digest is verified.

    Helm does not compare its downloads with the digests in a repository's index. So the archive is downloaded here and
    passed to Helm as a file. Its source does not matter: ``local``, the file in the environment variable
    ``FLYTE_CHART``, the cache of an earlier run, the mirror at the address in ``FLYTE_HOME_MIRROR`` (see ops/tools), or
    the repository, in this order.

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
            f"flyte-home:chart: {source} has the SHA-256 {_sha256(content)}, but {pin.sha256} is pinned; use the "
            f"archive of version {pin.version}, or, if this is the one you want, write "
            f"pulumi config set --path flyte-home:chart.sha256 {_sha256(content)}"
        )
    try:
        cache.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache, delete=False) as file:
            file.write(content)
        Path(file.name).replace(cached)  # so that an interrupted run leaves no partial archive
    except OSError as error:
        raise SettingsError(
            f"the chart's archive cannot be written to {cache}: {error.strerror}; make room there"
        ) from None
    return cached


def check_chart(content: bytes, pin: ChartPin, source: str) -> None:
    """Check that an archive is one of Flyte 1's chart, whatever its file is called.

    Raises:
        SettingsError: it is another chart, that of Flyte 2, or no chart.
    """
    remedy = f"use the archive of {pin.name} {PINNED_CHART.version}, with chart.version and chart.sha256 as pinned here"
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            file = archive.extractfile(f"{pin.name}/Chart.yaml")
            chart = yaml.safe_load(file.read()) if file else {}
        name, versions = chart.get("name"), [str(chart.get(key, "")) for key in ("version", "appVersion")]
    except (tarfile.TarError, KeyError, AttributeError, yaml.YAMLError):
        raise SettingsError(f"flyte-home:chart: {source} is not an archive of the chart {pin.name}; {remedy}") from None
    if name != pin.name:
        raise SettingsError(f"flyte-home:chart: {source} is the chart {name!r}, not {pin.name}; {remedy}")
    if any(map(is_flyte_2, versions)):
        raise SettingsError(f"flyte-home:chart: {source} is {FLYTE_2}; {remedy}")


def project_path(path: Path) -> str:
    """``path`` as a resource input: relative to the project if possible, so that it is the same on every machine.

    The provider resolves it against the Pulumi project's folder, where the engine starts it.
    """
    root = pulumi.runtime.get_root_directory()
    if root and Path(root).resolve() == ROOT and path.is_relative_to(ROOT):
        return f"./{path.relative_to(ROOT)}"
    return str(path)


def _download(url: str, setting: str) -> bytes:
    folders = ("file:///",) if setting == "FLYTE_HOME_MIRROR" else ()
    if not url.startswith(("https://", "http://", *folders)):
        raise SettingsError(f"{setting}: {url!r} is not an HTTP address{' or file:///FOLDER' if folders else ''}")
    try:
        with urllib.request.urlopen(url, timeout=_DOWNLOAD_SECONDS) as response:  # noqa: S310 (http checked above)
            return bytes(response.read())
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{setting}: cannot download {url}: {error}; without a network, download it elsewhere and write "
            "pulumi config set --path flyte-home:chart.archive FILE, or set FLYTE_CHART=FILE"
        ) from None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
