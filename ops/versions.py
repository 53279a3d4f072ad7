"""``make versions``: prints what is pinned, and where.

Usage: python -m ops.versions
"""

import argparse
import sys

from ops.lib.pages.versions_page import versions


def main() -> int:
    """Run the command line; return 0."""
    argparse.ArgumentParser(prog="versions", description=__doc__.splitlines()[0] if __doc__ else None).parse_args()
    for name, (version, where) in versions().items():
        print(f"{version:<44}{name.replace('`', '')}  ({where})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
