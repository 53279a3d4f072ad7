"""Finds the groups and fields of the settings by their paths in a stack file."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from settings.stack import FIELDS, Settings
from settings.values import Model

Path = Sequence[str | int]
"""Keys and indexes on the way to a value, such as ``("projects", 0, "name")``."""


def names(path: Path) -> list[str]:
    """The keys in ``path``, without indexes."""
    return [part for part in path if isinstance(part, str)]


def field_at(path: Path) -> FieldInfo | None:
    """The field at ``path``, which may lead to an entry of its list; None for an entry of a map."""
    *groups, last = names(path) or [""]
    return _fields(group_at(groups)).get(last)


def group_at(path: Path) -> type[Model] | None:
    """The group at ``path``; None if another kind of value is there."""
    model: type[Model] | None = Settings
    for name in names(path):
        field = _fields(model).get(name)
        model = group_in(field.annotation) if field else None
    return model


def keys_at(path: Path) -> list[str]:
    """The keys of the group at ``path``; empty if another kind of value is there."""
    return list(_fields(group_at(path)))


def places(name: str) -> Iterator[str]:
    """Paths of the parts of settings that are called ``name``, such as ``tasks.quota`` for ``quota``."""

    def below(path: str, annotation: Any) -> Iterator[str]:
        for key, field in _fields(group_in(annotation)).items():
            place = f"{path}[0].{key}" if get_origin(annotation) is list else f"{path}.{key}"
            if key == name:
                yield place
            yield from below(place, field.annotation)

    for key, field in FIELDS.items():
        yield from below(key, field.annotation)


def group_in(annotation: Any) -> type[Model] | None:
    """The group that an annotation such as ``list[Project]`` or ``Quota | None`` names."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    return next((found for part in get_args(annotation) if (found := group_in(part))), None)


def choices(annotation: Any) -> list[str]:
    """The texts that an annotation such as ``list[Literal["a", "b"]]`` allows; empty if it allows others too."""
    if get_origin(annotation) is Literal:
        return [choice for choice in get_args(annotation) if choice]
    return next((found for part in get_args(annotation) if (found := choices(part))), [])


def _fields(model: type[Model] | None) -> dict[str, FieldInfo]:
    return {to_camel(name): field for name, field in model.model_fields.items()} if model else {}
