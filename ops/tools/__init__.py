"""The programs that this project starts: suitable ones of the machine, otherwise pinned ones in `.bin/`.

Nothing outside that folder is changed. ``FLYTE_HOME_BIN`` sets another folder, such as one for several checkouts.
Without a network, ``FLYTE_HOME_MIRROR`` sets a folder with the files (``python -m ops.tools --list`` lists them). uv
is a Python package and comes from the package index that pip uses.
"""

import os
import platform
import pwd
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from ops.tools.download import Download
from ops.tools.package import install_package
from paths import ROOT
from settings.errors import SettingsError

BIN = Path(os.environ.get("FLYTE_HOME_BIN") or ROOT / ".bin").expanduser().absolute()
_PLUGINS = ("kubernetes", "random")
# Exit codes for a missing command, of a shell and of the shims that pyenv and asdf put on the PATH.
_NOT_THERE = {126, 127}
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_SECONDS = 30


@dataclass(frozen=True)
class Program:
    """A program with a pinned version; ``tools.yaml`` explains the fields."""

    name: str
    version: str
    home: str
    asked: Sequence[str] = field(default=(), kw_only=True)
    at_least: str = field(default="", kw_only=True)

    def fetch(self) -> Path:
        """Return the folder of the program, below `.bin/` and the name of the platform; get it if it is missing.

        Raises:
            SettingsError: it cannot be fetched.
        """
        raise NotImplementedError

    def problem(self, path: str) -> str:
        """Return why the program at ``path`` is not suitable; empty if it is."""
        command = [path, *self.asked]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return "does not start"
        if answer.returncode in _NOT_THERE:
            return "does not start"
        found = re.search(r"\bv?(\d+)\.(\d+)\.(\d+)", answer.stdout)
        if not found:  # a custom build, or a wrapper
            return ""
        version, oldest = tuple(map(int, found.groups())), tuple(map(int, self.at_least.split(".")))
        if version >= oldest and version[0] == oldest[0]:
            return ""
        return f"is {'.'.join(found.groups())}, not {self.at_least} or newer of the same major version"


@dataclass(frozen=True)
class Tool(Program):
    """A program of ``tools.yaml``, which explains the fields."""

    url: str
    file: str = ""
    called: Mapping[str, str] = field(default_factory=dict)
    sha256: Mapping[str, str] = field(default_factory=dict)

    def download(self, machine: str) -> Download:
        """Return the download for a platform, such as ``linux-amd64``."""
        url = self.url.format(version=self.version, platform=self.called.get(machine, machine))
        file = self.file.format(version=self.version, machine=machine) or url.rsplit("/", 1)[1]
        return Download(f"{self.name} {self.version}", url, file, self.home, self.sha256[machine])

    def files(self) -> dict[str, str]:
        """Return the names in a mirror of the files for all platforms, by address."""
        return {item.url: item.file for item in map(self.download, self.sha256)}

    def fetch(self, folder: str = "") -> Path:
        """Return the folder of the program, below `.bin/` and the name of the platform; download it if it is missing.

        Args:
            folder: name of the folder; by default name and version of the program.

        Raises:
            SettingsError: it cannot be downloaded, or there is no file for this platform.
        """
        machine = this_machine()
        if machine not in self.sha256:
            raise SettingsError(
                f"{self.name} {self.version}: there is no download for {machine}; install it from {self.home} and put "
                "it on the PATH. make render works without it"
            )
        target = BIN / machine / (folder or f"{self.name}-{self.version}")
        return self.download(machine).install(target, BIN)


@dataclass(frozen=True)
class Package(Program):
    """A program in a Python package of its name, which a lock file with hashes pins."""

    lock: Path

    @classmethod
    def of(cls, name: str, home: str, asked: Sequence[str], at_least: str) -> "Package":
        """Return the package that the lock file in the folder ``name`` pins."""
        lock = Path(__file__).parent / name / "requirements.txt"
        pinned = re.search(rf"^{name}==(\S+)", lock.read_text(), re.MULTILINE)
        if not pinned:
            raise ValueError(f"{lock} does not pin {name}")
        return cls(name, pinned[1], home, lock, asked=asked, at_least=at_least)

    @property
    def folder(self) -> Path:
        """Folder of the program, whether it is installed or not."""
        return BIN / this_machine() / f"{self.name}-{self.version}"

    def fetch(self) -> Path:
        """Return the folder of the program, below `.bin/` and the name of the platform; install it if it is missing.

        Raises:
            SettingsError: pip cannot install it; most likely no package index can be reached.
        """
        return install_package(self.name, self.version, self.home, self.lock, BIN, self.folder)


