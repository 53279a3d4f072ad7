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


FLYTE_2 = "Flyte 2, another product with other values: it does not run code of flytekit 1. This program deploys Flyte 1"
"""Why a chart of Flyte 2 is rejected."""


def is_flyte_2(version: str) -> bool:
    """Whether a version of the chart, or of the Flyte in it, is 2 or later."""
    major = version.removeprefix("v").partition(".")[0]
    return major.isdigit() and int(major) > 1


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
        if is_flyte_2(self.version):
            raise PartError(f"has the version {self.version}, which is {FLYTE_2}", "version", PINNED_CHART.version)
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
