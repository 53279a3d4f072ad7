"""A stack ``dev`` on a machine with stand-ins: its stack file, and what the stand-ins answer."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import yaml

from tests.commands.test_up import Machine


@dataclass(frozen=True)
class StackOnMachine:
    """A stack ``dev`` on a machine."""

    WORLD: ClassVar[str] = "world.json"
    """File from which the stand-ins answer, and into which they write."""

    machine: Machine

    @property
    def world(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.machine.folder / self.WORLD).read_text())
        return found

    def set(self, **changed: Any) -> None:
        """Let the stand-ins answer differently."""
        (self.machine.folder / self.WORLD).write_text(json.dumps(self.world | changed))

    @property
    def file(self) -> Path:
        """The stack file."""
        return self.machine.folder / "program" / "Pulumi.dev.yaml"

    @property
    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load(self.file.read_text())["config"]
        return found

    def configure(self, **changed: Any) -> None:
        """Change settings."""
        content = yaml.safe_load(self.file.read_text())
        content["config"] |= {f"flyte-home:{name}": value for name, value in changed.items()}
        self.file.write_text(yaml.safe_dump(content))
