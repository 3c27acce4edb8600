"""A section of params.yaml -> a checked, frozen object that the stage declares."""

import difflib
import re
from pathlib import Path
from reprlib import repr as shown
from typing import Annotated, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.digits.errors import InputError

PARAMS = Path("params.yaml")

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]  # NumPy's end at 2**32: room for seed + fold
Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """The keys a stage may have, with their types and ranges: no others, none missing, none quoted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class _Loader(yaml.SafeLoader):
    """YAML as people write it: PyYAML reads `1e-05`, which is what DVC writes, as a string."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)

Declared = TypeVar("Declared", bound=Section)


def section(name: str, declared: type[Declared]) -> Declared:
    """Section `name` of params.yaml, checked against what the stage declared; InputError names the key."""
    found = _all().get(name)
    if not isinstance(found, dict):
        raise InputError(f"{PARAMS}: {name}: found {shown(found)}, expected a section with {_listed(declared)}")
    try:
        return declared(**found)
    except (ValidationError, TypeError) as error:
        raise InputError(_explained(name, declared, error)) from None


def raw() -> Path:
    """The directory or .zip with the user's CSV files."""
    found = _all().get("raw")
    if not isinstance(found, str) or not found:
        raise InputError(
            f"{PARAMS}: raw: found {shown(found)}, expected the path of a directory or .zip with train.csv"
        )
    return Path(found)


def _all() -> dict:
    try:
        loaded = yaml.load(PARAMS.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        raise InputError(f"{PARAMS}: missing here: run this from the project's top folder") from None
    except (yaml.YAMLError, ValueError) as error:  # the latter: bytes that are no text, dates that are none
        raise InputError(f"{PARAMS}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(loaded, dict):
        raise InputError(f"{PARAMS}: found {shown(loaded)}, expected sections")
    return loaded


def _listed(declared: type[Section]) -> str:
    return ", ".join(declared.model_fields)


def _explained(name: str, declared: type[Section], error: ValidationError | TypeError) -> str:
    if isinstance(error, TypeError):  # a key that is no string
        return f"{PARAMS}: {name}: keys must be words, expected {_listed(declared)}"
    # A misspelt key is also a missing one: what the user wrote comes first.
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    key = ".".join(str(part) for part in (name, *first["loc"]))
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(first["loc"][-1]), declared.model_fields, n=1)
        hint = f"did you mean {near[0]}?" if near else f"expected {_listed(declared)}"
        return f"{PARAMS}: {key}: unknown; {hint}"
    if first["type"] == "missing":
        return f"{PARAMS}: {key}: missing; expected {_listed(declared)}"
    expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{PARAMS}: {key}: found {shown(first['input'])}, expected {expected}"
