"""The pinned chart, and the check of its values."""

import hashlib
import http.server
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from components.flyte.archive import chart_archive, check_chart, project_path
from paths import ROOT
from settings import settings_from
from settings.chart import CHART_DIR, PINNED_CHART, ChartPin
from settings.chart_values import check_values
from settings.errors import SettingsError
from tests.conftest import stack
from tests.processes import serving

CONTENT = b"an archive"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _no_archive_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("FLYTE_CHART", "FLYTE_HOME_MIRROR"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[str]:
    """A Helm repository on loopback that counts its requests."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "chart-v1.tgz").write_bytes(CONTENT)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path / "served"))

        def log_message(self, *_args):
            (tmp_path / "requests").open("a").write("x")

    with serving(Handler) as address:
        yield address


def pin(repository: str = "http://127.0.0.1:1", sha256: str = SHA256) -> ChartPin:
    return ChartPin("chart", repository, "v1", sha256)


def test_the_pin_has_the_version_and_the_digest_of_the_chart():
    assert PINNED_CHART.version == "v1.16.8"
    assert len(PINNED_CHART.sha256) == 64


def test_the_archive_is_downloaded_once_and_then_read_from_the_cache(repository: str, tmp_path: Path):
    first = chart_archive(pin(repository), cache=tmp_path / "cache")
    second = chart_archive(pin(repository), cache=tmp_path / "cache")

    assert first == second
    assert first.read_bytes() == CONTENT
    assert (tmp_path / "requests").read_text() == "x"


def test_an_archive_with_a_different_digest_is_rejected_and_not_cached(repository: str, tmp_path: Path):
    with pytest.raises(SettingsError, match=f"has the SHA-256 {SHA256}, but {'0' * 64} is pinned"):
        chart_archive(pin(repository, "0" * 64), cache=tmp_path / "cache")

    assert not (tmp_path / "cache").exists()


def test_a_damaged_archive_in_the_cache_is_replaced(repository: str, tmp_path: Path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "chart-v1.tgz").write_bytes(b"half an arch")

    assert chart_archive(pin(repository), cache=tmp_path / "cache").read_bytes() == CONTENT
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["chart-v1.tgz"]


def test_a_local_file_needs_no_network_and_must_have_the_same_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    local = tmp_path / "local.tgz"
    local.write_bytes(CONTENT)
    monkeypatch.setenv("FLYTE_CHART", str(local))

    assert chart_archive(pin(), cache=tmp_path / "a").read_bytes() == CONTENT
    assert chart_archive(pin(), str(local), tmp_path / "b").name == "chart-v1.tgz"
    local.write_bytes(b"something else")
    with pytest.raises(SettingsError, match=r"pulumi config set --path flyte-home:chart\.sha256"):
        chart_archive(pin(), cache=tmp_path / "c")


def test_a_mirror_replaces_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: str):
    (tmp_path / "chart-v1.tgz").write_bytes(CONTENT)

    for number, mirror in enumerate((tmp_path.as_uri(), repository)):
        monkeypatch.setenv("FLYTE_HOME_MIRROR", mirror)
        assert chart_archive(pin(), cache=tmp_path / str(number)).read_bytes() == CONTENT

    monkeypatch.setenv("FLYTE_HOME_MIRROR", str(tmp_path))
    with pytest.raises(SettingsError, match=r"FLYTE_HOME_MIRROR: .* is not an HTTP address or file:///FOLDER"):
        chart_archive(pin(repository), cache=tmp_path / "other")


def test_without_network_or_file_the_message_explains_how_to_provide_one(tmp_path: Path):
    with pytest.raises(SettingsError, match="FLYTE_CHART=FILE"):
        chart_archive(pin(), cache=tmp_path)
    with pytest.raises(SettingsError, match="No such file"):
        chart_archive(pin(), str(tmp_path / "missing.tgz"), tmp_path)


def test_the_message_names_a_cache_folder_that_cannot_be_written_to(tmp_path: Path):
    (tmp_path / "local.tgz").write_bytes(CONTENT)
    (tmp_path / "cache").write_text("a file where the folder should be")

    with pytest.raises(SettingsError, match=r"cannot be written to .*cache"):
        chart_archive(pin(), str(tmp_path / "local.tgz"), tmp_path / "cache")


def test_only_http_addresses_are_downloaded(tmp_path: Path):
    with pytest.raises(SettingsError, match="not an HTTP address"):
        chart_archive(pin("file:///etc"), cache=tmp_path)


def test_a_path_inside_the_project_is_the_same_on_every_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    archive = ROOT / ".charts" / "chart.tgz"

    monkeypatch.setattr("pulumi.runtime.get_root_directory", lambda: str(ROOT))
    assert project_path(archive) == "./.charts/chart.tgz"
    monkeypatch.setattr("pulumi.runtime.get_root_directory", lambda: str(tmp_path))
    assert project_path(archive) == str(archive)


def test_the_static_values_pass_the_check():
    check_values(yaml.safe_load((CHART_DIR / "values.yaml").read_text()))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"deploymnet": {}}, "deploymnet"),
        ({"configuration": {"inlin": {}}}, "configuration.inlin"),
        ({"configuration": {"inline": {"task_resource": {}}}}, "inline.task_resource"),
        ({"configuration": {"inline": {"plugins": {"k8s": {"default-cpu": "1"}}}}}, "k8s.default-cpu"),
        ({"configuration": {"inline": {"plugins": {"k8s": {"default-env-vars": []}}}}}, "k8s.default-env-vars"),
        ({"configuration": {"storage": {"providerConfig": {"s3": {"secretKey": "planted"}}}}}, "s3.secretKey"),
        ({"configuration": {"auth": {"oidc": {"clientSecret": "planted"}}}}, "oidc.clientSecret"),
        ({"fullnameOverride": "other"}, "fullnameOverride"),
        ({"service": {"type": "planted"}}, "service.type"),
    ],
)
def test_values_that_would_be_ignored_or_leak_a_secret_are_rejected_by_name(values: dict, named: str):
    with pytest.raises(SettingsError) as caught:
        check_values(values)

    assert named in str(caught.value)
    assert "planted" not in str(caught.value)


def archive(name: str = "flyte-binary", version: str = "v1.16.9", app: str = "1.16.0") -> bytes:
    content = f"name: {name}\nversion: {version}\nappVersion: {app}\n".encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry = tarfile.TarInfo(f"{name}/Chart.yaml")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def test_the_chart_of_another_version_of_flyte_1_is_accepted():
    check_chart(archive(), PINNED_CHART, "chart.tgz")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (archive(version="v2.0.12"), "chart.tgz is Flyte 2, another product"),
        (archive(app="2.0.0"), "it does not run code of flytekit 1"),
        (archive(name="flyte-core"), "is not an archive of the chart flyte-binary"),
        (b"no archive", "is not an archive of the chart flyte-binary"),
    ],
)
def test_an_archive_of_another_chart_or_of_flyte_2_is_rejected(content: bytes, says: str):
    with pytest.raises(SettingsError) as rejected:
        check_chart(content, PINNED_CHART, "chart.tgz")

    assert str(rejected.value).startswith("flyte-home:chart: ")
    assert says in str(rejected.value)
    assert f"use the archive of flyte-binary {PINNED_CHART.version}" in str(rejected.value)


@pytest.mark.parametrize("version", ["v2.0.12", "2.1.0", "v10.0.0"])
def test_a_version_of_flyte_2_is_rejected_with_the_reason(version: str):
    with pytest.raises(SettingsError) as rejected:
        settings_from(*stack(chart={"version": version, "sha256": "0" * 64}))

    assert str(rejected.value).startswith("flyte-home:chart: ")
    assert f"has the version {version}, which is Flyte 2" in str(rejected.value)
