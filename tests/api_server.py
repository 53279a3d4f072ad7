"""A real Kubernetes API server with its etcd, on loopback, without nodes or controllers."""

import base64
import json
import os
import secrets
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
import yaml

from tests.processes import Workspace, free_port, process, wait_until, workspace
from tests.tools import require

_START_SECONDS = 120


@dataclass(frozen=True)
class ApiServer:
    """Access to an API server: ``kubectl`` and a kubeconfig whose context has all rights."""

    kubectl: Path
    kubeconfig: Path
    context: str

    def run(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run kubectl with these arguments and ``given`` on its standard input."""
        command = [self.kubectl, "--kubeconfig", self.kubeconfig, "--context", self.context, *arguments]
        # A separate home, so that kubectl does not use its cache of an earlier server for this one.
        environment = os.environ | {"HOME": str(self.kubeconfig.parent)}
        return subprocess.run(command, input=given, env=environment, capture_output=True, text=True, check=False)

    def apply(
        self, manifests: Iterable[Mapping[str, Any]], dry_run: bool = True, manager: str = "kubectl"
    ) -> list[str]:
        """Apply ``manifests`` with strict validation; return the problems the server reports, including warnings."""
        command = ["apply", "--server-side", "--force-conflicts", f"--field-manager={manager}"]
        return self._problems(command, list(manifests), dry_run)

    def create(self, manifests: Iterable[Mapping[str, Any]], dry_run: bool = True) -> list[str]:
        """Create ``manifests`` with strict validation; return the problems the server reports, including warnings."""
        return self._problems(["create"], list(manifests), dry_run)

    def make_namespaces(self, manifests: Iterable[Mapping[str, Any]]) -> None:
        """Create these namespaces, each with the service account that a controller would create."""
        wanted = list(manifests)
        accounts = [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
            for name in {manifest["metadata"]["name"] for manifest in wanted}
        ]
        assert self.apply([*wanted, *accounts], dry_run=False) == []

    def may(self, user: str, *questions: tuple[str, str, str]) -> list[bool]:
        """Ask the server whether ``user`` has each right: verb, resource, and namespace (empty for the whole cluster).

        A resource can include a group, a name and a subresource: ``deployments.apps/NAME``, ``pods//exec``.
        """
        reviews = []
        for verb, resource, namespace in questions:
            kind, name, part = [*resource.split("/"), "", ""][:3]
            kind, _, group = kind.partition(".")
            asked = {"verb": verb, "resource": kind, "subresource": part, "group": group, "name": name}
            asked["namespace"] = namespace
            spec = {"user": user, "resourceAttributes": asked}
            reviews.append({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec})
        answer = self.run("create", "--filename=-", "--output=json", given=yaml.safe_dump_all(reviews))
        assert answer.returncode == 0, answer.stderr
        decoder, text, allowed = json.JSONDecoder(), answer.stdout.lstrip(), []
        while text:  # the answer can contain several documents
            found, end = decoder.raw_decode(text)
            allowed += [item["status"]["allowed"] for item in found.get("items", [found])]
            text = text[end:].lstrip()
        assert len(allowed) == len(questions)
        return allowed

    def uid(self) -> str:
        """The identity of the cluster: the UID of its namespace kube-system."""
        return self.run("get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}").stdout

    def _problems(self, command: list[str], manifests: list[Mapping[str, Any]], dry_run: bool) -> list[str]:
        options = ["--validate=strict", "--output=name", "--filename=-", *(["--dry-run=server"] if dry_run else [])]
        answer = self.run(
            *command, *options, given="\n".join(json.dumps(manifest, ensure_ascii=False) for manifest in manifests)
        )
        problems = answer.stderr.splitlines()
        if not problems:
            assert len(answer.stdout.splitlines()) == len(manifests)
        return problems


@contextmanager
def api_server(configurations: Mapping[str, str] | None = None) -> Iterator[ApiServer]:
    """An API server that is stopped when the context ends.

    Without its programs, tests are skipped.

    Args:
        configurations: options whose value is a file, each with the content of the file.
    """
    programs = {name: require(name) for name in ("etcd", "kube-apiserver", "kubectl")}
    with workspace() as work, _etcd(programs["etcd"], work) as etcd:
        port, token = free_port(), secrets.token_hex()
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        key = work.file("service-accounts.pem", trustme.CA().private_key_pem.bytes().decode())
        kubeconfig = work.file("kubeconfig", json.dumps(_kubeconfig(port, token, authority.cert_pem.bytes().decode())))
        options = {
            "etcd-servers": etcd,
            "bind-address": "127.0.0.1",
            "secure-port": str(port),
            "tls-cert-file": work.file("server.pem", certificate.cert_chain_pems[0].bytes().decode()),
            "tls-private-key-file": work.file("server-key.pem", certificate.private_key_pem.bytes().decode()),
            "token-auth-file": work.file("tokens", f'{token},admin,admin,"system:masters"\n'),
            "authorization-mode": "RBAC",
            "allow-privileged": "true",  # as in real clusters, where Pod Security admission rejects such pods
            "service-cluster-ip-range": "10.0.0.0/24",
            "service-account-issuer": "https://127.0.0.1",
            "service-account-key-file": key,
            "service-account-signing-key-file": key,
        }
        options |= {name: work.file(name, text) for name, text in (configurations or {}).items()}
        command = [str(programs["kube-apiserver"]), *(f"--{name}={value}" for name, value in options.items())]
        log = work.path / "kube-apiserver.log"
        with log.open("w") as output, process(command, os.environ, work, stdout=output, stderr=output) as server:
            found = ApiServer(programs["kubectl"], kubeconfig, "test")

            def ready() -> bool:
                if server.poll() is not None:
                    raise RuntimeError(f"kube-apiserver stopped: {log.read_text()[-2000:]}")
                # kube-system is the last object the server creates when it starts, so nothing changes after that.
                return found.run("get", "--raw", "/readyz").stdout == "ok" and bool(found.uid())

            wait_until(ready, "the API server", _START_SECONDS)
            yield found


@contextmanager
def _etcd(program: Path, work: Workspace) -> Iterator[str]:
    clients, peers = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    options = {
        "data-dir": work.folder("etcd"),
        "listen-client-urls": clients,
        "advertise-client-urls": clients,
        "listen-peer-urls": peers,
        "initial-advertise-peer-urls": peers,
        "initial-cluster": f"default={peers}",
        "unsafe-no-fsync": "true",  # the data does not have to survive a crash
    }
    command = [str(program), *(f"--{name}={value}" for name, value in options.items())]
    with (work.path / "etcd.log").open("w") as log, process(command, os.environ, work, stdout=log, stderr=log):
        yield clients


def _kubeconfig(port: int, token: str, authority: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "clusters": [
            {
                "name": "test",
                "cluster": {
                    "server": f"https://127.0.0.1:{port}",
                    "certificate-authority-data": base64.b64encode(authority.encode()).decode(),
                },
            }
        ],
    }
