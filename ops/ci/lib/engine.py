"""A stack under the engine, as continuous integration asks it: what would change, without changing anything."""

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
    """A stack that exists where its state is kept."""

    stack: auto.Stack
    secrets: list[str]

    def ask(self, question: Callable[..., Any], **options: Any) -> Changes:
        """What ``question``, a method of the stack, would change. What the engine prints is printed, masked.

        Raises:
            EngineError: it failed; the message is what the engine says.
        """
        changes = Changes()
        try:
            question(on_event=changes, on_output=self._print, color="never", **options)
        except auto.CommandError:
            # The error has all of the output, which was printed; what counts are the engine's own messages.
            said = "\n".join(dict.fromkeys(filter(None, changes.errors)))
            raise EngineError(masked(said, self.secrets) or "pulumi failed; see the log") from None
        return changes

    def _print(self, line: str) -> None:
        print(masked(line, self.secrets), flush=True)


class EngineError(Exception):
    """The engine could not answer; the message is its own, without secrets."""


@contextmanager
def engine(name: str) -> Iterator[Engine]:
    """The stack ``name``, with its way to the cluster.

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
