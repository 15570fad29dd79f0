"""Base of all settings classes: strict, frozen models, and errors that report key, problem and valid values."""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema, ErrorDetails, core_schema

from revision.errors import ConfigError

T = TypeVar("T")

Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


def _require_unique(names: list[T]) -> list[T]:
    repeated = sorted({str(name) for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"{', '.join(repeated)} is given twice")
    return names


Unique = AfterValidator(_require_unique)


class ByKind:
    """Annotation of a union of settings classes: the key `kind` selects the class.

    pydantic's own error for a missing discriminator does not list the kinds that exist; this one does.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        kinds = [kind for member in get_args(source) for kind in get_args(member.model_fields["kind"].annotation)]

        def require_kind(values: Any) -> Any:
            if isinstance(values, Mapping) and "kind" not in values:
                raise ValueError(f"kind: missing; there are {listed(kinds)}")
            return values

        union = handler(Annotated[source, Discriminator("kind")])
        return core_schema.no_info_before_validator_function(require_kind, union)


class Settings(BaseModel):
    """Base of all settings: values are not converted, unknown keys are rejected, instances are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        # Before pydantic's own check of extra keys, whose error does not list the valid ones.
        if not isinstance(values, Mapping):
            return values
        unknown = [str(key) for key in values if key not in cls.model_fields]
        if unknown:
            hints = [hint for key in unknown if (hint := close_match(key, cls.model_fields))]
            raise ValueError(
                f"unknown key {', '.join(unknown)}{''.join(hints)}; the keys are {listed(cls.model_fields)}"
            )
        return values

    def record(self) -> dict[str, Any]:
        """Return plain values for manifests and checkpoints, without `kind`, which only selects the class."""
        return self.model_dump(exclude={"kind"})


def parse(kind: type[T], values: Any, where: str) -> T:
    """Build settings from plain values.

    Parameters
    ----------
    kind : type
        A settings class, or a union of several.
    values : mapping
        Mappings, lists and scalars as YAML provides them.
    where : str
        Origin of the values, such as a file name; error messages begin with it.

    Returns
    -------
    kind
        The validated settings.

    Raises
    ------
    ConfigError
        If values are missing, unknown or invalid; one line per problem with key, value and valid values.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        lines = [line for detail in error.errors(include_url=False) for line in _lines(detail, values, where)]
        raise ConfigError("\n".join(lines)) from error


def listed(names: Iterable[Any]) -> str:
    """Join names for an error message, sorted."""
    return ", ".join(sorted(map(str, names)))


def close_match(name: str, existing: Iterable[str]) -> str:
    """Return ` (did you mean <name>?)` for what is probably a typing error, else an empty string."""
    matches = get_close_matches(name, list(map(str, existing)), n=1)
    return f" (did you mean {matches[0]}?)" if matches else ""


def unknown_name(path: str, name: str, existing: Iterable[str]) -> Iterator[str]:
    """Yield one error line if `name`, the value at `path`, is not in `existing`.

    Parameters
    ----------
    path : str
        Dotted path of the key that holds the name.
    name : str
        The name to look up.
    existing : iterable of str
        All valid names.

    Yields
    ------
    str
        Path, name, a close match if there is one, and all valid names.
    """
    existing = list(existing)
    if name not in existing:
        yield f"{path}: {name!r} does not exist{close_match(name, existing)}; there are {listed(existing)}"


def _lines(error: ErrorDetails, values: Any, where: str) -> Iterator[str]:
    """Format one pydantic error; the message of a whole model's validator has one line per key, with its path."""
    kind = error["type"]
    path = _path(error["loc"], values, kind == "missing")
    message = error["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        for line in message.splitlines():
            yield f"{where}, {'.'.join(filter(None, (path, line)))}" if _names_key(line) else _at(where, path, line)
        return
    if kind == "missing":
        message = "missing"
    elif kind in ("extra_forbidden", "unexpected_keyword_argument"):
        message = "unknown key"
    elif kind == "union_tag_invalid":
        tags = [tag.strip("' ") for tag in error["ctx"]["expected_tags"].split(",")]
        tag = error["ctx"]["tag"]
        message = f"kind {tag!r} does not exist{close_match(tag, tags)}; there are {listed(tags)}"
    elif kind == "literal_error":
        choices = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        hint = close_match(str(error["input"]), choices)
        message = f"{error['input']!r} does not exist{hint}; there are {listed(choices)}"
    else:
        value = type(error["input"]).__name__ if isinstance(error["input"], dict | list) else repr(error["input"])
        message = f"{value} does not fit: {message.replace('Input should', 'it should')}"
    yield _at(where, path, message)


def _at(where: str, path: str, message: str) -> str:
    return f"{where}, {path}: {message}" if path else f"{where}: {message}"


def _names_key(line: str) -> bool:
    """Whether a line of a model validator's message begins with the path of a key."""
    return " " not in line.partition(": ")[0] and ": " in line


def _path(location: tuple[int | str, ...], values: Any, missing: bool) -> str:
    """Join the keys that lead to a problem, without the tags of union members that pydantic inserts."""
    keys: list[str] = []
    tag_passed = False
    for position, part in enumerate(location):
        if isinstance(values, Mapping) and values.get("kind") == part and not tag_passed:
            tag_passed = True
        elif isinstance(values, list) or (isinstance(values, Mapping) and part in values):
            values, tag_passed = values[part], False  # type: ignore[index]
            keys.append(str(part))
        elif missing and position + 1 == len(location):
            keys.append(str(part))
    return ".".join(keys)
