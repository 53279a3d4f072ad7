"""The network policies of the stack."""

from settings.values import Label, Model


class NetworkSettings(Model):
    """The network policies."""

    enabled: bool = True
    """Whether the stack has network policies."""
    clients: list[Label] = []
    """Further namespaces whose pods may connect to Flyte and the object store, such as an ingress controller's."""
