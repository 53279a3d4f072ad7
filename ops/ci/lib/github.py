"""Reports on GitHub: one comment on a pull request, one issue about drift.

This module uses Python's standard library only: the job that may write on GitHub runs it without the locked packages.
GitHub gives a job ``GITHUB_REPOSITORY`` and, where the workflow asks for it, ``GITHUB_TOKEN``.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# GitHub accepts 65,536 characters; the rest is for the marker and a few words.
LONGEST = 60_000
LABEL = "drift"
TITLE = "The cluster has drifted"
_MARKER = "<!-- flyte-home:{} -->"
_PAGE = 100


class GitHubError(Exception):
    """A request to GitHub failed; the message names the request and the reason."""


@dataclass(frozen=True)
class GitHub:
    """A repository on GitHub."""

    api: str
    """Address of the API."""
    repository: str
    """Name of the repository, such as ``owner/name``."""
    token: str
    author: str
    """Login under which this program writes. Anyone could copy the marker, so the author counts, too."""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "GitHub":
        """Return the repository that a job runs for.

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
        """Put ``text`` into this program's only comment on a pull request; return what was done."""
        marker = _MARKER.format("preview")
        path = f"issues/{pull_request}/comments"
        existing = next((found for found in self._all(path) if self._is_own(found, marker)), None)
        body = f"{marker}\n{text}"
        if not existing:
            self._send("POST", path, {"body": body})
            return "written"
        if existing["body"] == body:
            return "unchanged"
        self._send("PATCH", f"issues/comments/{existing['id']}", {"body": body})
        return "updated"

    def issue(self, text: str) -> str:
        """Keep one open issue with ``text``, or none if ``text`` is empty; return what was done."""
        marker = _MARKER.format("drift")
        # Find it by its marker: GitHub silently drops a label that the token may not create.
        issues = self._all("issues?state=open")
        own = [found for found in issues if "pull_request" not in found and self._is_own(found, marker)]
        body = f"{marker}\n{text}"
        if not text:
            for found in own:
                gone = {"body": "The nightly check no longer finds any drift."}
                self._send("POST", f"issues/{found['number']}/comments", gone)
                self._send("PATCH", f"issues/{found['number']}", {"state": "closed", "state_reason": "completed"})
            return f"closed #{own[0]['number']}" if own else "none is open"
        if not own:
            created = self._send("POST", "issues", {"title": TITLE, "body": body, "labels": [LABEL]})
            return f"opened #{created['number']}"
        if own[0]["body"] == body:
            return f"#{own[0]['number']} is up to date"
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
    """Return all reports of a folder as one text that GitHub accepts.

    Args:
        reports: folder of the reports, with a subfolder for each artifact.
        longest: number of characters that GitHub accepts.

    Raises:
        GitHubError: there is no report. A check that did not run must not look like one that found nothing.
    """
    files = sorted(reports.rglob("*.md"), key=lambda file: file.name)
    if not files:
        raise GitHubError(f"REPORTS={reports}: there is no report; the earlier jobs wrote none")
    texts = [file.read_text().strip() for file in files]
    # Each report gets an equal share, so that a long one does not push out the others.
    share = longest // len(files)
    return "\n\n".join(text if len(text) <= share else _cut(text, share) for text in texts if text)


def _cut(text: str, share: int) -> str:
    beginning = text[:share].rsplit("\n", 1)[0]
    return f"{beginning}\n\n... too long for this page; the artifacts of the run have the whole text"
