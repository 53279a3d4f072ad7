"""``make digests``: missing digests come from the registries, all or none, and pinned ones are checked there."""

import hashlib
import http.server
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ops import digests
from paths import ROOT
from settings.images import Image
from tests.processes import free_port, serving
from tests.tools import TOOLS, require
from tests.tools import __main__ as tools_command

MEDIA_TYPE = "application/vnd.oci.image.index.v1+json"


@dataclass
class Registry:
    """A registry with the endpoints for manifests (https://github.com/opencontainers/distribution-spec)."""

    address: str = ""
    manifests: dict[str, bytes] = field(default_factory=dict)
    """Contents by repository and tag or digest, such as ``flyte:v1``."""
    broken: bool = False
    """Whether every answer is an error of the server."""

    def push(self, repository: str, tag: str, version: int) -> str:
        """Store an image, which keeps earlier images of the tag available by digest; return its digest."""
        content = json.dumps(
            {"schemaVersion": 2, "mediaType": MEDIA_TYPE, "manifests": [], "version": version}
        ).encode()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.manifests |= {f"{repository}:{tag}": content, f"{repository}:{digest}": content}
        return digest

    def image(self, repository: str, tag: str, digest: str | None = None) -> Image:
        return Image(f"{self.address}/{repository}", tag, digest, "for tests")


@pytest.fixture
def registry() -> Iterator[Registry]:
    known = Registry()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if known.broken:
                self._answer(500, b"")
            elif self.path == "/v2/":
                self._answer(200, b"{}")
            else:
                _, _, repository, _, reference = self.path.split("/")
                content = known.manifests.get(f"{repository}:{reference}")
                missing = b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "not here"}]}'
                self._answer(200 if content else 404, content or missing)

        do_HEAD = do_GET  # noqa: N815 (the name of the method in HTTP)

        def _answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", MEDIA_TYPE if status == 200 else "application/json")
            self.send_header("Content-Length", str(len(content)))
            if status == 200:
                self.send_header("Docker-Content-Digest", f"sha256:{hashlib.sha256(content).hexdigest()}")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_args: Any) -> None:
            pass

    with serving(Handler) as address:
        known.address = address.removeprefix("http://")
        yield known


