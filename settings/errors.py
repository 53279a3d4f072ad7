"""The one kind of error that the user of this program can fix."""

import pulumi


class SettingsError(pulumi.RunError):
    """A setting, or something else the user controls, is wrong.

    The message names the setting and the remedy, never a secret. Pulumi prints a ``pulumi.RunError`` without a
    traceback.
    """

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))
