"""params.yaml: what is read, and what is refused by name."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from stages.digits import params
from stages.digits.errors import InputError
from stages.digits.recipe import Recipe
from stages.prepare import Prepare
from stages.sample import Sample

GOOD = {"seed": "1", "epochs": "10", "learning_rate": "0.005", "dropout_rate": "0.4"}


class Knobs(params.Section):
    seed: params.Seed
    epochs: params.Count
    learning_rate: params.Positive
    dropout_rate: params.Fraction


def write(**changed: str) -> None:
    """params.yaml with a section `knobs`: the good values, but for those changed."""
    lines = [f"  {name}: {text}\n" for name, text in (GOOD | changed).items()]
    Path("params.yaml").write_text("raw: data/raw\nknobs:\n" + "".join(lines), encoding="utf-8")


def refusal(name: str = "knobs") -> str:
    with pytest.raises(InputError) as caught:
        params.section(name, Knobs)
    message = caught.value.code
    assert "\n" not in message
    return message


@pytest.fixture(autouse=True)
def in_a_project(empty_project: Path) -> None:
    """Each test writes the params.yaml of a folder of its own."""


def test_a_section_becomes_typed_values():
    write()
    assert params.section("knobs", Knobs).model_dump() == {
        "seed": 1,
        "epochs": 10,
        "learning_rate": 0.005,
        "dropout_rate": 0.4,
    }


def test_a_section_cannot_be_changed_once_read():
    write()
    with pytest.raises(ValidationError):
        params.section("knobs", Knobs).seed = 2


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-05", 1e-05), ("5e-3", 0.005), ("1E-2", 0.01), ("5.e-3", 0.005), ("+1e0", 1.0), (".5e-1", 0.05), ("1", 1.0)],
)
def test_a_float_may_be_written_in_every_usual_way(text, value):
    write(learning_rate=text)
    found = params.section("knobs", Knobs).learning_rate
    assert found == value
    assert isinstance(found, float)


@pytest.mark.parametrize("text", ["e5", "1e", "1e5x", "version1e5"])
def test_what_only_resembles_a_float_stays_text(text):
    Path("params.yaml").write_text(f"raw: {text}\n", encoding="utf-8")
    assert params.raw() == Path(text)


@pytest.mark.parametrize(
    ("key", "text", "found", "expected"),
    [
        ("epochs", "'10'", "'10'", "a valid integer"),
        ("epochs", "ten", "'ten'", "a valid integer"),
        ("epochs", "true", "True", "a valid integer"),
        ("epochs", "1.5", "1.5", "a valid integer"),
        ("epochs", "10.0", "10.0", "a valid integer"),
        ("epochs", "1e1", "10.0", "a valid integer"),
        ("epochs", "", "None", "a valid integer"),
        ("epochs", "[10]", "[10]", "a valid integer"),
        ("epochs", "0", "0", "greater than or equal to 1"),
        ("epochs", "-1", "-1", "greater than or equal to 1"),
        ("seed", "-1", "-1", "greater than or equal to 0"),
        ("seed", "4294967296", "4294967296", "less than"),
        ("learning_rate", "'0.1'", "'0.1'", "a valid number"),
        ("learning_rate", "'1e-05'", "'1e-05'", "a valid number"),
        ("learning_rate", "true", "True", "a valid number"),
        ("learning_rate", ".nan", "nan", "a finite number"),
        ("learning_rate", "nan", "'nan'", "a valid number"),
        ("learning_rate", ".inf", "inf", "a finite number"),
        ("learning_rate", "-.inf", "-inf", "a finite number"),
        ("learning_rate", "1e999", "inf", "a finite number"),
        ("learning_rate", "0", "0", "greater than 0"),
        ("dropout_rate", "1", "1", "less than 1"),
        ("dropout_rate", "-0.1", "-0.1", "greater than or equal to 0"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(key, text, found, expected):
    write(**{key: text})
    assert refusal().startswith(f"params.yaml: knobs.{key}: found {found}, expected {expected}")


def test_a_missing_parameter_is_named():
    Path("params.yaml").write_text("knobs:\n  seed: 1\n  epochs: 10\n  dropout_rate: 0.4\n", encoding="utf-8")
    assert refusal() == (
        "params.yaml: knobs.learning_rate: missing; expected seed, epochs, learning_rate, dropout_rate"
    )


def test_an_unknown_parameter_is_named():
    write(colour="3")
    assert refusal() == "params.yaml: knobs.colour: unknown; expected seed, epochs, learning_rate, dropout_rate"


def test_a_misspelt_parameter_is_named_with_the_one_that_was_meant():
    text = "knobs:\n  seed: 1\n  epoch: 10\n  learning_rate: 0.1\n  dropout_rate: 0.4\n"
    Path("params.yaml").write_text(text, encoding="utf-8")
    assert refusal() == "params.yaml: knobs.epoch: unknown; did you mean epochs?"


def test_a_key_that_is_no_word_is_refused():
    Path("params.yaml").write_text("knobs:\n  1: 1\n", encoding="utf-8")
    assert refusal().startswith("params.yaml: knobs: keys must be words, expected seed")


@pytest.mark.parametrize(
    ("text", "found"), [("", "None"), ("knobs:\n", "None"), ("knobs: 3\n", "3"), ("knobs: [1]\n", "[1]")]
)
def test_a_missing_section_is_named(text, found):
    Path("params.yaml").write_text("raw: data/raw\n" + text, encoding="utf-8")
    assert refusal() == (
        f"params.yaml: knobs: found {found}, expected a section with seed, epochs, learning_rate, dropout_rate"
    )


def test_a_missing_file_is_named_with_what_to_do():
    Path("params.yaml").unlink()
    assert refusal() == "params.yaml: missing here: run this from the project's top folder"


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"knobs: [1\n", "params.yaml: not YAML: while parsing a flow sequence"),
        (b"knobs:\n\tseed: 1\n", "params.yaml: not YAML: while scanning"),
        (b"knobs: \xff\n", "params.yaml: not YAML: 'utf-8' codec can't decode"),
        (b"knobs: 2024-99-99\n", "params.yaml: not YAML: month must be"),
        (b"", "params.yaml: found None, expected sections"),
        (b"- knobs\n", "params.yaml: found ['knobs'], expected sections"),
    ],
)
def test_a_broken_file_is_refused_in_one_line(content, part):
    Path("params.yaml").write_bytes(content)
    assert part in refusal()


def test_broken_yaml_is_named_with_its_line():
    Path("params.yaml").write_text("raw: data/raw\nknobs:\n  seed: [1\nother: 2\n", encoding="utf-8")
    assert "line 4" in refusal()


@pytest.mark.parametrize(("text", "found"), [("", "None"), ("raw:\n", "None"), ("raw: ''\n", "''"), ("raw: 5\n", "5")])
def test_a_missing_raw_is_refused(text, found):
    Path("params.yaml").write_text("prepare: {}\n" + text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        params.raw()
    assert caught.value.code == (
        f"params.yaml: raw: found {found}, expected the path of a directory or .zip with train.csv"
    )


def test_raw_is_a_path():
    assert params.raw() == Path("data/raw")


@pytest.mark.parametrize(
    ("section", "declared", "text", "part"),
    [
        ("prepare", Prepare, "{seed: 1, folds: 1}", "prepare.folds: found 1, expected greater than or equal to 2"),
        ("prepare", Prepare, "{seed: 1, folds: 51}", "prepare.folds: found 51, expected less than or equal to 50"),
        ("prepare", Prepare, "{seed: 1, fold: 5}", "prepare.fold: unknown; did you mean folds?"),
        (
            "sample",
            Sample,
            "{seed: 1, labelled_per_digit: 174}",
            "labelled_per_digit: found 174, expected less than 174",
        ),
        ("sample", Sample, "{seed: 1, labelled_per_digit: 0}", "found 0, expected greater than or equal to 1"),
    ],
)
def test_the_stages_refuse_what_is_out_of_range(section, declared, text, part):
    Path("params.yaml").write_text(f"{section}: {text}\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        params.section(section, declared)
    assert part in caught.value.code


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("members", 0, "greater than or equal to 1"),
        ("members", 101, "less than or equal to 100"),  # their files are numbered with two digits
        ("width", 63, "a multiple of 2"),
        ("width", 14, "greater than or equal to 16"),
    ],
)
def test_train_refuses_what_is_out_of_range(recipe, key, value, expected):
    Path("params.yaml").write_text(yaml.safe_dump({"train": recipe.model_dump() | {key: value}}), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        params.section("train", Recipe)
    assert caught.value.code == f"params.yaml: train.{key}: found {value}, expected {expected}"
