"""The progress of an execution, for a terminal or a log."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO


@dataclass
class Progress:
    """The nodes of an execution: redrawn in place on a terminal, otherwise a line for each change."""

    out: TextIO
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Last line of each node (see `ops.lib.follow`), by id."""
    _drawn: int = 0

    def update(self, node: Mapping[str, Any]) -> None:
        """Show a change of a node."""
        self.nodes[node["id"]] = dict(node)
        if self.out.isatty():
            self.draw()
        else:
            self.out.write(f"        {self._line(node)}\n")
            self.out.flush()

    def draw(self) -> None:
        """Redraw all nodes on the terminal, with the seconds that the running ones have taken until now."""
        if not self.out.isatty():
            return
        above = f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""  # go up to the first node, and clear from there
        self.out.write(above + "".join(f"        {self._line(node)}\n" for node in self.nodes.values()))
        self.out.flush()
        self._drawn = len(self.nodes)

    @staticmethod
    def _line(node: Mapping[str, Any]) -> str:
        seconds = node["seconds"]
        if not seconds and node["started"]:
            seconds = max(0.0, time.time() - node["started"])
        return f"{node['node']:<24} {node['phase']:<10} {f'{seconds:.0f} s' if seconds else ''}".rstrip()


class Redrawing:
    """Redraws the progress every second, so that the seconds keep counting between two changes."""

    def __init__(self, progress: Progress) -> None:
        self.lock = threading.Lock()
        """Lock to hold while the progress is updated."""
        self._progress, self._ended = progress, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop redrawing."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(1):
            with self.lock:
                self._progress.draw()
