"""``make ci-comment``: writes the reports into the only comment of this program on a pull request.

Usage: python -m ops.ci.comment REPORTS PULL_REQUEST

Needs only Python's standard library.
"""

import argparse
import os
import sys
from pathlib import Path

from ops.ci.lib.github import GitHub, GitHubError, joined


def main() -> int:
    """Run the command line; return 0 if GitHub accepted the report, or print a message and return 1."""
    parser = argparse.ArgumentParser(prog="comment", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("reports", type=Path)
    parser.add_argument("pull_request", type=int)
    args = parser.parse_args()
    try:
        github = GitHub.of(os.environ)
        print(github.comment(args.pull_request, joined(args.reports)))
    except GitHubError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
