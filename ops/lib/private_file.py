"""Files that only their owner can read."""

import tempfile
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write a file with mode 0600 in a folder with mode 0700, completely or not at all."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.parent.chmod(0o700)
    # Temporary files have the mode 0600 from the start, or less if the umask takes away the owner's rights.
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        Path(file.name).chmod(0o600)
        file.write(text)
    Path(file.name).replace(path)
