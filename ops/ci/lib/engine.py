"""A deployed stack under Pulumi's engine. Continuous integration asks what would change, and changes nothing."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pulumi import automation as auto

from ops.ci.lib.changes import Changes
from ops.ci.lib.cluster_login import cluster_login
from ops.ci.lib.report import known_secrets, masked
from ops.lib.engine import engine_environment
from ops.lib.stack_file import stack_config
from paths import ROOT
from settings.errors import SettingsError


@dataclass(frozen=True)
class Engine:
    """An existing stack."""

    stack: auto.Stack
    secrets: list[str]
    """Texts to mask in everything that is printed."""

    def ask(self, question: Callable[..., Any], **options: Any) -> Changes:
        """Return what ``question``, a method of the stack, would change; print the engine's output, masked.

        Raises:
            EngineError: the engine failed; the message has the engine's own errors.
        """
        changes = Changes()
        try:
            question(on_event=changes, on_output=self._print, color="never", **options)
        except auto.CommandError:
            # The output is printed already; the report needs only the engine's error messages.
            messages = "\n".join(dict.fromkeys(filter(None, changes.errors)))
            raise EngineError(masked(messages, self.secrets) or "pulumi failed; see the log") from None
        return changes

    def _print(self, line: str) -> None:
        print(masked(line, self.secrets), flush=True)


class EngineError(Exception):
    """The engine failed; the message is the engine's, without secrets."""


@contextmanager
def engine(name: str) -> Iterator[Engine]:
    """Open the stack ``name``, logged in to its cluster.

    Raises:
        SettingsError: there is no such stack, or no Pulumi.
        EngineError: the state cannot be opened.
    """
    config, _ = stack_config(name)
    environment = engine_environment()
    with cluster_login(config.get("kubernetes:context", ""), environment) as login:
        options = auto.LocalWorkspaceOptions(env_vars={**environment, **login})
        try:
            stack = auto.select_stack(name, work_dir=str(ROOT), opts=options)
            secrets = known_secrets(stack.get_all_config(), environment)
        except auto.StackNotFoundError:
            where = os.environ.get("PULUMI_BACKEND_URL", "the state")
            raise SettingsError(
                f"STACK: there is no stack {name!r} in {where}; deploy it first with make up STACK={name}, "
                f"or point PULUMI_BACKEND_URL at its state"
            ) from None
        except auto.CommandError as error:
            raise EngineError(masked(str(error), known_secrets({}, environment))) from None
        yield Engine(stack, secrets)
