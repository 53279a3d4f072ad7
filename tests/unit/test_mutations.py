"""The list of lines that `make mutate` breaks."""

import shutil
from pathlib import Path

import pytest

from paths import ROOT
from tests.mutations import MUTATIONS, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.meaning)
def test_the_line_to_break_occurs_exactly_once(mutation: Mutation, tmp_path: Path):
    copy = tmp_path / mutation.file
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / mutation.file, copy)

    mutation.apply(tmp_path)

    assert copy.read_text() != (ROOT / mutation.file).read_text()
