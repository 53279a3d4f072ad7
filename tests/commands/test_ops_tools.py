"""The programs that `make` starts: suitable ones are found, others are downloaded completely or not at all."""

import errno
import hashlib
import http.server
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import ops.plugins
from ops import tools
from ops.tools import TOOLS, download
from ops.tools.download import Download
from settings.errors import SettingsError
from tests.processes import serving, workspace
from tests.tools import require

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = b"#!/bin/sh\necho v9.9.9\n"
NOBODY = 65534


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def archive(*names: str) -> bytes:
    """An archive of a release, with programs of these names."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as writer:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(PROGRAM), 0o755
            writer.addfile(member, io.BytesIO(PROGRAM))
    return packed.getvalue()


@contextmanager
def publisher(files: dict[str, bytes], missing: int = 0, wait: float = 0) -> Iterator[tuple[str, list[str]]]:
    """A server with these files, and the paths of its requests.

    It waits ``wait`` seconds before it sends a file, and leaves out the last ``missing`` bytes.
    """
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            content = files.get(self.path.lstrip("/"))
            if content is None:
                self.send_error(404)
                return
            time.sleep(wait)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) - missing])

        def log_message(self, *_args: Any) -> None:
            pass

    with serving(Handler) as address:
        yield address, asked


def a_program(address: str, content: bytes = PROGRAM, **fields: str) -> Download:
    given = {"sha256": sha256(content), **fields}
    return Download("kubectl 1.35.2", f"{address}/kubectl", "kubectl-1.35.2", "https://kubernetes.io", **given)


def left(place: Path) -> list[str]:
    """The content of the folder, without the lock."""
    return sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.name != ".lock")


def test_the_versions_match_the_pins_in_pyproject():
    pins = dict(re.findall(r'"(pulumi[\w-]*)==([\d.]+)"', (ROOT / "pyproject.toml").read_text()))

    assert TOOLS["pulumi"].version == pins["pulumi"]
    assert TOOLS["pulumi-resource-kubernetes"].version == pins["pulumi-kubernetes"]
    assert TOOLS["pulumi-resource-random"].version == pins["pulumi-random"]


@pytest.mark.parametrize("name", TOOLS)
def test_every_file_has_a_pinned_sha256(name: str):
    tool = TOOLS[name]
    missing = {"k3s-install": {"darwin-amd64", "darwin-arm64"}, "pulumi-resource-random": {"darwin-amd64"}}

    assert set(tool.sha256) == set(tools.MACHINES) - missing.get(name, set())
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in tool.sha256.values())
    assert all(url.startswith("https://") and tool.version in url for url in tool.files())
    assert not re.search(r"[{}]", " ".join([*tool.files(), *tool.files().values()]))


def test_no_two_files_have_the_same_name_in_a_mirror():
    named = [file for tool in TOOLS.values() for file in tool.files().values()]
    addresses = [url for tool in TOOLS.values() for url in tool.files()]

    assert len(set(named)) == len(named) == len(set(addresses))


def test_a_program_is_downloaded_once_and_is_executable(tmp_path: Path):
    with publisher({"kubectl": PROGRAM}) as (address, asked):
        first = a_program(address).install(tmp_path / "bin" / "kubectl-1", tmp_path / "bin", {})
        second = a_program(address).install(tmp_path / "bin" / "kubectl-1", tmp_path / "bin", {})

    assert first == second
    assert subprocess.run([first / "kubectl"], capture_output=True, check=True).stdout == b"v9.9.9\n"
    assert asked == ["/kubectl"]
    assert left(tmp_path / "bin") == ["kubectl-1", "kubectl-1/kubectl"]


def test_an_archive_is_unpacked_completely_without_its_folders(tmp_path: Path):
    content = archive("pulumi/pulumi", "pulumi/pulumi-language-python", "../../escaped")
    with publisher({"pulumi.tar.gz": content}) as (address, _):
        release = Download("pulumi 3", f"{address}/pulumi.tar.gz", "pulumi.tar.gz", "home", sha256(content))
        folder = release.install(tmp_path / "bin" / "pulumi", tmp_path / "bin", {})

    assert sorted(path.name for path in folder.iterdir()) == ["escaped", "pulumi", "pulumi-language-python"]
    assert all(os.access(path, os.X_OK) for path in folder.iterdir())
    assert not (tmp_path / "bin" / "escaped").exists()


def test_different_content_is_rejected_with_both_checksums_and_removed(tmp_path: Path):
    with publisher({"kubectl": b"something else"}) as (address, _), pytest.raises(SettingsError) as refused:
        a_program(address).install(tmp_path / "kubectl-1", tmp_path, {})

    assert f"has the SHA256 {sha256(b'something else')}, but {sha256(PROGRAM)} is pinned" in str(refused.value)
    assert "FLYTE_HOME_MIRROR=file:///FOLDER" in str(refused.value)
    assert left(tmp_path) == []


def test_an_incomplete_transfer_is_reported_and_removed(tmp_path: Path):
    with publisher({"kubectl": PROGRAM}, missing=7) as (address, _), pytest.raises(SettingsError) as refused:
        a_program(address).install(tmp_path / "kubectl-1", tmp_path, {})

    assert f"cannot download {address}/kubectl: the transfer ended 7 bytes too early. Try again" in str(refused.value)
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("mirror", "said"),
    [
        ("", "HTTP Error 404: Not Found"),
        ("https://127.0.0.1:1", "Connection refused"),
        ("file:///nowhere", "No such file or directory: '/nowhere/kubectl-1.35.2'"),
        ("http://mirror.home", "FLYTE_HOME_MIRROR: 'http://mirror.home' is neither encrypted nor a local folder"),
        ("HTTP://mirror.home", "FLYTE_HOME_MIRROR: 'HTTP://mirror.home' is neither encrypted nor a local folder"),
        ("ftp://mirror.home", "FLYTE_HOME_MIRROR: 'ftp://mirror.home' is neither encrypted nor a local folder"),
        (
            "/folder",
            "FLYTE_HOME_MIRROR: '/folder' is neither encrypted nor a local folder; use https://HOST/PATH, or file:///",
        ),
    ],
)
def test_a_failed_download_is_one_line_with_the_address_and_the_remedy(mirror: str, said: str, tmp_path: Path):
    with publisher({}) as (address, _), pytest.raises(SettingsError) as refused:
        a_program(address).install(tmp_path / "kubectl-1", tmp_path, {"FLYTE_HOME_MIRROR": mirror})

    assert said in str(refused.value)
    assert "file:///FOLDER" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert left(tmp_path) == []


def test_a_mirror_without_encryption_is_not_asked(tmp_path: Path):
    with publisher({"kubectl-1.35.2": PROGRAM}) as (address, asked), pytest.raises(SettingsError) as refused:
        a_program(address).install(tmp_path / "kubectl-1", tmp_path, {"FLYTE_HOME_MIRROR": address})

    assert str(refused.value) == (
        f"FLYTE_HOME_MIRROR: {address.rstrip('/')!r} is neither encrypted nor a local folder; use https://HOST/PATH, "
        "or file:///FOLDER for a folder"
    )
    assert asked == []
    assert left(tmp_path) == []


def test_a_mirror_is_used_instead_of_the_network(tmp_path: Path):
    (tmp_path / "mirror of mine").mkdir()
    (tmp_path / "mirror of mine" / "kubectl-1.35.2").write_bytes(PROGRAM)
    mirror = (tmp_path / "mirror of mine").as_uri() + "/"

    folder = a_program("http://127.0.0.1:1").install(tmp_path / "kubectl", tmp_path, {"FLYTE_HOME_MIRROR": mirror})

    assert (folder / "kubectl").read_bytes() == PROGRAM


def test_a_full_disk_is_reported_with_the_folder_and_no_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfileobj", full)
    content = archive("pulumi/pulumi")
    with publisher({"pulumi.tar.gz": content}) as (address, _):
        release = Download("pulumi 3", f"{address}/pulumi.tar.gz", "pulumi.tar.gz", "home", sha256(content))
        with pytest.raises(SettingsError) as refused:
            release.install(tmp_path / "bin" / "pulumi", tmp_path / "bin", {})

    assert str(refused.value) == (
        f"pulumi 3 cannot be stored in {tmp_path}/bin: No space left on device; free some space there. "
        "No file was left there"
    )
    assert left(tmp_path / "bin") == []


def test_the_message_names_a_folder_that_is_not_writable():
    with workspace() as work, publisher({"kubectl": PROGRAM}) as (address, asked):
        work.path.chmod(0o555)
        place = work.path / "bin"
        if os.getuid() == 0:  # root may write everywhere
            os.seteuid(NOBODY)
        try:
            with pytest.raises(SettingsError) as refused:
                a_program(address).install(place / "kubectl", place, {})
        finally:
            if os.getuid() == 0:
                os.seteuid(0)
        work.path.chmod(0o755)

    said = f"kubectl 1.35.2 cannot be stored in {place}: Permission denied; make it writable, or install it from https"
    assert str(refused.value).startswith(said)
    assert asked == []


def test_concurrent_runs_download_a_file_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with publisher({"kubectl": PROGRAM}, wait=0.5) as (address, asked):
        runs = [
            threading.Thread(target=a_program(address).install, args=(tmp_path / "kubectl", tmp_path, {}))
            for _ in range(2)
        ]
        for run in runs:
            run.start()
        for run in runs:
            run.join()

    assert asked == ["/kubectl"]
    assert left(tmp_path) == ["kubectl", "kubectl/kubectl"]
    assert "waiting for another run" in capsys.readouterr().err


def test_the_remains_of_a_killed_run_are_removed(tmp_path: Path):
    (tmp_path / "unfinished-x").mkdir()
    (tmp_path / "unfinished-x" / "half").touch()
    with publisher({"kubectl": PROGRAM}) as (address, _):
        a_program(address).install(tmp_path / "kubectl", tmp_path, {})

    assert left(tmp_path) == ["kubectl", "kubectl/kubectl"]


def test_an_interrupted_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_args: Any) -> None:
        raise KeyboardInterrupt

    with publisher({"kubectl": PROGRAM}) as (address, _):
        monkeypatch.setattr(download._Progress, "show", interrupted)
        with pytest.raises(KeyboardInterrupt):
            a_program(address).install(tmp_path / "kubectl", tmp_path, {})

    assert left(tmp_path) == []


def test_a_download_prints_its_address_and_on_a_terminal_its_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with publisher({"kubectl": bytes(4_000_000)}) as (address, _):
        program = a_program(address, bytes(4_000_000))
        program.install(tmp_path / "a", tmp_path, {})
        plain = capsys.readouterr().err
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        program.install(tmp_path / "b", tmp_path, {})
        counted = capsys.readouterr().err

    assert plain == f"kubectl 1.35.2: downloading 4 MB from {address}/kubectl\n"
    assert "\rkubectl 1.35.2:  26 % of 4 MB\r" in counted
    assert counted.endswith("100 % of 4 MB\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without programs, and a mirror that has all of them; the folder for its own programs."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    here = {"linux-amd64": ""}
    for name, tool in TOOLS.items():
        packed = tool.url.endswith(".tar.gz")
        content = archive(f"release/{name}") if packed else PROGRAM
        given = replace(tool, sha256={machine: sha256(content) for machine in here})
        (mirror / given.download("linux-amd64").file).write_bytes(content)
        monkeypatch.setitem(TOOLS, name, given)
    monkeypatch.setattr(tools, "this_machine", lambda: "linux-amd64")
    monkeypatch.setattr(tools, "BIN", tmp_path / ".bin")
    monkeypatch.setenv("FLYTE_HOME_MIRROR", mirror.as_uri())
    monkeypatch.setattr(tools, "_home", lambda: tmp_path / "home")
    (tmp_path / "own").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "own"))
    for variable in ("PULUMI_HOME", "PULUMI_CREDENTIALS_PATH"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "own"


def own(folder: Path, name: str, says: str, code: int = 0) -> Path:
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    program.chmod(0o755)
    return program


def test_a_missing_program_is_downloaded_and_added_to_the_path(machine: Path):
    found = tools.provide("kubectl")

    assert found == machine.parent / ".bin" / "linux-amd64" / f"kubectl-{TOOLS['kubectl'].version}" / "kubectl"
    assert shutil.which("kubectl") == str(found)
    assert os.environ["PATH"].endswith(str(machine))
    assert tools.provide("kubectl") == found


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("pulumi", "v3.250.0"),
        ("pulumi", "v3.260.1-dev.0"),
        ("kubectl", "Client Version: v1.37.0"),
        ("kubectl", "a wrapper that says nothing of the kind"),
        ("uv", "uv 0.13.8 (x86_64-unknown-linux-gnu)"),
        ("kind", "kind v0.30.0 go1.24.6 linux/amd64"),
    ],
)
def test_a_suitable_program_of_the_machine_is_used(name: str, says: str, machine: Path):
    program = own(machine, name, says)

    assert tools.provide(name) == program
    assert not (machine.parent / ".bin").exists()


@pytest.mark.parametrize(
    ("name", "says", "code", "why"),
    [
        ("pulumi", "v3.249.9", 0, "is 3.249.9, not 3.250.0 or newer of the same major version"),
        ("pulumi", "v4.0.0", 0, "is 4.0.0, not 3.250.0 or newer of the same major version"),
        ("kubectl", "Client Version: v1.20.2", 0, "is 1.20.2, not 1.30.0 or newer"),
        ("kubectl", "pyenv: kubectl: command not found", 127, "does not start"),
    ],
)
def test_an_unsuitable_program_is_replaced_for_this_project_with_a_message(
    name: str, says: str, code: int, why: str, machine: Path, capsys: pytest.CaptureFixture[str]
):
    program = own(machine, name, says, code)
    before = program.read_text()

    assert tools.provide(name).is_relative_to(machine.parent / ".bin")
    assert f"{program} {why}" in capsys.readouterr().err
    assert program.read_text() == before


def wheel(folder: Path, name: str, version: str) -> str:
    """A package in ``folder`` with a program of its name; its hash, as in a lock file."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}-{version}.data/scripts/{name}": PROGRAM,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    file = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as packed:
        for path, content in files.items():
            member = zipfile.ZipInfo(path)
            member.external_attr = 0o100755 << 16  # pip keeps the mode of programs
            packed.writestr(member, content)
    return f"sha256:{sha256(file.read_bytes())}"