TOOLS = {
    name: Tool(name, **fields)
    for name, fields in yaml.safe_load((Path(__file__).parent / "tools.yaml").read_text()).items()
}
UV = Package.of("uv", "https://docs.astral.sh/uv/getting-started/installation/", ["--version"], "0.8.0")
"""For `make example WAY=python` and `make lock` only."""
MACHINES = tuple(TOOLS["pulumi"].sha256)


def this_machine() -> str:
    """Return the platform of this machine, such as ``linux-amd64`` or ``darwin-arm64``."""
    return f"{platform.system()}-{_MACHINES.get(platform.machine().lower(), platform.machine())}".lower()


def provide(name: str) -> Path:
    """Return the path of a program, which is then on the ``PATH`` of this process and of all processes it starts.

    Raises:
        SettingsError: the machine has no suitable version, and none can be downloaded.
    """
    tool, found = UV if name == UV.name else TOOLS[name], shutil.which(name)
    if found and (Path(found).is_relative_to(BIN) or not (problem := tool.problem(found))):
        return Path(found)
    folder = tool.fetch()
    if found:
        print(f"{found} {problem}; {folder / name} is used instead", file=sys.stderr)
    os.environ["PATH"] = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PATH")])])
    return folder / name


def provide_pulumi() -> dict[str, str]:
    """Provide `pulumi` and its two plugins; return the variables with which Pulumi finds them.

    There are none if the user's Pulumi home has the plugins. Otherwise they are in a Pulumi home of this project; the
    user's login stays where it is and remains in use.

    Raises:
        SettingsError: a program is missing and cannot be downloaded.
    """
    program = provide("pulumi")
    own = Path(os.environ.get("PULUMI_HOME") or _home() / ".pulumi").expanduser()
    plugins = {_plugin(name): TOOLS[f"pulumi-resource-{name}"] for name in _PLUGINS}
    chosen = {}
    if not all((own / "plugins" / folder / tool.name).is_file() for folder, tool in plugins.items()):
        plugin_commands(program)  # rejects a plugin without a checksum before anything is downloaded
        home = BIN / this_machine() / "pulumi-home"
        for folder, tool in plugins.items():
            tool.fetch(f"{home.name}/plugins/{folder}")
        chosen["PULUMI_HOME"] = str(home)
        # Only if there is a login: Pulumi would create a missing folder.
        credentials = Path(os.environ.get("PULUMI_CREDENTIALS_PATH") or own)
        if (credentials / "credentials.json").is_file():
            chosen["PULUMI_CREDENTIALS_PATH"] = str(credentials)
    path = {"PATH": f"{program.parent}:$PATH"} if program.is_relative_to(BIN) else {}
    if path or chosen:
        exports = " ".join(f"{key}={value}" for key, value in {**path, **chosen}.items())
        print(f"Pulumi is {program}. For plain pulumi commands:\n  export {exports}", flush=True)
    return chosen


def plugin_commands(program: Path) -> list[list[str]]:
    """Return the commands with which Pulumi installs its plugins and verifies them.

    Raises:
        SettingsError: a plugin has no SHA-256 for this platform; nothing weaker is accepted in its place.
    """
    machine, commands, unknown = this_machine(), [], []
    for name in _PLUGINS:
        tool = TOOLS[f"pulumi-resource-{name}"]
        known = machine in tool.sha256
        checksum = ["--checksum", tool.sha256[machine]] if known else []
        commands.append([str(program), "plugin", "install", "resource", name, tool.version, *checksum])
        unknown += [] if known else [f"{tool.name} {tool.version}"]
    if unknown:
        raise SettingsError(
            f"{', '.join(unknown)}: is not downloaded, because no SHA-256 of it for {machine} is known. If you trust "
            f"the publisher's server, run: {' && '.join(map(shlex.join, commands))}"
        )
    return commands


def _home() -> Path:
    # Like Pulumi, which asks the system instead of the variable HOME.
    return Path(pwd.getpwuid(os.getuid()).pw_dir)


def _plugin(name: str) -> str:
    # https://github.com/pulumi/pulumi/blob/v3.250.0/sdk/go/common/workspace/plugins.go (PluginInfo.Dir)
    return f"resource-{name}-v{TOOLS[f'pulumi-resource-{name}'].version}"
