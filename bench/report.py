"""The tables of `make bench`, printed and written into docs/performance.md."""

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ops.docs import replaced
from paths import ROOT

PAGE = "docs/performance.md"


@dataclass(frozen=True)
class Table:
    """A table between the markers of its name in the page."""

    name: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    command: str
    """Command that measures it."""

    def markdown(self) -> str:
        """The table, with the machine it was measured on and the command."""
        rows = [self.head, ["---"] * len(self.head), *self.rows]
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([*lines, "", f"`{self.command}`; {machine()}."])


def machine() -> str:
    """The machine, its load and the day, for the line below a table."""
    load = os.getloadavg()[0]
    cores = os.cpu_count() or 1
    day = time.strftime("%Y-%m-%d")
    return f"{cores} cores, {_memory()} GiB, {platform.machine()}, load average {load:.1f} at the end, {day}"


def _memory() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def publish(table: Table, page: Path = ROOT / PAGE) -> None:
    """Print a table, and write it between its markers in the page.

    Raises:
        ValueError: the page has no markers for it.
    """
    text = table.markdown()
    page.write_text(replaced(page.name, page.read_text(), table.name, text))
    print(f"\n{text}\n", flush=True)
