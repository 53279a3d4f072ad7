"""What an update waits for, printed while Pulumi runs."""

import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TextIO

from ops.lib.kubectl import Cluster
from ops.lib.text import one_line
from ops.lib.workloads import Waiting, Workloads, workloads
from settings.errors import SettingsError

PATIENCE = 30 * 60.0
"""Seconds after which an update is interrupted if a workload is not ready and time does not help.

The pulling of an image and a node that is away do not count.
"""
_PERIOD = 5.0
# A wait is first shown after so many seconds, and shown again after so many without a change.
_FIRST, _AGAIN = 10.0, 60.0


@contextmanager
def repeating(look: Callable[[], None]) -> Iterator[None]:
    """Call ``look`` every few seconds until the end of the context, in a thread of its own."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(_PERIOD):
            # Pulumi reports a cluster that does not answer.
            with suppress(SettingsError):
                look()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@dataclass
class _Wait:
    since: float
    counted: float = 0
    """Seconds in which time did not help."""
    log: str = ""
    """Last line of the log."""
    shown: str = ""
    """What was printed last."""
    shown_at: float = 0


@dataclass
class Watch:
    """Prints what an update waits for: the image, the pod, the last line of its log.

    It also replaces the pods of a StatefulSet that Kubernetes would leave broken, see `Waiting`.
    """

    cluster: Cluster
    namespace: str
    """Platform namespace of the stack."""
    out: TextIO = sys.stdout
    stopped: Collection[str] = ()
    """Workloads that are stopped on purpose, such as ``deployment/flyte-binary``."""
    interrupt: Callable[[], None] = lambda: None
    _waits: dict[str, _Wait] = field(default_factory=dict)
    _last: float = 0
    _interrupted: bool = False

    def during(self, interrupt: Callable[[], None]) -> AbstractContextManager[None]:
        """Print until the end of the context.

        Args:
            interrupt: interrupts the update, if waiting does not help.
        """
        self.interrupt = interrupt
        return repeating(lambda: self.look(workloads(self.cluster, self.namespace), time.monotonic()))

    def look(self, found: Workloads, now: float) -> None:
        """Print what has changed since the last look.

        Args:
            found: the workloads as they are now.
            now: seconds of a clock that never goes back.
        """
        passed, self._last = now - (self._last or now), now
        waiting = {one.what: one for one in found.waiting() if one.what not in self.stopped}
        for what in self._waits.keys() - waiting.keys():
            wait = self._waits.pop(what)
            if wait.shown:
                self._print(f"{what} is ready")
        for what, one in waiting.items():
            wait = self._waits.setdefault(what, _Wait(now))
            log = self._log(one)
            # A Job that writes to its log is at work.
            if not one.trouble.time_helps and log == wait.log:
                wait.counted += passed
            wait.log = log
            self._show(one, wait, now)
            if one.outdated and now - wait.since >= _FIRST:
                self._print(f"replacing {one.pod}, which has an older spec and never became ready")
                self.cluster.run("delete", "pod", one.pod, f"--namespace={self.namespace}", "--wait=false")
            if wait.counted >= PATIENCE and not self._interrupted:
                self._interrupted = True
                self._print(f"{what} has not become ready within {PATIENCE / 60:.0f} minutes. Stopping here:")
                self.interrupt()

    def _show(self, one: Waiting, wait: _Wait, now: float) -> None:
        says = one_line(one.trouble.says, 300) + (f"; its log: {wait.log}" if wait.log else "")
        if now - wait.since < _FIRST or (says == wait.shown and now - wait.shown_at < _AGAIN):
            return
        wait.shown, wait.shown_at = says, now
        self._print(f"waiting for {one.what} ({now - wait.since:.0f} s): {says}")

    def _log(self, one: Waiting) -> str:
        """Return the last line of a container's log; empty if it has none."""
        if one.trouble.cause not in {"running", "crash"}:
            return ""
        previous = ["--previous"] if one.trouble.cause == "crash" else []
        answer = self.cluster.run(
            "logs",
            one.pod,
            f"--namespace={self.namespace}",
            f"--container={one.trouble.container}",
            "--tail=1",
            *previous,
            seconds=_PERIOD,
        )
        return one_line(answer.stdout, 200) if answer.returncode == 0 else ""

    def _print(self, line: str) -> None:
        print(line, file=self.out, flush=True)
