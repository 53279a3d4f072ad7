"""The further settings of the stack that is measured."""

from pathlib import Path
from typing import Any

import yaml

from settings.errors import SettingsError


def further_settings(file: str) -> dict[str, Any]:
    """The settings in a YAML file; none without a file.

    Raises:
        SettingsError: the file cannot be read.
    """
    if not file:
        return {}
    try:
        return dict(yaml.safe_load(Path(file).expanduser().read_text()) or {})
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise SettingsError(f"SETTINGS: {file!r} cannot be read: {error}; write the path of a YAML file") from None
