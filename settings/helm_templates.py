"""Texts of ``flyteValues`` that the chart runs through Helm's template engine.

Only Helm itself can say whether any template works. Here the few that a value needs are accepted, and everything else
is rejected, because a broken template would stop the update in the middle.
"""

import re

_LITERAL = r"`[^`]*`"
_VALUE = (
    r"\.Release\.(Name|Namespace|Service|Revision|IsInstall|IsUpgrade)"
    r"|\.Chart\.(Name|Version|AppVersion)"
    r"|\.Capabilities\.KubeVersion\.(Version|Major|Minor)"
    r"|include [`]flyte-binary\.(name|fullname)[`] \."
)
_ACTION = re.compile(rf"\{{\{{(- )?\s*(({_LITERAL})|({_VALUE}))(\s*\|\s*(upper|lower|trim))*\s*( -)?\}}\}}", re.ASCII)

REMEDY = "write braces that Helm must leave alone as {{`{{ with secret }}`}}, and a name as {{ .Release.Name }}"
"""What to write in place of a template that is not accepted."""


def is_accepted(text: str) -> bool:
    """Whether Helm can run the templates in ``text``: literal text in backticks, and names of the release."""
    at = text.find("{{")
    while at >= 0:
        action = _ACTION.match(text, at)
        if not action:
            return False
        at = text.find("{{", action.end())
    return True
