"""Installs what the given layers need, and prints for each program where it is or what is missing.

Usage: python -m tests.tools LAYER...
"""

import sys
import time

from tests.tools import TOOLS, MissingError, Tool


def main(layers: list[str]) -> int:
    """Run the command line; always return 0, because tests without their programs are skipped with a message."""
    for tool in TOOLS.values():
        if tool.layers & set(layers):
            print(f"{tool.name:<16}{_look(tool)}", flush=True)
    return 0


def _look(tool: Tool) -> str:
    try:
        if found := tool.find():
            return str(found)
        if tool.recipe:
            print(f"{tool.name:<16}is missing; building it now (once; some take minutes) ...", flush=True)
        start = time.monotonic()
        return f"{tool.make()} ({time.monotonic() - start:.0f} s)"
    except MissingError as reason:
        return f"MISSING: {reason}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
