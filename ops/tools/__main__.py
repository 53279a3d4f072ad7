"""``make tools``: finds or downloads the programs that this project starts, and prints their paths.

Usage: python -m ops.tools [NAME...] | --list

Without a name, these are the programs that `make up` needs. ``--list`` prints the files for a mirror
(FLYTE_HOME_MIRROR) with their addresses, for all platforms.
"""

import argparse
import sys

from ops.tools import TOOLS, UV, provide, provide_pulumi
from settings.chart import PINNED_CHART
from settings.errors import SettingsError


def main() -> int:
    """Run the command line; return 0 if all programs are available, or print a message and return 1."""
    parser = argparse.ArgumentParser(prog="tools", description=__doc__.splitlines()[0] if __doc__ else None)
    choices = [*(name for name, tool in TOOLS.items() if tool.at_least), UV.name]
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(choices))
    parser.add_argument("--list", action="store_true", help="list the files for a mirror")
    args = parser.parse_args()
    if unknown := set(args.names) - set(choices):
        parser.error(f"there is no {', '.join(sorted(unknown))}, only {', '.join(choices)}")
    if args.list:
        for tool in TOOLS.values():
            for url, file in tool.files().items():
                print(f"{file}\t{url}")
        print(f"{PINNED_CHART.file_name}\t{PINNED_CHART.repository.rstrip('/')}/{PINNED_CHART.file_name}")
        return 0
    try:
        for name in args.names or ["pulumi", "kubectl"]:
            if name == "pulumi":
                provide_pulumi()
            print(provide(name))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
