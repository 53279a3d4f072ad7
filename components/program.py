"""How the program ends when it is interrupted."""

import os
import signal
from types import FrameType

# What a shell returns for a program that Ctrl-C ended.
_INTERRUPTED = 130


def end_quietly_when_interrupted() -> None:
    """End the program at once, without a message, when it gets SIGINT.

    Pulumi sends it after another resource has failed, and a terminal after Ctrl-C. Python would print a traceback, of
    which the user can make nothing.
    """

    def end(_signal: int, _frame: FrameType | None) -> None:
        os._exit(_INTERRUPTED)

    signal.signal(signal.SIGINT, end)
