"""docs/versions.md: what is pinned, and where."""

import re

import yaml

from ops.tools import UV
from paths import ROOT
from settings.chart import PINNED_CHART
from settings.images import IMAGES

PAGE = "docs/versions.md"
_TOOLS = "ops/tools/tools.yaml"


def versions() -> dict[str, tuple[str, str]]:
    """Everything that is pinned: the version and the file that pins it, by name."""
    found = {f"chart `{PINNED_CHART.name}`": (PINNED_CHART.version, "charts/flyte-binary/chart.yaml")}
    for name, image in IMAGES.items():
        confirmed = f"{image.tag}, by digest" if image.digest else f"{image.tag}"
        found[f"image `{name}`: `{image.repository}`"] = (confirmed, "settings/images.py")
    pins = re.findall(r'"(pulumi[\w-]*)==([\w.]+)"', (ROOT / "pyproject.toml").read_text())
    found |= {f"`{name}`": (version, "pyproject.toml") for name, version in pins}
    tools = yaml.safe_load((ROOT / _TOOLS).read_text())
    fetched = {name: tool["version"] for name, tool in tools.items() if not name.startswith("pulumi")}
    found |= {f"`{name}`, if make downloads it": (version, _TOOLS) for name, version in fetched.items()}
    return found | {f"`{UV.name}`, if make installs it": (UV.version, str(UV.lock.relative_to(ROOT)))}


def versions_table() -> str:
    """The table of the versions."""
    rows = [f"| {name} | {version} | `{file}` |" for name, (version, file) in versions().items()]
    return "\n".join(["| what | version | pinned in |", "| --- | --- | --- |", *rows])
