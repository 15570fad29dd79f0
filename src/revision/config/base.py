"""What every settings class shares: strict, frozen models, and errors that name key, problem and what fits."""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import ErrorDetails

from revision.errors import ConfigError

T = TypeVar("T")

Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


def _different(names: list[T]) -> list[T]:
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} is given twice")
    return names


Unique = AfterValidator(_different)


class Settings(BaseModel):
    """Base of all settings: values are not converted, unknown keys are refused, instances don't change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        unknown = [str(key) for key in values if key not in cls.model_fields] if isinstance(values, Mapping) else []
        if unknown:
            hints = [hint for key in unknown if (hint := close_match(key, cls.model_fields))]
            raise ValueError(
                f"unknown key {', '.join(unknown)}{''.join(hints)}; the keys are {listed(cls.model_fields)}"
            )
        return values

    def record(self) -> dict[str, Any]:
        """Plain values for manifests and checkpoints, without `kind`, which only chooses the class."""
        return self.model_dump(exclude={"kind"})


def parse(kind: type[T], values: Any, where: str) -> T:
    """Build settings from plain values.

    Parameters
    ----------
    kind
        A settings class, or a union of some.
    values
        Mappings, lists and scalars, as YAML gives them.
    where
        What the values are, for messages.

    Raises
    ------
    ConfigError
        One line a problem: key, value and what would fit.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        lines = [line for detail in error.errors(include_url=False) for line in _lines(detail, values, where)]
        raise ConfigError("\n".join(lines)) from error


def listed(names: Iterable[Any]) -> str:
    """Names for a message, sorted."""
    return ", ".join(sorted(map(str, names)))


def close_match(name: str, existing: Iterable[str]) -> str:
    """` (did you mean <name>?)` for what is probably a typing error, else nothing."""
    found = get_close_matches(name, list(map(str, existing)), n=1)
    return f" (did you mean {found[0]}?)" if found else ""


def unknown_name(path: str, name: str, existing: Iterable[str]) -> Iterator[str]:
    """One line if `name`, which stands at `path`, is not among `existing`."""
    existing = list(existing)
    if name not in existing:
        yield f"{path}: {name!r} does not exist{close_match(name, existing)}; there are {listed(existing)}"


def _lines(error: ErrorDetails, values: Any, where: str) -> Iterator[str]:
    """The problem in words; a validator of a whole model names the keys itself, one line each."""
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
    elif kind == "union_tag_not_found":
        message = "missing key kind"
    elif kind == "union_tag_invalid":
        tags = [tag.strip("' ") for tag in error["ctx"]["expected_tags"].split(",")]
        tag = error["ctx"]["tag"]
        message = f"kind {tag!r} does not exist{close_match(tag, tags)}; there are {listed(tags)}"
    elif kind == "literal_error":
        choices = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        message = (
            f"{error['input']!r} does not exist{close_match(str(error['input']), choices)}; there are {listed(choices)}"
        )
    else:
        value = type(error["input"]).__name__ if isinstance(error["input"], dict | list) else repr(error["input"])
        message = f"{value} does not fit: {message.replace('Input should', 'it should')}"
    yield _at(where, path, message)


def _at(where: str, path: str, message: str) -> str:
    return f"{where}, {path}: {message}" if path else f"{where}: {message}"


def _names_key(line: str) -> bool:
    """Whether a line of a model's validator begins with the path of a key."""
    return " " not in line.partition(": ")[0] and ": " in line


def _path(location: tuple[int | str, ...], values: Any, missing: bool) -> str:
    """Keys from the top to a problem, without what pydantic puts in between: the kind or type of a union's member."""
    keys: list[str] = []
    inside = False
    for number, part in enumerate(location):
        if isinstance(values, Mapping) and values.get("kind") == part and not inside:
            inside = True
        elif isinstance(values, list) or (isinstance(values, Mapping) and part in values):
            values, inside = values[part], False  # type: ignore[index]
            keys.append(str(part))
        elif missing and number + 1 == len(location):
            keys.append(str(part))
    return ".".join(keys)
