"""How the program uses its process: interruptions and memory."""

import atexit
import gc
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


def collect_no_garbage() -> None:
    """Switch Python's garbage collector off for the rest of the program.

    It looks for unused objects that refer to each other. Here almost every object is used until the program ends, and
    the searches take a third of its time with ten projects (docs/performance.md).
    """
    gc.disable()
    # Python searches once more when it ends, which takes 0.3 s here, except for what is frozen.
    atexit.register(gc.freeze)
