"""The one kind of error that a user of this program can mend."""

import pulumi


class SettingsError(pulumi.RunError):
    """Something a person set is wrong; the message names the setting and the remedy, never a secret.

    A ``pulumi.RunError`` is what Pulumi prints without a traceback.
    """

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))
