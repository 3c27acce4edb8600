"""A section of params.yaml -> a checked, frozen object that the stage declares."""

import difflib
import re
from pathlib import Path
from reprlib import repr  # a value may be very long
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.tokens import AliasToken, AnchorToken, DirectiveToken, TagToken

from stages.digits.base.errors import InputError

PARAMS = Path("params.yaml")
MAX_BYTES = 2**14  # of params.yaml: ten times the committed one
MAX_WORD = 1000  # characters without a space
MAX_DEPTH = 20  # brackets or indicators in brackets or after each other
DIGIT_NAMES = tuple("0123456789")
NONE = Path("data/none")  # an empty folder: DVC needs a path, and `own` has none by default
MAX_OWN_WEIGHT = 100
MAX_CLASS_NAME = 20  # characters: what fits beside a figure's axis

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]  # NumPy's end at 2**32: room for seed + fold
Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """The keys a stage may have, with their types and ranges: no unknown, missing or quoted ones."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Schema = TypeVar("Schema", bound=Section)


def section(name: str, schema: type[Schema]) -> Schema:
    """Section `name` of params.yaml, checked against `schema`; InputError names the key that is wrong."""
    values = read().get(name)
    if not isinstance(values, dict):
        raise InputError(f"{PARAMS}: {name}: found {repr(values)}, expected a section with {_field_names(schema)}")
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise InputError(_format_error(name, schema, error)) from None


def raw() -> Path:
    """The directory or .zip with the user's CSV files."""
    value = read().get("raw")
    if not isinstance(value, str) or not value or not value.isprintable():
        raise InputError(f"{PARAMS}: raw: found {repr(value)}, expected the path of a directory or .zip with train.csv")
    return Path(value)


def own() -> Path | None:
    """The folder with one's own digits, or None for none."""
    value = read().get("own", str(NONE))
    if not isinstance(value, str) or not value or not value.isprintable():
        raise InputError(f"{PARAMS}: own: found {repr(value)}, expected the path of a folder, or {NONE} for none")
    return None if Path(value) == NONE else Path(value)


def own_weight() -> int:
    """How often each of one's own digits is trained on in an epoch; with 0 they are only evaluated."""
    value = read().get("own_weight", 1)
    if type(value) is not int or not 0 <= value <= MAX_OWN_WEIGHT:  # type: True is an int
        raise InputError(
            f"{PARAMS}: own_weight: found {repr(value)}, expected a whole number from 0 to {MAX_OWN_WEIGHT}"
        )
    return value


def classes() -> tuple[str, ...]:
    """The names of the ten classes, in the order of their labels; 0 to 9 unless `classes` says otherwise."""
    values = read().get("classes", list(DIGIT_NAMES))
    expected = f"{len(DIGIT_NAMES)} distinct names"
    if not isinstance(values, list) or len(values) != len(DIGIT_NAMES):
        raise InputError(f"{PARAMS}: classes: found {repr(values)}, expected a list of {expected}")
    for index, value in enumerate(values):
        if type(value) not in (str, int) or not _is_class_name(str(value)):  # type: True is an int
            raise InputError(
                f"{PARAMS}: classes.{index}: found {repr(value)}, expected a name of 1 to {MAX_CLASS_NAME} "
                "printable characters, without spaces at its ends; quote what YAML takes for something else"
            )
    names = tuple(map(str, values))
    for index, name in enumerate(names):
        if name in names[:index]:
            raise InputError(f"{PARAMS}: classes.{index}: found {name!r} a second time, expected {expected}")
    return names


def _is_class_name(text: str) -> bool:
    return 1 <= len(text) <= MAX_CLASS_NAME and text.isprintable() and text == text.strip()


def read() -> dict[Any, Any]:
    """params.yaml, read with DVC's parser, so that dvc.lock records the values that the stages use."""
    try:
        with PARAMS.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode()
        _check_cost(text)
        values = YAML(typ="safe", pure=True).load(text)
    except FileNotFoundError:
        raise InputError(f"{PARAMS}: missing here: run this from the project's top folder") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{PARAMS}: not UTF-8 text: {error.reason} at byte {error.start}") from None
    except YAMLError as error:
        raise InputError(_format_yaml_error(error)) from None
    except (ValueError, RecursionError) as error:  # dates that are none, numbers without digits, deep nesting
        raise InputError(f"{PARAMS}: not YAML that can be read: {error}") from None
    if not isinstance(values, dict):
        raise InputError(f"{PARAMS}: found {repr(values)}, expected sections")
    return values


def _check_cost(text: str) -> None:
    """InputError for YAML that would take a parser minutes, or that a parameter file doesn't need."""
    if len(text.encode()) > MAX_BYTES:
        raise InputError(f"{PARAMS}: found more than {MAX_BYTES:,} bytes, expected about 1,200")
    depth = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if re.search(rf"\S{{{MAX_WORD + 1}}}", line):
            raise InputError(f"{PARAMS}, line {number}: found more than {MAX_WORD:,} characters without a space")
        deepest = depth
        for bracket in re.findall(r"[][{}]", line):
            depth += 1 if bracket in "[{" else -1
            deepest = max(deepest, depth)
        indicators = re.search(r"(?:[-?:]\s+){2,}", line)
        if deepest > MAX_DEPTH or (indicators and len(indicators[0].split()) > MAX_DEPTH):
            raise InputError(f"{PARAMS}, line {number}: nested too deep, expected sections of `key: value`")
    for token in YAML(typ="safe", pure=True).scan(text):
        kinds = {AliasToken: "alias", AnchorToken: "anchor", DirectiveToken: "directive", TagToken: "tag"}
        kind = kinds.get(type(token)) or ("merge" if getattr(token, "value", None) == "<<" else None)
        if kind:
            raise InputError(f"{PARAMS}, line {token.start_mark.line + 1}: found a YAML {kind}, expected a plain value")


def _format_yaml_error(error: YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f", line {mark.line + 1}" if mark else ""
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    return f"{PARAMS}{where}: not YAML: {problem}"


def _field_names(schema: type[Section]) -> str:
    return ", ".join(schema.model_fields)


def _format_error(name: str, schema: type[Section], error: ValidationError) -> str:
    # A misspelt key is also a missing one: what the user wrote comes first.
    first = min(error.errors(), key=lambda one: one["type"] not in ("extra_forbidden", "invalid_key"))
    key = ".".join(str(part) for part in (name, *first["loc"]))
    if first["type"] in ("extra_forbidden", "invalid_key"):
        near = difflib.get_close_matches(str(first["loc"][-1]), schema.model_fields, n=1)
        hint = f"did you mean {near[0]}?" if near else f"expected {_field_names(schema)}"
        return f"{PARAMS}: {key}: unknown; {hint}"
    if first["type"] == "missing":
        return f"{PARAMS}: {key}: missing; expected {_field_names(schema)}"
    expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{PARAMS}: {key}: found {repr(first['input'])}, expected {expected}"
