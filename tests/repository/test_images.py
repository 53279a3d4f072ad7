"""The images of the stack exist in their registries. The tests are skipped if a registry cannot be reached."""

import contextlib
import io
import json
import subprocess
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from settings.images import IMAGES, Image
from tests.processes import free_port, wait_until
from tests.tools import require

ARCHITECTURES = {"linux/amd64", "linux/arm64"}


class RegistryError(Exception):
    """The registry does not have the image."""


def crane(*arguments: str) -> str:
    """The output of crane.

    Raises:
        RegistryError: the registry has no such image.
    """
    answer = subprocess.run([require("crane"), *arguments], capture_output=True, text=True, timeout=120, check=False)
    if answer.returncode == 0:
        return answer.stdout
    if "MANIFEST_UNKNOWN" in answer.stderr or "NAME_UNKNOWN" in answer.stderr:
        raise RegistryError(answer.stderr.strip())
    pytest.skip(f"needs the registry: {answer.stderr.strip()[-200:]}")


def platforms(reference: str) -> set[str]:
    """The platforms of an image, such as ``linux/arm64``. An image without an index has one."""
    manifest = json.loads(crane("manifest", reference))
    if "manifests" in manifest:
        found = [entry.get("platform", {}) for entry in manifest["manifests"]]
    else:
        found = [json.loads(crane("config", reference))]
    return {f"{one.get('os')}/{one.get('architecture')}" for one in found}


@pytest.mark.parametrize("name", IMAGES)
def test_every_image_is_available_for_both_architectures(name: str):
    assert platforms(IMAGES[name].reference) >= ARCHITECTURES


@pytest.fixture
def registry() -> Iterator[str]:
    """An empty registry on the loopback interface."""
    address = f"127.0.0.1:{free_port()}"
    with subprocess.Popen([require("crane"), "registry", "serve", "--address", address]) as server:

        def answers() -> bool:
            with contextlib.suppress(urllib.error.URLError, OSError):
                return urllib.request.urlopen(f"http://{address}/v2/", timeout=5).status == 200
            return False

        try:
            wait_until(answers, "the registry")
            yield address
        finally:
            server.terminate()


def pushed(registry: str, name: str, *wanted: str, folder: Path) -> str:
    """Push an image for these platforms, and return its reference."""
    layer = folder / "layer.tar"
    with tarfile.open(layer, "w") as archive:
        archive.addfile(tarfile.TarInfo("file"), io.BytesIO())
    parts = []
    for platform in wanted:
        part = f"{registry}/{name}:{platform.replace('/', '-')}"
        crane("append", "--new_layer", str(layer), "--new_tag", part)
        crane("mutate", part, "--set-platform", platform, "--tag", part)
        parts += ["--manifest", part]
    if len(wanted) > 1:
        crane("index", "append", *parts, "--tag", f"{registry}/{name}:1")
    else:
        crane("copy", parts[1], f"{registry}/{name}:1")
    return f"{registry}/{name}:1"


def test_an_image_for_only_one_architecture_is_detected(registry: str, tmp_path: Path):
    both = pushed(registry, "both", "linux/amd64", "linux/arm64", folder=tmp_path)
    one = pushed(registry, "one", "linux/amd64", folder=tmp_path)

    assert platforms(both) == ARCHITECTURES
    assert platforms(one) == {"linux/amd64"}


def test_a_digest_that_does_not_exist_is_detected(registry: str, tmp_path: Path):
    repository, _, tag = pushed(registry, "one", "linux/amd64", folder=tmp_path).rpartition(":")
    there = Image(repository, tag, crane("digest", f"{repository}:{tag}").strip(), "")
    gone = Image(repository, tag, "sha256:" + "0" * 64, "")

    assert platforms(there.reference)
    with pytest.raises(RegistryError):
        platforms(gone.reference)
