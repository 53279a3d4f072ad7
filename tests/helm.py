"""The release as Helm renders it: the chart's own templates with the values of the program."""

import functools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.flyte.archive import chart_archive
from ops.lib.recording import Recording
from settings.chart import PINNED_CHART
from settings.errors import SettingsError
from tests.tools import require


def archive() -> Path:
    """Archive of the pinned chart. Without one, tests are skipped; a different digest is an error."""
    found = _archive()
    if isinstance(found, SettingsError):
        pytest.skip(f"needs the chart: a network, or FLYTE_CHART=path of {PINNED_CHART.file_name} ({found})")
    return found


@functools.cache
def _archive() -> Path | SettingsError:
    """Cached, because on some networks a failed download takes a minute."""
    try:
        return chart_archive(PINNED_CHART)
    except SettingsError as error:
        if os.environ.get("FLYTE_CHART") or "cannot download" not in str(error):
            raise
        return error


def template(recording: Recording, kubernetes: str) -> list[dict[str, Any]]:
    """The objects that Helm installs in a cluster of the minor version ``kubernetes``."""
    release = recording.one("Release").plain
    command = [require("helm"), "template", release["name"], archive(), "--namespace", release["namespace"]]
    answer = subprocess.run(
        [*command, "--kube-version", f"{kubernetes}.0", "--include-crds", "--values", "-"],
        input=json.dumps(release["values"], ensure_ascii=False),
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return [manifest for manifest in yaml.safe_load_all(answer.stdout) if manifest]
