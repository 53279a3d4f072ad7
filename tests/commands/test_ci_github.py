"""Reports on a fake GitHub: one comment and one issue. The program changes no others."""

import http.server
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ops.ci.lib.github import LONGEST, GitHub, GitHubError, joined
from paths import ROOT
from tests.processes import serving

BOT = "github-actions[bot]"


class Repository:
    """The part of GitHub's API for issues and comments that this program uses."""

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.issues: list[dict[str, Any]] = []
        self.writes = 0

    def answer(self, method: str, path: str, query: dict[str, list[str]], sent: Any) -> tuple[int, Any]:
        self.writes += method != "GET"
        match method, path.removeprefix("/repos/me/home/").split("/"):
            case "GET", ["issues", "7", "comments"]:
                return 200, self._page(self.comments, query)
            case "POST", ["issues", _, "comments"]:
                return 201, self._made(self.comments, sent)
            case "PATCH", ["issues", "comments", number]:
                return 200, self._changed(self.comments, int(number), sent)
            case "GET", ["issues"]:
                wanted = [issue for issue in self.issues if issue["state"] == "open"]
                return 200, self._page(wanted, query)
            case "POST", ["issues"]:
                return 201, self._made(self.issues, {"state": "open", **sent})
            case "PATCH", ["issues", number]:
                return 200, self._changed(self.issues, int(number), sent)
        return 404, {}

    def _page(self, items: list[dict[str, Any]], query: dict[str, list[str]]) -> list[dict[str, Any]]:
        page, size = int(query["page"][0]), int(query["per_page"][0])
        return items[(page - 1) * size : page * size]

    def _made(self, items: list[dict[str, Any]], sent: dict[str, Any], author: str = BOT) -> dict[str, Any]:
        created = {"id": len(items) + 1, "number": len(items) + 1, "user": {"login": author}, **sent}
        items.append(created)
        return created

    def _changed(self, items: list[dict[str, Any]], number: int, sent: dict[str, Any]) -> dict[str, Any]:
        (found,) = [item for item in items if item["number"] == number]
        found.update(sent)
        return found

    def somebody_comments(self, body: str) -> None:
        self._made(self.comments, {"body": body}, "somebody")


@pytest.fixture
def repository() -> Repository:
    return Repository()


@pytest.fixture
def address(repository: Repository) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def _answer(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            sent = json.loads(self.rfile.read(size)) if size else None
            parts = urlsplit(self.path)
            status, content = repository.answer(self.command, parts.path, parse_qs(parts.query), sent)
            if self.headers["Authorization"] != "Bearer token-of-the-job":
                status, content = 403, {}
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        do_GET = do_POST = do_PATCH = _answer  # noqa: N815 (the names of http.server)

        def log_message(self, *_: Any) -> None:
            pass

    with serving(Handler) as found:
        yield found


@pytest.fixture
def github(address: str) -> GitHub:
    return GitHub(address, "me/home", "token-of-the-job", BOT)


def test_a_pull_request_has_one_comment_with_the_newest_report(github: GitHub, repository: Repository):
    assert github.comment(7, "first") == "written"
    assert github.comment(7, "second") == "updated"
    assert github.comment(7, "second") == "unchanged"

    (comment,) = repository.comments
    assert comment["body"].endswith("\nsecond")
    assert repository.writes == 2


def test_the_comment_is_found_behind_a_hundred_others(github: GitHub, repository: Repository):
    for index in range(130):
        repository.somebody_comments(f"comment {index}")
    github.comment(7, "first")

    github.comment(7, "second")

    assert len(repository.comments) == 131


def test_a_comment_by_another_author_is_never_changed(github: GitHub, repository: Repository):
    repository.somebody_comments("<!-- flyte-home:preview -->\nmine")

    github.comment(7, "report")

    assert [comment["user"]["login"] for comment in repository.comments] == ["somebody", BOT]
    assert repository.comments[0]["body"].endswith("mine")


def test_drift_opens_one_issue_that_is_updated_and_closed_without_drift(github: GitHub, repository: Repository):
    assert github.issue("a") == "opened #1"
    assert github.issue("a") == "#1 is up to date"
    assert github.issue("b") == "updated #1"
    assert github.issue("") == "closed #1"
    assert github.issue("") == "none is open"

    (issue,) = repository.issues
    assert issue["state"] == "closed"
    assert issue["labels"] == ["drift"]
    assert len(repository.comments) == 1

    assert github.issue("c") == "opened #2"


def test_a_pull_request_does_not_count_as_an_issue(github: GitHub, repository: Repository):
    github.issue("a")
    repository.issues[0]["pull_request"] = {}

    assert github.issue("a") == "opened #2"


def test_a_missing_permission_is_reported(address: str):
    with pytest.raises(GitHubError, match=r"GET issues/7/comments.*: 403 .*permission"):
        GitHub(address, "me/home", "of-a-fork", BOT).comment(7, "text")


def test_reports_are_joined_by_name_and_empty_ones_are_left_out(tmp_path: Path):
    for name, text in {"b": "two\n", "a": "one\n", "c": ""}.items():
        (tmp_path / f"of-{name}").mkdir()  # each artifact is a folder
        (tmp_path / f"of-{name}" / f"{name}.md").write_text(text)

    assert joined(tmp_path) == "one\n\ntwo"


def test_a_long_report_leaves_room_for_the_others(tmp_path: Path):
    (tmp_path / "a.md").write_text("long\n" * 100_000)
    (tmp_path / "b.md").write_text("short")

    text = joined(tmp_path)

    assert len(text) < LONGEST
    assert text.endswith("short")
    assert "too long for this page" in text


def test_a_missing_report_is_an_error_and_does_not_count_as_no_drift(tmp_path: Path):
    with pytest.raises(GitHubError, match="there is no report"):
        joined(tmp_path)


def test_the_command_needs_only_python(address: str, repository: Repository, tmp_path: Path):
    (tmp_path / "preview-dev.md").write_text("no change")
    variables = {"GITHUB_API_URL": address, "GITHUB_REPOSITORY": "me/home", "GITHUB_TOKEN": "token-of-the-job"}
    # -S: without the packages of the environment.
    command = [sys.executable, "-S", "-m", "ops.ci.comment", str(tmp_path), "7"]

    answers = [
        subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
        for environment in (variables, {"PATH": os.environ["PATH"]})
    ]

    assert answers[0].stdout == "written\n", answers[0].stderr
    assert re.fullmatch("GITHUB_REPOSITORY: is missing; .*\n", answers[1].stderr)
    assert len(repository.comments) == 1
