"""External programs that some test layers need: found on this machine, or built from their own packages.

``python -m tests.tools LAYER...`` installs what these layers need and reports what is missing. The tests only look for
programs, so that no test spends minutes in a compiler.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from ops.tools import UV, Package
from settings.errors import SettingsError

SOURCES = Path(__file__).resolve().parent
CACHE = SOURCES.parents[1] / ".tools"
_LONGEST_SECONDS = 3600


class MissingError(Exception):
    """A program is missing; the message explains why, and what to do about it."""


@dataclass(frozen=True)
class GoPackage:
    """A program in a Go module. A folder next to this file pins it, with the hashes of all its dependencies."""

    folder: str
    package: str

    def path(self, name: str) -> Path:
        """Path of the program after it has been built; it depends on the pin."""
        folder = SOURCES / self.folder
        return CACHE / f"{self.folder}-{_digest(folder / 'go.mod', folder / 'go.sum')}" / name

    def make(self, name: str) -> None:
        """Build the program.

        Raises:
            MissingError: Go is missing, or the build failed.
        """
        go = shutil.which("go")
        if not go:
            raise MissingError(
                "it is not installed, and without Go (https://go.dev/dl/) it cannot be built from its module"
            )
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")  # so that an interrupted build leaves no incomplete program
        # Without cgo, no C compiler is needed. GOFLAGS and GOWORK of the user are meant for the user's own code.
        environment = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
        options = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", str(part)]
        _run([go, "build", *options, self.package], environment, SOURCES / self.folder)
        part.replace(path)


@dataclass(frozen=True)
class PythonEnvironment:
    """A Python package in a separate environment. A folder next to this file has its requirements with hashes."""

    folder: str

    @property
    def _requirements(self) -> Path:
        return SOURCES / self.folder / "requirements.txt"

    @property
    def _environment(self) -> Path:
        return CACHE / f"{self.folder}-{_digest(self._requirements)}"

    def path(self, name: str) -> Path:
        """Path of the program after it has been installed."""
        return self._environment / "bin" / name

    def make(self, name: str) -> None:
        """Install the package.

        Raises:
            MissingError: it cannot be installed, most likely because no package index can be reached.
        """
        environment = self._environment
        try:
            _run([sys.executable, "-m", "venv", "--clear", str(environment)])
            pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
            _run([*pip, "--disable-pip-version-check", "--require-hashes", "--no-deps", "-r", str(self._requirements)])
        except BaseException:  # including interruptions
            shutil.rmtree(environment, ignore_errors=True)
            raise


@dataclass(frozen=True)
class PackageOfMake:
    """A program that `make` installs if it is missing; the tests install it in the same way."""

    package: Package

    def path(self, name: str) -> Path:
        """Path of the program after it has been installed."""
        return self.package.folder / name

    def make(self, _name: str) -> None:
        """Install the program.

        Raises:
            MissingError: it cannot be installed, most likely because no package index can be reached.
        """
        try:
            self.package.fetch()
        except SettingsError as error:
            raise MissingError(str(error)) from None


@dataclass(frozen=True)
class Tool:
    """A program, the layers that need it, and where to find or get it."""

    name: str
    layers: frozenset[str]
    # Names on the PATH, the most likely one first.
    names: tuple[str, ...] = ()
    # Environment variable with the path of the program.
    variable: str = ""
    # Environment variable with a folder of programs, and its usual folder.
    folders: tuple[str, str] = ("", "")
    # How to build or install the program; otherwise, where to get it.
    recipe: GoPackage | PythonEnvironment | PackageOfMake | None = None
    remedy: str = ""
    # An argument, and text the right program then prints, if a different program has the same name.
    recognised_by: tuple[str, str] = ("", "")

    def find(self) -> Path | None:
        """Path of the program if it already exists.

        Raises:
            MissingError: the variable does not name a program.
        """
        named = os.environ.get(self.variable, "") if self.variable else ""
        if named:
            if found := shutil.which(named):
                return Path(found)
            raise MissingError(f"{self.variable}={named} is not a program")
        return next((path for path in self._places() if self._is_it(path)), None)

    def make(self) -> Path:
        """Build or install the program, and return its path.

        Raises:
            MissingError: it cannot be built or installed.
        """
        if not self.recipe:
            raise MissingError(f"it is not on the PATH; {self.remedy}")
        self.recipe.make(self.name)
        return self.recipe.path(self.name)

    def _places(self) -> Iterator[Path]:
        variable, usual = self.folders
        yield from (Path(folder, self.name) for folder in (os.environ.get(variable), usual) if folder)
        yield from (Path(found) for name in self.names if (found := shutil.which(name)))
        if self.recipe:
            yield self.recipe.path(self.name)

    def _is_it(self, path: Path) -> bool:
        if not path.is_file() or not os.access(path, os.X_OK):
            return False
        argument, text = self.recognised_by
        if not argument:
            return True
        answer = subprocess.run([path, argument], capture_output=True, text=True, timeout=60, check=False)
        return text in answer.stdout


def _kubernetes(name: str, package: str, *more_layers: str) -> Tool:
    # Where setup-envtest and kubebuilder put the programs of an API server: https://book.kubebuilder.io/reference/envtest
    folders = ("KUBEBUILDER_ASSETS", "/usr/local/kubebuilder/bin")
    layers = frozenset({"apiserver", "engine", *more_layers})
    return Tool(name, layers, (name,), folders=folders, recipe=GoPackage("kubernetes", package))


def _of_the_environment(name: str, *layers: str) -> Tool:
    # A locked package of the environment that the tests themselves run in. On Linux with arm64, it has no shellcheck.
    folders = ("", str(Path(sys.prefix, "bin")))
    remedy = (
        "make check installs it from requirements-dev.txt, but shellcheck not on Linux with arm64: install it there"
    )
    return Tool(name, frozenset(layers), (name,), folders=folders, remedy=remedy)


_HELM = GoPackage("kubernetes", "helm.sh/helm/v3/cmd/helm")
_KUBE_SCORE = GoPackage("kube-score", "github.com/zegl/kube-score/cmd/kube-score")
_ACTIONLINT = GoPackage("actionlint", "github.com/rhysd/actionlint/cmd/actionlint")
_CRANE = GoPackage("crane", "github.com/google/go-containerregistry/cmd/crane")
_GITLEAKS = GoPackage("gitleaks", "github.com/zricethezav/gitleaks/v8")
_MINIO, _MC = GoPackage("minio", "github.com/minio/minio"), GoPackage("mc", "github.com/minio/mc")
_RESTIC = GoPackage("restic", "github.com/restic/restic/cmd/restic")
_JQ = GoPackage("gojq", "github.com/itchyny/gojq/cmd/gojq")
_PROMTOOL = GoPackage("promtool", "github.com/prometheus/prometheus/cmd/promtool")
_EXPORTER = GoPackage("postgres_exporter", "github.com/prometheus-community/postgres_exporter/cmd/postgres_exporter")
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_GET_CHROMIUM = "install the package chromium or Google Chrome, or set CHROMIUM to the path of the program"
_IS_MC = ("--version", "mc version")  # Midnight Commander has the same name

TOOLS = {
    tool.name: tool
    for tool in (
        Tool("checkov", frozenset({"schema"}), recipe=PythonEnvironment("checkov")),
        Tool("uv", frozenset({"commands", "example"}), ("uv",), recipe=PackageOfMake(UV)),
        Tool("zizmor", frozenset({"repository"}), ("zizmor",), recipe=PythonEnvironment("zizmor")),
        Tool("actionlint", frozenset({"repository"}), ("actionlint",), recipe=_ACTIONLINT),
        Tool("crane", frozenset({"repository"}), ("crane",), recipe=_CRANE),
        Tool("gitleaks", frozenset({"repository"}), ("gitleaks",), recipe=_GITLEAKS),
        _of_the_environment("shellcheck", "repository"),
        _of_the_environment("yamllint", "repository"),
        Tool("kube-score", frozenset({"schema"}), ("kube-score",), recipe=_KUBE_SCORE),
        Tool("helm", frozenset({"chart", "apiserver"}), ("helm",), recipe=_HELM),
        _kubernetes("etcd", "go.etcd.io/etcd/server/v3"),
        _kubernetes("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
        _kubernetes("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
        Tool("minio", frozenset({"scripts"}), ("minio", "silo"), "MINIO_SERVER", recipe=_MINIO),
        Tool("mc", frozenset({"scripts"}), ("mc",), "MINIO_CLIENT", recipe=_MC, recognised_by=_IS_MC),
        # Not that of the machine, which may be older than the exit codes that the scripts read.
        Tool("restic", frozenset({"scripts"}), recipe=_RESTIC),
        Tool("promtool", frozenset({"schema"}), ("promtool",), recipe=_PROMTOOL),
        # Not that of the machine: the metrics of other versions have other names.
        Tool("postgres_exporter", frozenset({"scripts"}), recipe=_EXPORTER),
        # The original, or the program that is built here: both read the same language.
        Tool("jq", frozenset({"scripts"}), ("jq",), "JQ", recipe=_JQ),
        Tool("chromium", frozenset({"commands"}), _CHROMIUM, "CHROMIUM", remedy=_GET_CHROMIUM),
        Tool("pulumi", frozenset({"engine"}), ("pulumi",), remedy="install it from https://www.pulumi.com/docs/install/"),
    )
}  # fmt: skip


def require(name: str) -> Path:
    """Path of the program ``name``. Without it, the test is skipped with a message about how to get it."""
    tool = TOOLS[name]
    try:
        found = tool.find()
    except MissingError as reason:
        pytest.fail(str(reason))
    if not found:
        pytest.skip(
            f"needs {name}: {tool.remedy or f'python -m tests.tools {min(tool.layers)} installs it or reports why not'}"
        )
    return found


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _run(command: list[str], environment: Mapping[str, str] | None = None, folder: Path = SOURCES) -> None:
    try:
        subprocess.run(
            command,
            env=os.environ | dict(environment or {}),
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=_LONGEST_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        lines = [line for line in (error.stderr + error.stdout).splitlines() if line.strip()]
        raise MissingError(f"{Path(command[0]).name} failed: {' / '.join(lines[-2:])}") from None
    except (subprocess.TimeoutExpired, OSError) as error:
        raise MissingError(str(error)) from None
