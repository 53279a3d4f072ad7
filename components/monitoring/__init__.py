"""Monitoring: what Prometheus scrapes, when it alerts, and what Grafana shows."""

from components.monitoring.monitoring import Monitoring, MonitoringArgs, monitoring

__all__ = ["Monitoring", "MonitoringArgs", "monitoring"]
