"""Two public scanners for Kubernetes manifests, and the list of findings that are accepted."""

import fnmatch
import json
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.matrix import KUBERNETES
from tests.tools import require

Findings = dict[str, set[str]]  # objects as Kind/name, by the scanner's name of the check
# Grades of kube-score: 1 critical, 5 warning, 7 almost OK, 10 all OK.
_ALL_OK = 10


@dataclass(frozen=True)
class Accepted:
    """A finding that is accepted, and the reason."""

    check: str
    # Patterns of Kind/name; they end in ``*`` if Pulumi adds a suffix to the name.
    objects: tuple[str, ...]
    reason: str

    @property
    def scanner(self) -> str:
        """Name of the scanner that has this check."""
        return "checkov" if self.check.startswith("CKV") else "kube-score"

    def covers(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.objects)


ACCEPTED = [
    Accepted(check, tuple(entry["objects"]), entry["reason"])
    for entry in yaml.safe_load((Path(__file__).parent / "accepted_findings.yaml").read_text())
    for check in entry["checks"]
]


def object_name(manifest: Mapping[str, Any]) -> str:
    """Name of an object in the list of accepted findings: ``Kind/name``."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def _checkov(manifests: Sequence[Mapping[str, Any]]) -> Findings:
    """The findings of checkov (https://www.checkov.io), which runs without a network."""
    command = [require("checkov"), "--framework", "kubernetes", "--skip-download", "--output", "json", "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        for index, manifest in enumerate(manifests):
            Path(folder, f"{index}.yaml").write_text(yaml.safe_dump(manifest))
        # The exit code only says whether there are findings; they are read below.
        answer = subprocess.run([*command, "--directory", folder], capture_output=True, text=True, check=False)
    report = json.loads(answer.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > len(manifests)
    found = Findings()
    for finding in report["results"]["failed_checks"]:
        manifest = manifests[int(Path(finding["file_path"]).stem)]
        found.setdefault(finding["check_id"], set()).add(object_name(manifest))
    return found


def _kube_score(manifests: Sequence[Mapping[str, Any]]) -> Findings:
    """The findings of kube-score (https://github.com/zegl/kube-score) that are critical or worth a warning."""
    answer = subprocess.run(
        [require("kube-score"), "score", "--kubernetes-version", f"v{KUBERNETES[0]}", "--output-format", "json", "-"],
        input=yaml.safe_dump_all(manifests),
        capture_output=True,
        text=True,
        check=False,
    )
    found = Findings()
    for scored in json.loads(answer.stdout):
        for check in scored["checks"]:
            if not check["skipped"] and check["grade"] < _ALL_OK:
                name = f"{scored['type_meta']['kind']}/{scored['object_meta']['name']}"
                found.setdefault(check["check"]["id"], set()).add(name)
    return found


SCANNERS: dict[str, Callable[[Sequence[Mapping[str, Any]]], Findings]] = {
    "checkov": _checkov,
    "kube-score": _kube_score,
}


def problems(scanner: str, manifests: Sequence[Mapping[str, Any]]) -> list[str]:
    """New findings of ``scanner`` that are not accepted, and accepted ones it no longer has; empty if all is well."""
    found = SCANNERS[scanner](manifests)
    accepted = [entry for entry in ACCEPTED if entry.scanner == scanner]
    there = {object_name(manifest) for manifest in manifests}
    new = [
        f"{check} complains about {name}; fix it, or accept it with a reason in tests/accepted_findings.yaml"
        for check, names in sorted(found.items())
        for name in sorted(names)
        if not any(entry.check == check and entry.covers(name) for entry in accepted)
    ]
    gone = [
        f"{entry.check} no longer complains about {pattern}; remove it from tests/accepted_findings.yaml"
        for entry in accepted
        for pattern in entry.objects
        if fnmatch.filter(there, pattern) and not fnmatch.filter(found.get(entry.check, set()), pattern)
    ]
    return new + gone
