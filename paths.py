"""Where the files of this repository are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent
"""Folder of the repository, which is also the folder of the Pulumi project."""
