"""A port-forward that is reopened when it breaks."""

import time
from collections.abc import Callable
from contextlib import suppress

from ops.lib.forwards import Forward
from ops.lib.port_holder import ForwardError


class KeptForward:
    """A port-forward that is reopened when it breaks.

    kubectl does not do that itself: when the pod is gone, it exits, or keeps listening until a client connects.

    Args:
        forward: the port-forward, which is open already.
        reopen: reopens it, or raises ForwardError.
        answers: returns whether the service behind it answers.
        report: receives a line when the port-forward is lost, and another when it is back.
    """

    PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0)
    """Seconds before each attempt; the last value repeats."""
    MISSES = 2
    """Missing answers in a row that count as lost: a busy server may miss one."""

    def __init__(
        self,
        forward: Forward,
        reopen: Callable[[Forward], None],
        answers: Callable[[], bool],
        report: Callable[[str], None],
    ) -> None:
        self._forward, self._reopen, self._answers, self._report = forward, reopen, answers, report
        self._misses = self._attempts = 0
        self._lost = self._next = 0.0

    def tend(self) -> None:
        """Check the port-forward, and reopen it if necessary; call this every few seconds."""
        name = f"{self._forward.endpoint.address} (service/{self._forward.endpoint.service})"
        if self._lost:
            if time.monotonic() >= self._next and self._try():
                self._report(f"back    {name}, after {time.monotonic() - self._lost:.0f} s")
                self._lost = self._misses = self._attempts = 0
            return
        ended = not self._forward.running
        if not ended and self._answers():
            self._misses = 0
            return
        self._misses += 1
        if ended or self._misses >= self.MISSES:
            why = self._forward.last_error or ("kubectl has ended" if ended else "the service does not answer")
            self._report(f"lost    {name}: {why}; trying again")
            self._lost = time.monotonic()
            self._forward.stop()

    def _try(self) -> bool:
        """Reopen the port-forward; return whether the service answers."""
        with suppress(ForwardError):
            self._reopen(self._forward)
            if self._answers():
                return True
        self._forward.stop()
        self._attempts += 1
        self._next = time.monotonic() + self.PAUSES[min(self._attempts, len(self.PAUSES) - 1)]
        return False
