"""The stack that the doctor looks at."""

import base64
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ops.lib.client import Client
from ops.lib.kubectl import Cluster
from settings import Settings
from settings.errors import SettingsError
from settings.projects import TaskScope
from settings.secrets import TASK_STORE_SECRET

Object = dict[str, Any]
# In one request: they are what most checks look at.
_KINDS = "statefulsets,deployments,pods,jobs,persistentvolumeclaims,ingresses,events"


@dataclass
class Stack:
    """A stack, and what its cluster has been asked already."""

    name: str
    settings: Settings
    client: Client
    # Known when the check of the context has run.
    cluster: Cluster = field(default_factory=lambda: Cluster("", ""))
    # By namespace and name: the secrets of tasks, once asked for.
    _secrets: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict, repr=False)

    @property
    def namespace(self) -> str:
        """That of Flyte and its stores."""
        return self.settings.namespace

    @cached_property
    def objects(self) -> list[Object]:
        """What there is in the stack's own namespace."""
        answer = self.cluster.ask("get", _KINDS, f"--namespace={self.namespace}", "--output=json")
        return list(json.loads(answer)["items"])

    def of(self, kind: str) -> list[Object]:
        """The objects of a kind, such as ``Pod``, in the stack's own namespace."""
        return [found for found in self.objects if found["kind"] == kind]

    def warnings(self, name: str, pod: Object | None = None) -> list[str]:
        """The two newest warnings about a volume, or about a workload and its present ``pod``."""
        # Not by its name: the pods before it had the same.
        uid = pod["metadata"]["uid"] if pod else None

        def concerns(event: Object) -> bool:
            about = event["involvedObject"]
            if about["kind"] == "Pod":
                return bool(about.get("uid") == uid)
            return bool(about["name"] == name) or (
                about["kind"] == "ReplicaSet" and str(about["name"]).startswith(f"{name}-")
            )

        found = [event for event in self.of("Event") if event["type"] == "Warning" and concerns(event)]
        found.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
        return [f"{event['reason']}: {one_line(event['message'])}" for event in found[-2:]]

    def shown(self, *arguments: str) -> str:
        """A kubectl command for the stack's own namespace, to be copied into a shell."""
        return self.cluster.shown("--namespace", self.namespace, *arguments)

    @property
    def up_again(self) -> str:
        """The command that makes what is gone from the cluster: without a look at it, Pulumi believes its state."""
        return f"make up STACK={self.name} REFRESH=1"

    @property
    def kept_secrets(self) -> dict[str, dict[str, dict[str, str]]]:
        """By namespace and name: the Secrets that tasks of the settings' projects use, decoded. Never shown.

        Raises:
            SettingsError: the cluster does not answer, or does not show them.
        """
        if not self._secrets:
            with ThreadPoolExecutor(4) as pool:
                found = pool.map(self._secrets_in, self.settings.task_scopes)
                self._secrets.update(zip((scope.namespace for scope in self.settings.task_scopes), found, strict=True))
        return self._secrets

    def _secrets_in(self, scope: TaskScope) -> dict[str, dict[str, str]]:
        names = [TASK_STORE_SECRET, *self.groups_of(scope)]
        answer = self.cluster.run(
            "get", "secret", *names, f"--namespace={scope.namespace}", "--ignore-not-found", "--output=json"
        )
        if answer.returncode:
            raise SettingsError(f"the Secrets in {scope.namespace} cannot be read: {one_line(answer.stderr)}")
        content = json.loads(answer.stdout or '{"items": []}')
        # One alone comes without a list around it, as does one that was found of several.
        items = content.get("items", [content])
        return {item["metadata"]["name"]: _decoded(item.get("data") or {}) for item in items}

    def groups_of(self, scope: TaskScope) -> Sequence[str]:
        """The groups of secrets that the project of a namespace asks for."""
        (project,) = [found for found in self.settings.projects if found.name == scope.project]
        return project.task_secrets


def one_line(text: str, most: int = 400) -> str:
    """``text`` without line breaks, and not too long for a terminal."""
    joined = " ".join(text.split())
    # Its beginning says what failed, and its end why.
    return joined if len(joined) <= most else f"{joined[: most // 3]} … {joined[-most // 2 :]}"


def _decoded(data: dict[str, str]) -> dict[str, str]:
    return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}