@pytest.fixture
def crane(monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    return require("crane")


def table(folder: Path, images: dict[str, Image]) -> Path:
    """A file with a table like that in settings/images.py."""
    file = folder / "images.py"
    entries = [
        f'    "{name}": Image(\n        "{image.repository}",\n        "{image.tag}",\n        '
        f'{json.dumps(image.digest) if image.digest else None},\n        "for tests",\n    ),\n'
        for name, image in images.items()
    ]
    file.write_text("from settings.images import Image\n\nIMAGES = {\n" + "".join(entries) + "}\n")
    return file


def read(file: Path) -> dict[str, Image]:
    found: dict[str, Any] = {}
    exec(file.read_text(), found)  # noqa: S102 (written by this test)
    return dict(found["IMAGES"])


def test_missing_digests_are_written_and_existing_ones_stay(registry: Registry, crane: Path, tmp_path: Path):
    flyte, copilot = registry.push("flyte", "v1", 1), registry.push("copilot", "v1", 2)
    pinned = "sha256:" + "a" * 64
    images = {
        "flyte": registry.image("flyte", "v1"),
        "postgres": registry.image("postgres", "17", pinned),
        "copilot": registry.image("copilot", "v1"),
    }
    file = table(tmp_path, images)

    assert digests.pin(crane, images, file) == 0

    assert {name: image.digest for name, image in read(file).items()} == {
        "flyte": flyte,
        "postgres": pinned,
        "copilot": copilot,
    }
    assert {image.purpose for image in read(file).values()} == {"for tests"}


def test_nothing_is_written_if_one_registry_does_not_answer(
    registry: Registry, crane: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    registry.push("flyte", "v1", 1)
    away = f"127.0.0.1:{free_port()}"
    images = {
        "flyte": registry.image("flyte", "v1"),
        "copilot": Image(f"{away}/copilot", "v1", None, ""),
        "mc": Image(f"{away}/mc", "1", None, ""),
    }
    file = table(tmp_path, images)
    before = file.read_text()

    assert digests.pin(crane, images, file) == 1

    said = capsys.readouterr().err.splitlines()
    assert file.read_text() == before
    assert len(said) == 3
    assert said[0].startswith(f"error: copilot: the digest of {away}/copilot:v1 is unknown: ")
    assert said[0].endswith("connection refused")
    assert said[1].startswith(f"error: mc: the digest of {away}/mc:1 is unknown: ")
    assert said[2] == "nothing was written; try again when every registry answers"


def test_a_tag_that_the_registry_does_not_have_is_an_error(
    registry: Registry, crane: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    images = {"flyte": registry.image("flyte", "v9")}

    assert digests.pin(crane, images, table(tmp_path, images)) == 1
    assert f"flyte: its registry does not have {registry.address}/flyte:v9; change the tag" in capsys.readouterr().err
    assert digests.check(crane, images) == 1


def test_without_missing_digests_no_registry_is_asked(
    registry: Registry, crane: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    registry.broken = True
    images = {"flyte": registry.image("flyte", "v1", "sha256:" + "a" * 64)}

    assert digests.pin(crane, images, table(tmp_path, images)) == 0
    assert capsys.readouterr().out == "every image has a digest\n"


def test_pinned_digests_that_the_registry_has_pass_without_a_remark(
    registry: Registry, crane: Path, capsys: pytest.CaptureFixture[str]
):
    images = {"postgres": registry.image("postgres", "17", registry.push("postgres", "17", 1))}

    assert digests.check(crane, images) == 0
    assert capsys.readouterr() == ("the registries have all 1 images\n", "")


def test_a_rebuilt_tag_is_only_a_notice(registry: Registry, crane: Path, capsys: pytest.CaptureFixture[str]):
    before, now = registry.push("postgres", "17", 1), registry.push("postgres", "17", 2)

    assert digests.check(crane, {"postgres": registry.image("postgres", "17", before)}) == 0
    assert capsys.readouterr().err == (
        f"notice: postgres: {registry.address}/postgres:17 was rebuilt and is now {now}; the pinned {before} still "
        "exists\n"
    )


def test_a_removed_tag_is_only_a_notice_while_the_digest_exists(
    registry: Registry, crane: Path, capsys: pytest.CaptureFixture[str]
):
    pinned = registry.push("postgres", "17", 1)
    del registry.manifests["postgres:17"]

    assert digests.check(crane, {"postgres": registry.image("postgres", "17", pinned)}) == 0
    assert f"{registry.address}/postgres:17 no longer exists" in capsys.readouterr().err


def test_a_pinned_digest_that_the_registry_does_not_have_is_an_error(
    registry: Registry, crane: Path, capsys: pytest.CaptureFixture[str]
):
    registry.push("postgres", "17", 1)
    image = registry.image("postgres", "17", "sha256:" + "0" * 64)

    assert digests.check(crane, {"postgres": image}) == 1
    assert f"error: postgres: its registry does not have {image.reference}; pin" in capsys.readouterr().err


def test_a_registry_that_cannot_be_asked_is_an_error_of_the_check(
    registry: Registry, crane: Path, capsys: pytest.CaptureFixture[str]
):
    registry.broken = True
    image = registry.image("postgres", "17", "sha256:" + "0" * 64)

    assert digests.check(crane, {"postgres": image}) == 1
    assert f"error: postgres: {image.reference} cannot be checked: " in capsys.readouterr().err


def test_an_image_without_a_digest_is_a_warning_of_the_check(
    registry: Registry, crane: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    found = registry.push("flyte", "v1", 1)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")

    assert digests.check(crane, {"flyte": registry.image("flyte", "v1")}) == 0
    assert capsys.readouterr().out.splitlines()[0] == (
        f"::warning::flyte: {registry.address}/flyte:v1 has no digest yet, and is {found}; run make digests, and "
        "commit the result"
    )


@pytest.mark.parametrize("says", ["", "sha256:short", "<html>"])
def test_an_answer_that_is_not_a_digest_is_never_written(says: str, tmp_path: Path):
    program = tmp_path / "crane"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    images = {"flyte": Image("registry.home/flyte", "v1", None, "")}
    file = table(tmp_path, images)

    assert digests.pin(program, images, file) == 1
    assert read(file)["flyte"].digest is None


def test_the_table_of_this_repository_can_be_written():
    text, pinned = digests.TABLE.read_text(), "sha256:" + "a" * 64
    missing = {name: image for name, image in digests.IMAGES.items() if not image.digest}

    for name, image in missing.items():
        text = digests.with_digest(text, name, image, pinned)

    assert text.count(pinned) == len(missing)
    assert "None," not in text.split("IMAGES: ")[1]
    with pytest.raises(ValueError, match="is not an image with a tag and without a digest"):
        digests.with_digest(text, "postgres", digests.IMAGES["postgres"], pinned)


def test_the_make_target_finds_crane_or_fails_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], crane: Path
):
    assert tools_command.main(["--program", "crane"]) == 0
    assert capsys.readouterr().out == f"{crane}\n"

    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(TOOLS, "crane", type(TOOLS["crane"])("crane", frozenset(), remedy="get it somewhere"))
    assert tools_command.main(["--program", "crane"]) == 1
    assert capsys.readouterr() == ("", "crane: it is not on the PATH; get it somewhere\n")


def test_the_command_line_checks_the_images_of_the_stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    program = tmp_path / "crane"
    program.write_text(f"#!/bin/sh\necho $2 >> {tmp_path}/asked\necho Error: MANIFEST_UNKNOWN >&2; exit 1\n")
    program.chmod(0o755)
    before = (ROOT / "settings" / "images.py").read_text()
    monkeypatch.setattr(sys, "argv", ["digests", str(program), "--check"])

    assert digests.main() == 1

    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == [image.reference for image in digests.IMAGES.values()]
    assert (ROOT / "settings" / "images.py").read_text() == before
