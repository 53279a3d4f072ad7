"""``make ci-images``: prints the references of all images of the stack, for the scan of vulnerabilities.

Usage: python -m ops.ci.images

On GitHub, the output `images` of the step is a list in JSON.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from settings.images import IMAGES


def main() -> int:
    """Run the command line; return 0."""
    argparse.ArgumentParser(prog="images", description=__doc__.splitlines()[0] if __doc__ else None).parse_args()
    references = [image.reference for image in IMAGES.values()]
    print("\n".join(references))
    if output := os.environ.get("GITHUB_OUTPUT"):
        with Path(output).open("a") as file:
            file.write(f"images={json.dumps(references)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
