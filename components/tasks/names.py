"""Names of the objects in every task namespace."""

POD_TEMPLATE = SERVICE_ACCOUNT = "flyte-task"
"""Name of the PodTemplate in every task namespace, and of the service account that task pods run with.

`plugins.k8s.default-pod-template-name` in charts/flyte-binary/values.yaml refers to it.
"""
STORE_AUTHORITY = "flyte-object-store-authority"
"""ConfigMap in each task namespace with the certificate of the private authority of an external object store."""
