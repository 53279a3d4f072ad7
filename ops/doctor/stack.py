"""The stack that the doctor examines."""

import base64
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

from ops.lib.client import Client
from ops.lib.kubectl import Cluster
from ops.lib.text import one_line
from ops.lib.workloads import Object, Workloads, workloads
from settings import Settings
from settings.errors import SettingsError
from settings.projects import TaskScope
from settings.secrets import TASK_STORE_SECRET


@dataclass
class Stack:
    """A stack, and the answers of its cluster so far."""

    name: str
    settings: Settings
    client: Client
    cluster: Cluster = field(default_factory=lambda: Cluster("", ""))
    """The cluster; without a context until `check_context` has run."""
    _secrets: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict, repr=False)
    """Content of the task secrets, by namespace and name; see `kept_secrets`."""

    @property
    def namespace(self) -> str:
        """The platform namespace, with Flyte and its stores."""
        return self.settings.namespace

    @cached_property
    def workloads(self) -> Workloads:
        """Workloads in the platform namespace."""
        return workloads(self.cluster, self.namespace)

    def of(self, kind: str) -> list[Object]:
        """Return the objects of a kind, such as ``Pod``, in the platform namespace."""
        return self.workloads.of(kind)

    def shown(self, *arguments: str) -> str:
        """Return a kubectl command for the platform namespace, quoted for a shell."""
        return self.cluster.shown("--namespace", self.namespace, *arguments)

    @property
    def up_again(self) -> str:
        """Command that recreates missing objects and restores changed ones."""
        return f"make up STACK={self.name}"

    @property
    def kept_secrets(self) -> dict[str, dict[str, dict[str, str]]]:
        """Decoded Secrets that the tasks use, by namespace and name. They are never shown.

        Raises:
            SettingsError: the cluster does not answer, or the Secrets cannot be read.
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
        # kubectl prints a single object without a list around it.
        items = content.get("items", [content])
        return {item["metadata"]["name"]: _decoded(item.get("data") or {}) for item in items}

    def groups_of(self, scope: TaskScope) -> Sequence[str]:
        """Return the secret groups that the project of a task scope asks for."""
        (project,) = [found for found in self.settings.projects if found.name == scope.project]
        return project.task_secrets


def _decoded(data: dict[str, str]) -> dict[str, str]:
    return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}
