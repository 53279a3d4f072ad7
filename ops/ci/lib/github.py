"""GitHub: ``make ci-issue``: the reports of a run, where people see them, and each only once.

Usage: python -m ops.ci.lib.github comment REPORTS PULL_REQUEST
       python -m ops.ci.lib.github issue REPORTS

Needs Python's own library only, so that the job with the right to write runs nothing else. GitHub gives a job
``GITHUB_REPOSITORY`` and, where it is asked for, ``GITHUB_TOKEN``.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# GitHub takes 65,536 characters; the rest is for the marker and a few words.
LONGEST = 60_000
LABEL = "drift"
TITLE = "The cluster has drifted"
_MARKER = "<!-- flyte-home:{} -->"
_PAGE = 100


class GitHubError(Exception):
    """GitHub did not do it; the message says what, and why."""


@dataclass(frozen=True)
class GitHub:
    """A repository on GitHub."""

    api: str
    repository: str
    token: str
    # Whose comments and issues are this program's own. Others could have the marker, too.
    author: str

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "GitHub":
        """The repository that a job runs for.

        Raises:
            GitHubError: a variable is missing.
        """
        for name in ("GITHUB_REPOSITORY", "GITHUB_TOKEN"):
            if not environment.get(name):
                raise GitHubError(f"{name}: is missing; a job of GitHub gets it from its workflow")
        api = environment.get("GITHUB_API_URL", "https://api.github.com")
        author = environment.get("GITHUB_AUTHOR", "github-actions[bot]")
        return cls(api, environment["GITHUB_REPOSITORY"], environment["GITHUB_TOKEN"], author)

    def comment(self, pull_request: int, text: str) -> str:
        """Make ``text`` the one comment of this program on a pull request; what was done."""
        marker = _MARKER.format("preview")
        path = f"issues/{pull_request}/comments"
        there = next((found for found in self._all(path) if self._is_own(found, marker)), None)
        body = f"{marker}\n{text}"
        if not there:
            self._send("POST", path, {"body": body})
            return "written"
        if there["body"] == body:
            return "as it was"
        self._send("PATCH", f"issues/comments/{there['id']}", {"body": body})
        return "updated"

    def issue(self, text: str) -> str:
        """Have one open issue with ``text``, or, if that is empty, none; what was done."""
        marker = _MARKER.format("drift")
        # By its marker and not by its label, which GitHub leaves out where it does not like to make it.
        issues = self._all("issues?state=open")
        own = [found for found in issues if "pull_request" not in found and self._is_own(found, marker)]
        body = f"{marker}\n{text}"
        if not text:
            for found in own:
                gone = {"body": "The nightly check finds no drift any more."}
                self._send("POST", f"issues/{found['number']}/comments", gone)
                self._send("PATCH", f"issues/{found['number']}", {"state": "closed", "state_reason": "completed"})
            return f"closed #{own[0]['number']}" if own else "none is open"
        if not own:
            made = self._send("POST", "issues", {"title": TITLE, "body": body, "labels": [LABEL]})
            return f"opened #{made['number']}"
        if own[0]["body"] == body:
            return f"#{own[0]['number']} says it already"
        self._send("PATCH", f"issues/{own[0]['number']}", {"body": body})
        return f"updated #{own[0]['number']}"

    def _is_own(self, found: Mapping[str, Any], marker: str) -> bool:
        return str(found["body"] or "").startswith(marker) and found["user"]["login"] == self.author

    def _all(self, path: str) -> Iterator[Any]:
        page = 1
        while True:
            found = self._send("GET", f"{path}{'&' if '?' in path else '?'}per_page={_PAGE}&page={page}")
            yield from found
            if len(found) < _PAGE:
                return
            page += 1

    def _send(self, method: str, path: str, content: Any = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 (the runner's own address)
            f"{self.api}/repos/{self.repository}/{path}",
            data=None if content is None else json.dumps(content).encode(),
            method=method,
            headers={"Authorization": f"Bearer {self.token}", "Accept": "application/vnd.github+json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            right = "; does the job have the permission?" if error.code in {401, 403} else ""
            raise GitHubError(f"GitHub: {method} {path}: {error.code} {error.reason}{right}") from None
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise GitHubError(f"GitHub: {method} {path}: {error}") from None


def joined(reports: Path, longest: int = LONGEST) -> str:
    """All reports in the folder, in one text that GitHub takes.

    Raises:
        GitHubError: there is none; that nothing was looked at must not be taken for nothing found.
    """
    files = sorted(reports.rglob("*.md"), key=lambda file: file.name)
    if not files:
        raise GitHubError(f"REPORTS={reports}: there is no report; the jobs before have made none")
    texts = [file.read_text().strip() for file in files]
    # Each its share, so that a long one does not hide what another says.
    share = longest // len(files)
    return "\n\n".join(text if len(text) <= share else _cut(text, share) for text in texts if text)


def _cut(text: str, share: int) -> str:
    return f"{text[:share].rsplit(chr(10), 1)[0]}\n\n... too long for here; all of it is in the artifacts of the run"
