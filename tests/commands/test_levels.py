"""The forecast of when a volume is full, from the measurements that the doctor keeps."""

import stat
from pathlib import Path

import pytest

from ops.doctor import volumes
from ops.lib.levels import DAY, days_until_full, forecast, remember
from tests.kubectl import FakeCluster, examined


@pytest.mark.parametrize(
    ("levels", "days"),
    [
        ([(0, 10), (1, 20), (2, 30)], 7),
        ([(0, 10), (0.9, 90)], None),
        ([(0, 50), (1, 50), (2, 50)], None),
        ([(0, 50), (5, 40)], None),
        ([(0, 10), (1, 10.1)], None),
        ([(0, 10)], None),
        ([], None),
        ([(0, 80), (1, 90), (2, 20), (3, 30), (4, 40)], 6),
        ([(0, 80), (1, 90), (2, 20), (2.5, 30)], None),
    ],
    ids=[
        "straight line",
        "less than a day",
        "steady",
        "falling",
        "more than a year",
        "one measurement",
        "none",
        "after someone made room",
        "less than a day after someone made room",
    ],
)
def test_a_volume_is_full_when_the_line_through_its_measurements_says(
    levels: list[tuple[float, float]], days: int | None
):
    assert forecast([(day * DAY, level) for day, level in levels]) == days


def test_measurements_are_kept_privately_and_their_number_is_bounded(tmp_path: Path):
    folder = tmp_path / "client"
    for hour in range(700):
        remember("dev", {"postgres": hour / 20}, now=hour * 3600.0, folder=folder)

    file = folder / "dev.levels.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().count("[") == 1 + 500
    assert days_until_full("dev", "postgres", folder) == 54


def test_a_doctor_that_runs_every_minute_keeps_one_measurement_an_hour(tmp_path: Path):
    for minute in range(120):
        remember("dev", {"postgres": 1}, now=minute * 60.0, folder=tmp_path)

    assert (tmp_path / "dev.levels.json").read_text().count("[") == 1 + 2


def test_a_damaged_file_is_no_history_and_no_error(tmp_path: Path):
    (tmp_path / "dev.levels.json").write_text('{"postgres": 3')

    remember("dev", {"postgres": 1}, now=0.0, folder=tmp_path)

    assert days_until_full("dev", "postgres", tmp_path) is None


@pytest.mark.parametrize(
    ("days", "state", "says"),
    [
        (None, "ok", "used: postgres 40 %"),
        (90, "ok", "postgres 40 %, full in 90 days"),
        (5, "remark", "full in 5 days"),
    ],
)
def test_the_doctor_says_when_a_volume_will_be_full_and_remarks_it_if_that_is_soon(
    monkeypatch: pytest.MonkeyPatch, days: int | None, state: str, says: str
):
    monkeypatch.setattr(volumes, "remember", lambda *_: None)
    monkeypatch.setattr(volumes, "days_until_full", lambda *_: days)
    cluster = FakeCluster()
    cluster.on("get --namespace=flyte", {"items": []})
    cluster.on("exec postgres-0 df", "Filesystem 1024-blocks Used Available Capacity\n/dev/sda 1 1 1 40% /data\n")

    (said,) = volumes.check_volumes(examined(cluster))

    assert said.state == state
    assert says in said.says
