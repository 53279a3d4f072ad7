"""Which flyte-binary chart the stack installs, and where it comes from."""

from dataclasses import dataclass

import yaml
from pydantic import Field

from paths import ROOT
from settings.values import Model, PartError, RepositoryUrl, Sha256

CHART_DIR = ROOT / "charts" / "flyte-binary"
"""Folder of the chart's pin, values and schema."""


@dataclass(frozen=True)
class ChartPin:
    """A version of a chart and the SHA-256 of its archive."""

    name: str
    repository: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The archive's name in a Helm repository."""
        return f"{self.name}-{self.version}.tgz"


PINNED_CHART = ChartPin(**yaml.safe_load((CHART_DIR / "chart.yaml").read_text()))
"""The version this repository is tested with."""


class ChartSettings(Model):
    """Source of the pinned flyte-binary chart. The digest decides what is installed, not the source."""

    repository: RepositoryUrl = PINNED_CHART.repository
    """Helm repository."""
    version: str = Field(default=PINNED_CHART.version, pattern=r"^v?[0-9][0-9A-Za-z.+-]*$")
    """Version of the chart."""
    sha256: Sha256 = PINNED_CHART.sha256
    """SHA-256 of the archive."""
    archive: str = ""
    """Path of a local archive to use instead of the repository."""

    def model_post_init(self, _context: object) -> None:
        if self.version != PINNED_CHART.version and self.sha256 == PINNED_CHART.sha256:
            raise PartError(
                f"has another version than {PINNED_CHART.version}, but the digest of that one; write the version's own",
                "sha256",
                "SHA256",
            )

    @property
    def pin(self) -> ChartPin:
        """What the archive must be."""
        return ChartPin(PINNED_CHART.name, self.repository, self.version, self.sha256)
