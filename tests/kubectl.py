"""Fake clusters: each test defines what kubectl answers."""

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ops.doctor.check import Result
from ops.doctor.stack import Stack
from ops.lib.client import Client
from ops.lib.kubectl import Cluster
from paths import ROOT
from settings import SAMPLE_CREDENTIALS, Settings, settings_from
from tests.conftest import stack

Answer = str | Callable[[str], str]


@dataclass(frozen=True)
class FakeCluster(Cluster):
    """A cluster whose kubectl gives the answer of the first rule whose words are all in the command; else it fails."""

    context: str = "home"
    kubeconfig: str = "kubeconfig"
    # Words, what it prints (or makes of its input), and what it complains about; the newest first.
    rules: list[tuple[str, Answer, str]] = field(default_factory=list)

    def on(self, words: str, out: Any = "", error: str = "") -> None:
        """Answer commands with these words with text, or with JSON; or with an error."""
        text = out if isinstance(out, str) or callable(out) else json.dumps(out)
        self.rules.insert(0, (words, text, error))

    def run(self, *arguments: str, given: str = "", seconds: float = 20) -> subprocess.CompletedProcess[str]:
        for words, out, error in self.rules:
            if set(words.split()) <= set(arguments):
                text = out(given) if callable(out) else out
                return subprocess.CompletedProcess(arguments, 1 if error else 0, text, error)
        return subprocess.CompletedProcess(arguments, 1, "", f"unexpected: {' '.join(arguments)}")


AUTH = {"issuer": "https://id.home.example"}


def with_login(secret: str) -> FakeCluster:
    """A cluster whose Flyte wants a login, and has this secret for its own client."""
    cluster = FakeCluster()
    volumes = [{"name": "config"}, {"name": "login", "secret": {"secretName": "auth-1"}}]
    cluster.on("get deployment flyte-binary", {"spec": {"template": {"spec": {"volumes": volumes}}}})
    cluster.on("get secret auth-1", {"data": {"client_secret": base64.b64encode(secret.encode()).decode()}})
    return cluster


def settings(**changed: Any) -> Settings:
    return settings_from(*stack(**{"domains": ["development"], **changed}))


def examined(cluster: FakeCluster | None = None, **changed: Any) -> Stack:
    """A stack with these settings, and what its doctor would know of it."""
    chosen = settings(**changed)
    return Stack("dev", chosen, Client.of(chosen), cluster or FakeCluster())


def states(said: list[Result]) -> list[str]:
    return [one.state for one in said]


# Copies keep Python's bytecode, so that their programs start faster, but not files that another process is writing.
HALF_COMPILED = shutil.ignore_patterns("*.pyc.*")


def program_copy(folder: Path, **changed: Any) -> Path:
    """A copy of the program whose stack ``dev`` has these settings; it keeps what it writes in its own folder."""
    config, _ = stack(**{"domains": ["development"], "tidalCreds": SAMPLE_CREDENTIALS, **changed})
    folder.mkdir()
    for name in ("paths.py", "Pulumi.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    for name in ("settings", "components", "charts", "ops"):
        (folder / name).mkdir()
        shutil.copytree(ROOT / name, folder / name, ignore=HALF_COMPILED, dirs_exist_ok=True)
    (folder / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": config}))
    return folder


_PROGRAM = '''#!{python}
"""kubectl: answers by what a test has written; as port-forward, a server of HTTP that says which port it is for."""
import http.server, json, os, pathlib, signal, sys, time
folder = pathlib.Path({folder!r})
arguments = sys.argv[1:]
with (folder / "log").open("a") as log:
    log.write(" ".join(arguments) + "\\n")
if "port-forward" in arguments:
    for name in (folder / "broken").read_text().split() if (folder / "broken").exists() else ():
        if f"service/{{name}}" in arguments:
            sys.exit("error: " + name + " has no running pod")
    port, _, target = next(one for one in arguments if ":" in one and one[0].isdigit()).partition(":")
    host = next(one for one in arguments if one.startswith("--address=")).partition("=")[2]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if (folder / "silent").exists():
                self.connection.close()
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(target.encode())

        def log_message(self, *_):
            pass

    try:
        server = http.server.HTTPServer((host, int(port)), Handler)
    except OSError:
        sys.exit("error: unable to listen on port " + port)
    print(f"Forwarding from {{host}}:{{port}} -> {{target}}", flush=True)
    server.serve_forever()
for rule in sorted(folder.glob("*.rule")):
    words, _, answer = rule.read_text().partition("\\n")
    if set(words.split()) <= set(arguments):
        sys.stdout.write(answer)
        sys.exit(0)
sys.exit("no answer to " + " ".join(arguments))
'''


@dataclass(frozen=True)
class KubectlProgram:
    """A kubectl on the PATH that a test tells what to answer."""

    folder: Path

    @property
    def calls(self) -> list[str]:
        log = self.folder / "log"
        return log.read_text().splitlines() if log.exists() else []

    def on(self, words: str, out: str) -> None:
        (self.folder / f"{len(list(self.folder.glob('*.rule')))}.rule").write_text(f"{words}\n{out}")

    def mark(self, name: str, text: str = "") -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    @classmethod
    def install(cls, folder: Path) -> "KubectlProgram":
        """Put it into a folder, with a kubeconfig that has the context ``home``."""
        folder.mkdir()
        program = folder / "kubectl"
        program.write_text(_PROGRAM.format(python=sys.executable, folder=str(folder)))
        program.chmod(0o700)
        (folder / "kubeconfig").write_text('{"contexts": [{"name": "home"}]}')
        return cls(folder)
