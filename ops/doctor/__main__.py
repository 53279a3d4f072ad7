"""``make doctor``: whether a stack works, from the laptop to the tasks.

Usage: python -m ops.doctor STACK [--json]

Prints a line for everything it has looked at: ``ok``, ``remark``, ``wrong`` with the command that mends it below, or
``skipped`` where something earlier stands in the way. Changes nothing, but for one small object in Flyte's bucket.
"""

import argparse
import json
import sys
from dataclasses import asdict

from ops.doctor.run import doctor, lines
from ops.lib.stack_file import stack_config
from settings import Settings, settings_from
from settings.errors import SettingsError


def main() -> int:
    """The command line; 0 if nothing is wrong, 1 otherwise, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="doctor", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("--json", action="store_true", help="one JSON document: a list of check, state, says, mend")
    args = parser.parse_args()
    try:
        settings = settings_from(*stack_config(args.stack))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    # As a shell has it for a program that Ctrl-C has ended; the port-forwards are closed by then.
    try:
        return _examine(args.stack, settings, args.json)
    except KeyboardInterrupt:
        return 130


def _examine(stack: str, settings: Settings, as_json: bool) -> int:
    found = []
    with doctor(stack, settings, f"make doctor STACK={stack}") as findings:
        for finding in findings:
            found.append(finding)
            if not as_json:
                print(lines(finding), flush=True)
    if as_json:
        print(json.dumps([asdict(finding) for finding in found], indent=1))
    return int(any(finding.state == "wrong" for finding in found))


if __name__ == "__main__":
    sys.exit(main())
