"""What a stack may say. Every key of ``Pulumi.yaml`` is a field of :class:`Settings`; no resource is created here."""

from settings.errors import SettingsError
from settings.load import load_settings, settings_from
from settings.secrets import SAMPLE_CREDENTIALS, is_sample
from settings.stack import FIELDS, PROJECT, Settings, may_be_secret

__all__ = [
    "FIELDS",
    "PROJECT",
    "SAMPLE_CREDENTIALS",
    "Settings",
    "SettingsError",
    "is_sample",
    "load_settings",
    "may_be_secret",
    "settings_from",
]
