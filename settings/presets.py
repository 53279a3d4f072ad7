"""Defaults for machines of different sizes."""

from typing import Any


def _amounts(requests: tuple[str, str], limits: tuple[str, str]) -> dict[str, Any]:
    return {
        "requests": {"cpu": requests[0], "memory": requests[1]},
        "limits": {"cpu": limits[0], "memory": limits[1]},
    }


PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    # One board with 4 GB, such as a Raspberry Pi, for a task or two at a time.
    "tiny": {
        "postgres": {"maxConnections": 60, "resources": _amounts(("50m", "96Mi"), ("1", "256Mi"))},
        "minio": {"resources": _amounts(("50m", "128Mi"), ("1", "512Mi"))},
        "flyte": {"maxParallelism": 5, "resources": _amounts(("50m", "128Mi"), ("1", "512Mi"))},
        "tasks": {
            **_amounts(("50m", "192Mi"), ("2", "768Mi")),
            "maximum": {"cpu": "4", "memory": "2Gi"},
            "ephemeralStorage": "2Gi",
            "quota": {
                "pods": 10,
                **_amounts(("2", "2Gi"), ("16", "6Gi")),
                "ephemeralStorage": "20Gi",
                "storage": "20Gi",
            },
        },
    },
    "small": {},
    # Machines with 32 GB or more.
    "comfortable": {
        "postgres": {"maxConnections": 200, "resources": _amounts(("250m", "512Mi"), ("4", "2Gi"))},
        "minio": {"resources": _amounts(("250m", "1Gi"), ("4", "4Gi"))},
        "flyte": {"maxParallelism": 100, "resources": _amounts(("250m", "512Mi"), ("4", "4Gi"))},
        "tasks": {
            **_amounts(("250m", "512Mi"), ("4", "4Gi")),
            "maximum": {"cpu": "16", "memory": "64Gi"},
            "ephemeralStorage": "10Gi",
            "quota": {
                "pods": 200,
                **_amounts(("32", "128Gi"), ("256", "512Gi")),
                "ephemeralStorage": "2Ti",
                "storage": "1Ti",
            },
        },
    },
}
"""What each preset changes in the defaults of the settings, by key. The defaults themselves are those of ``small``."""

OF_PRESET = ("postgres", "minio", "flyte", "tasks")
"""Keys of the settings whose defaults depend on the preset."""
