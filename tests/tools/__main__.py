"""Installs what the given layers need, and prints for each program where it is or what is missing.

Usage: python -m tests.tools LAYER... | --program NAME

``--program`` prints only the path of one program, for make targets that use it.
"""

import sys
import time

from tests.tools import TOOLS, MissingError, Tool


def main(layers: list[str]) -> int:
    """Run the command line; return 1 only if ``--program`` is missing: tests without their programs are skipped."""
    if layers[:1] == ["--program"]:
        tool = TOOLS[layers[1]]
        try:
            print(tool.find() or tool.make())
        except MissingError as reason:
            print(f"{tool.name}: {reason}", file=sys.stderr)
            return 1
        return 0
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
