"""Flyte: its release, its rights, its webhook, its login, and what is configured in it after it has started."""

from components.flyte.archive import chart_archive, project_path, release_chart
from components.flyte.auth import Auth, AuthArgs, FlyteAuth
from components.flyte.flyte_binary import FlyteBinary, FlyteBinaryArgs
from components.flyte.interrupted_release import forget_interrupted_release
from components.flyte.mail import FlyteMail, mail
from components.flyte.names import RELEASE
from components.flyte.raw_outputs import RawOutputs, RawOutputsArgs
from components.flyte.rights import FlyteRights, FlyteRightsArgs
from components.flyte.values import FlyteConfiguration
from components.flyte.webhook import SecretsWebhook, SecretsWebhookArgs

__all__ = [
    "RELEASE",
    "Auth",
    "AuthArgs",
    "FlyteAuth",
    "FlyteBinary",
    "FlyteBinaryArgs",
    "FlyteConfiguration",
    "FlyteMail",
    "FlyteRights",
    "FlyteRightsArgs",
    "RawOutputs",
    "RawOutputsArgs",
    "SecretsWebhook",
    "SecretsWebhookArgs",
    "chart_archive",
    "forget_interrupted_release",
    "mail",
    "project_path",
    "release_chart",
]