@pytest.fixture
def package_index(machine: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without uv, and packages in place of an index; the lock file names the package of uv that is there."""
    packages = machine.parent / "packages"
    packages.mkdir()
    lock = machine.parent / "requirements.txt"
    lock.write_text(f"uv==1.2.3 --hash={wheel(packages, 'uv', '1.2.3')}\n")
    monkeypatch.setattr(tools, "UV", replace(tools.UV, version="1.2.3", lock=lock))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(packages))
    return packages


def test_uv_comes_from_the_package_index_if_it_is_missing(package_index: Path, machine: Path):
    found = tools.provide("uv")

    assert found == machine.parent / ".bin" / "linux-amd64" / "uv-1.2.3" / "uv"
    assert subprocess.run([found], capture_output=True, text=True, check=True).stdout == "v9.9.9\n"
    assert shutil.which("uv") == str(found)
    shutil.rmtree(package_index)
    assert tools.provide("uv") == found
    assert left(machine.parent / ".bin") == ["linux-amd64", "linux-amd64/uv-1.2.3", "linux-amd64/uv-1.2.3/uv"]


def test_a_package_with_another_hash_is_rejected_and_no_file_stays(package_index: Path, machine: Path):
    tools.UV.lock.write_text(f"uv==1.2.3 --hash=sha256:{'0' * 64}\n")

    with pytest.raises(SettingsError) as refused:
        tools.provide("uv")

    assert "uv 1.2.3: pip cannot install it: " in str(refused.value)
    assert "install it from https://docs.astral.sh/uv/" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert left(machine.parent / ".bin") == []


def test_the_lock_file_of_uv_pins_nothing_else():
    lines = tools.UV.lock.read_text().splitlines()

    assert [line.split()[0] for line in lines if "==" in line] == [f"uv=={tools.UV.version}"]
    assert tools.UV.problem(str(require("uv"))) == ""


def test_on_another_platform_the_message_gives_the_publishers_page(machine: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tools, "this_machine", lambda: "freebsd-riscv64")

    with pytest.raises(SettingsError, match="there is no download for freebsd-riscv64; install it from https://"):
        tools.provide("kubectl")


@pytest.mark.parametrize(
    ("system", "processor", "named"),
    [
        ("Linux", "x86_64", "linux-amd64"),
        ("Linux", "aarch64", "linux-arm64"),
        ("Darwin", "arm64", "darwin-arm64"),
        ("Darwin", "x86_64", "darwin-amd64"),
    ],
)
def test_the_four_platforms_are_recognised(system: str, processor: str, named: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.machine", lambda: processor)

    assert tools.this_machine() == named
    assert named in tools.MACHINES


def plugins(home: Path) -> None:
    for name in ("kubernetes", "random"):
        tool = TOOLS[f"pulumi-resource-{name}"]
        folder = home / "plugins" / f"resource-{name}-v{tool.version}"
        folder.mkdir(parents=True)
        (folder / tool.name).touch()


def test_a_pulumi_with_its_plugins_is_used_unchanged(machine: Path, capsys: pytest.CaptureFixture[str]):
    own(machine, "pulumi", "v3.250.0")
    plugins(machine.parent / "home" / ".pulumi")

    assert tools.provide_pulumi() == {}
    assert capsys.readouterr().out == ""
    assert not (machine.parent / ".bin").exists()


def test_a_downloaded_pulumi_and_its_plugins_stay_in_the_project_and_out_of_the_home(
    machine: Path, capsys: pytest.CaptureFixture[str]
):
    chosen = tools.provide_pulumi()

    home = machine.parent / ".bin" / "linux-amd64" / "pulumi-home"
    assert chosen == {"PULUMI_HOME": str(home)}
    assert left(home / "plugins") == [
        "resource-kubernetes-v4.32.0",
        "resource-kubernetes-v4.32.0/pulumi-resource-kubernetes",
        "resource-random-v4.21.1",
        "resource-random-v4.21.1/pulumi-resource-random",
    ]
    assert not (machine.parent / "home").exists()
    assert f"export PATH={shutil.which('pulumi', path=os.environ['PATH'])}".removesuffix("/pulumi") in (
        printed := capsys.readouterr().out
    )
    assert f"PULUMI_HOME={home}" in printed


def test_a_plugin_without_a_known_sha256_is_not_downloaded(machine: Path, monkeypatch: pytest.MonkeyPatch):
    program = own(machine, "pulumi", "v3.250.0")
    pinned = TOOLS["pulumi-resource-kubernetes"]
    monkeypatch.setitem(TOOLS, pinned.name, replace(pinned, sha256={"darwin-amd64": "0df2"}))
    monkeypatch.setattr(tools, "this_machine", lambda: "darwin-amd64")

    with pytest.raises(SettingsError) as refused:
        tools.provide_pulumi()

    assert str(refused.value) == (
        "pulumi-resource-random 4.21.1: is not downloaded, because no SHA-256 of it for darwin-amd64 is known. If you "
        f"trust the publisher's server, run: {program} plugin install resource kubernetes 4.32.0 --checksum 0df2 && "
        f"{program} plugin install resource random 4.21.1"
    )
    assert not (machine.parent / ".bin").exists()
    plugins(machine.parent / "home" / ".pulumi")
    assert tools.provide_pulumi() == {}


def test_make_plugins_lets_pulumi_verify_each_plugin(machine: Path, monkeypatch: pytest.MonkeyPatch):
    called = machine.parent / "called"
    program = own(machine, "pulumi", "v3.250.0")
    program.write_text(f'#!/bin/sh\necho "$@" >> {called}\necho v3.250.0\n')
    monkeypatch.setattr(sys, "argv", ["plugins"])

    assert ops.plugins.main() == 0

    pins = [TOOLS[f"pulumi-resource-{name}"].sha256["linux-amd64"] for name in ("kubernetes", "random")]
    assert called.read_text().splitlines()[1:] == [
        f"plugin install resource kubernetes 4.32.0 --checksum {pins[0]}",
        f"plugin install resource random 4.21.1 --checksum {pins[1]}",
    ]
    program.write_text("#!/bin/sh\necho v3.250.0\ncase $1 in plugin) exit 7 ;; esac\n")
    assert ops.plugins.main() == 7


@pytest.mark.parametrize("variable", ["", "PULUMI_HOME", "PULUMI_CREDENTIALS_PATH"])
def test_the_users_login_stays_in_use_if_only_the_plugins_are_downloaded(
    variable: str, machine: Path, monkeypatch: pytest.MonkeyPatch
):
    own(machine, "pulumi", "v3.250.0")
    login = machine.parent / ("login" if variable else "home/.pulumi")
    login.mkdir(parents=True)
    (login / "credentials.json").write_text("{}")
    if variable:
        monkeypatch.setenv(variable, str(login))

    chosen = tools.provide_pulumi()

    assert chosen["PULUMI_CREDENTIALS_PATH"] == str(login)
    assert chosen["PULUMI_HOME"] == str(machine.parent / ".bin" / "linux-amd64" / "pulumi-home")
    assert [path.name for path in login.iterdir()] == ["credentials.json"]


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ops.tools", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_list_for_a_mirror_has_every_file_with_its_address():
    lines = dict(line.split("\t") for line in command("--list").stdout.splitlines())

    assert lines["kubectl-v1.35.2-linux-arm64"] == "https://dl.k8s.io/release/v1.35.2/bin/linux/arm64/kubectl"
    assert "pulumi-v3.250.0-linux-x64.tar.gz" in lines
    assert "pulumi-resource-kubernetes-v4.32.0-darwin-amd64.tar.gz" in lines
    assert "pulumi-resource-random-v4.21.1-darwin-amd64.tar.gz" not in lines
    assert "flyte-binary-v1.16.8.tgz" in lines


def test_the_command_prints_the_path_of_a_program_or_fails_with_one_line(tmp_path: Path):
    program = own(tmp_path, "kubectl", "Client Version: v1.35.2")
    empty = (tmp_path / "mirror").as_uri()

    assert command("kubectl", PATH=str(tmp_path)).stdout == f"{program}\n"
    failed = command("kind", PATH=str(tmp_path), FLYTE_HOME_MIRROR=empty, FLYTE_HOME_BIN=str(tmp_path / "bin"))
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert "kind 0.32.0: cannot download file://" in failed.stderr
    assert "Traceback" not in failed.stderr
