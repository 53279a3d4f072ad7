"""Names of the database's objects that commands and network policies refer to as well."""

CHECK = "database-check"
"""Value of the label of the pods in which commands reach a database that is not in the stack's own pod."""
CREDENTIALS = "database-credentials"
"""Value of the label of the Secret with the password of such a database."""
CLUSTER = "postgres"
"""Name of the cluster of the operator CloudNativePG, which its Services and pods begin with."""
CLUSTER_PODS, MEMBERS = "postgres-cluster", {"cnpg.io/cluster": CLUSTER}
"""Name of the network policy of all pods that the operator starts for it, and their labels."""
INSTANCES = {**MEMBERS, "cnpg.io/podRole": "instance"}
"""Labels of those pods among them that are servers."""
STATUS_PORT, METRICS_PORT = 8000, 9187
"""Ports of its pods at which the operator asks how they are, and Prometheus for their metrics."""
