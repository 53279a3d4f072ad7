"""``make ci-issue``: writes the reports into the only open issue about drift, or closes it.

Usage: python -m ops.ci.issue REPORTS

Needs only Python's standard library.
"""

import argparse
import os
import sys
from pathlib import Path

from ops.ci.lib.github import GitHub, GitHubError, joined


def main() -> int:
    """Run the command line; return 0 if GitHub accepted the report, or print a message and return 1."""
    parser = argparse.ArgumentParser(prog="issue", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("reports", type=Path)
    args = parser.parse_args()
    try:
        github = GitHub.of(os.environ)
        print(github.issue(joined(args.reports)))
    except GitHubError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
