"""Rules for monitoring."""

from collections.abc import Iterator

from settings.messages.commands import remove_command, set_command
from settings.messages.shown import shown
from settings.monitoring import MonitoringSettings
from settings.stack import PROJECT, Settings

_KEY = f"{PROJECT}:monitoring"


def monitoring_problems(settings: Settings) -> Iterator[str]:
    """Parts without an effect, and a Prometheus that cannot be where the settings say."""
    monitoring = settings.monitoring
    if not monitoring.enabled:
        if monitoring != MonitoringSettings():
            yield (
                f"{_KEY}: has no effect, because {_KEY}.scrape is none; write "
                f"{set_command(f'{_KEY}.scrape', 'operator')}, or leave it out: pulumi config rm {_KEY}"
            )
        return
    if monitoring.namespace in settings.namespaces:
        yield (
            f"{_KEY}.namespace: {shown(monitoring.namespace)} is a namespace of the stack itself; write that of "
            f"Prometheus: {set_command(f'{_KEY}.namespace', 'monitoring')}"
        )
    default = MonitoringSettings()
    if monitoring.scrape != "operator":
        for name in ("labels", "interval"):
            if getattr(monitoring, name) != getattr(default, name):
                yield _no_effect(name, f"{_KEY}.scrape is {monitoring.scrape}, not operator")
    dashboards = monitoring.dashboards
    if not dashboards.grafana_operator and dashboards.instance_labels != default.dashboards.instance_labels:
        yield _no_effect("dashboards.instanceLabels", f"{_KEY}.dashboards.grafanaOperator is false")
    if settings.postgres.mode != "bundled" and monitoring.resources != default.resources:
        mode = settings.postgres.mode
        yield _no_effect("resources", f"{PROJECT}:postgres.mode is {mode}, so that no pod reads its metrics")
    if settings.backup.drill_schedule and monitoring.drill_days != default.drill_days:
        yield _no_effect("drillDays", f"{PROJECT}:backup.drillSchedule says how old the last drill may be")


def _no_effect(name: str, why: str) -> str:
    setting = f"{_KEY}.{name}"
    return f"{setting}: has no effect, because {why}; leave it out: {remove_command(setting)}"
