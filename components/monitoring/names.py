"""Names of the objects of the monitoring, in one place: rules, dashboards and network policies refer to them too."""

EXPORTER, EXPORTER_PORT = "postgres-exporter", 9187
"""Name of the Deployment that reads the metrics of the database, value of the label of its pods, and its port."""
FLYTE, STORE, DATABASE = "flyte-metrics", "minio-metrics", "postgres-metrics"
DATABASE_CLUSTER = "postgres-cluster-metrics"
"""Names of the Services through which Prometheus finds what it scrapes. Its metrics have them as label ``service``."""
RULES = "flyte-alerts"
"""Name of the PrometheusRule or the ConfigMap with the alerts."""
DASHBOARDS = "flyte-dashboard"
"""Prefix of the names of the ConfigMaps with the dashboards."""
