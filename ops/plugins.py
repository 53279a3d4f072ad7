"""``make plugins``: installs Pulumi's plugins for the tests of the engine, where Pulumi does not download them itself.

Usage: python -m ops.plugins
"""

import argparse
import subprocess
import sys

from ops.tools import plugin_commands, provide
from settings.errors import SettingsError


def main() -> int:
    """Run the command line; return Pulumi's exit code, or print a message and return 1 if a SHA-256 is missing."""
    argparse.ArgumentParser(prog="plugins", description=__doc__.splitlines()[0] if __doc__ else None).parse_args()
    try:
        commands = plugin_commands(provide("pulumi"))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    return next((code for command in commands if (code := subprocess.run(command, check=False).returncode)), 0)


if __name__ == "__main__":
    sys.exit(main())
