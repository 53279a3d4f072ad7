"""``make doctor``: checks whether a stack works, from this machine to the tasks.

Usage: python -m ops.doctor STACK [--json]

Prints a line for each check: ``ok``, ``remark``, ``wrong`` with the command that fixes it below, or ``skipped`` if it
could not be made, most often because an earlier one failed. Nothing is changed, except for one small object in Flyte's
bucket. Two pods try what can be reached, one of them in a namespace of its own; both are deleted again.
"""

import argparse
import json
import sys

from ops.doctor.check import Finding
from ops.doctor.run import doctor, lines
from ops.lib.stack_file import stack_config
from settings import Settings, settings_from
from settings.errors import SettingsError


def main() -> int:
    """Run the command line; return 0 if nothing is wrong, 1 otherwise, and 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="doctor", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document: a list with check, state, says, mend"
    )
    args = parser.parse_args()
    try:
        settings = settings_from(*stack_config(args.stack))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    # 130 is what a shell returns for a program that Ctrl-C ended. The port-forwards are closed by then.
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
        print(json.dumps([_as_json(finding) for finding in found], indent=1))
    return int(any(finding.state == "wrong" for finding in found))


def _as_json(finding: Finding) -> dict[str, str]:
    # Programs that read the document use the name that the remedy had in version 0.3.
    return {"check": finding.check, "state": finding.state, "says": finding.says, "mend": finding.remedy}


if __name__ == "__main__":
    sys.exit(main())
