"""The descriptions of settings: the docstrings under the fields of their groups."""

import ast
import inspect
import textwrap
from itertools import pairwise

from pydantic.alias_generators import to_camel

from settings.values import Model


def descriptions(group: type[Model]) -> dict[str, str]:
    """The docstring under each field of ``group``, by the field's key; fields without one are missing.

    pydantic can read them, too, but would do so in every run of the program: a quarter of the time that importing the
    settings takes.
    """
    found: dict[str, str] = {}
    for base in reversed(group.__mro__):
        if issubclass(base, Model) and base is not Model:
            source = ast.parse(textwrap.dedent(inspect.getsource(base)))
            (body,) = [part.body for part in source.body if isinstance(part, ast.ClassDef)]
            for field, below in pairwise(body):
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and (text := _text(below)):
                    found[to_camel(field.target.id)] = text
    return found


def _text(statement: ast.stmt) -> str:
    """The text of a statement that is only a string; otherwise empty."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return inspect.cleandoc(value.value) if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""
