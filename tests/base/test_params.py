"""params.yaml: what is read, and what is rejected by name."""

import difflib
from pathlib import Path

import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import _yaml as dvc_yaml
from hypothesis import HealthCheck, given, settings, strategies
from pydantic import ValidationError

from stages.digits.base import params
from stages.digits.base.errors import InputError
from stages.digits.training.recipe import Recipe
from stages.prepare import Prepare
from stages.sample import Sample

GOOD = {"seed": "1", "epochs": "10", "learning_rate": "0.005", "dropout_rate": "0.4"}


class Example(params.Section):
    seed: params.Seed
    epochs: params.Count
    learning_rate: params.Positive
    dropout_rate: params.Fraction


def write(**changed: str) -> None:
    """params.yaml with a section `example`: the good values, but for those changed."""
    lines = [f"  {name}: {text}\n" for name, text in (GOOD | changed).items()]
    Path("params.yaml").write_text("raw: data/raw\nexample:\n" + "".join(lines), encoding="utf-8")


def rejection(name: str = "example") -> str:
    with pytest.raises(InputError) as caught:
        params.section(name, Example)
    message = caught.value.code
    assert "\n" not in message
    return message


@pytest.fixture(autouse=True)
def in_a_project(empty_project: Path) -> None:
    """Each test writes the params.yaml of a folder of its own."""


def test_a_section_becomes_typed_values():
    write()
    assert params.section("example", Example).model_dump() == {
        "seed": 1,
        "epochs": 10,
        "learning_rate": 0.005,
        "dropout_rate": 0.4,
    }


def test_a_section_cannot_be_changed_once_read():
    write()
    with pytest.raises(ValidationError):
        params.section("example", Example).seed = 2


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-05", 1e-05), ("5e-3", 0.005), ("1E-2", 0.01), ("5.e-3", 0.005), ("+1e0", 1.0), (".5e-1", 0.05), ("1", 1.0)],
)
def test_a_float_may_be_written_in_every_usual_way(text, value):
    write(learning_rate=text)
    learning_rate = params.section("example", Example).learning_rate
    assert learning_rate == value
    assert isinstance(learning_rate, float)


@pytest.mark.parametrize("text", ["e5", "1e", "1e5x", "version1e5"])
def test_what_only_resembles_a_float_stays_text(text):
    Path("params.yaml").write_text(f"raw: {text}\n", encoding="utf-8")
    assert params.raw() == Path(text)


@pytest.mark.parametrize(
    ("key", "text", "value", "expected"),
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
def test_a_wrong_value_is_named_with_what_was_expected(key, text, value, expected):
    write(**{key: text})
    assert rejection().startswith(f"params.yaml: example.{key}: found {value}, expected {expected}")


def test_a_missing_parameter_is_named():
    Path("params.yaml").write_text("example:\n  seed: 1\n  epochs: 10\n  dropout_rate: 0.4\n", encoding="utf-8")
    assert rejection() == (
        "params.yaml: example.learning_rate: missing; expected seed, epochs, learning_rate, dropout_rate"
    )


def test_an_unknown_parameter_is_named():
    write(colour="3")
    assert rejection() == "params.yaml: example.colour: unknown; expected seed, epochs, learning_rate, dropout_rate"


def test_a_misspelt_parameter_is_named_with_the_one_that_was_meant():
    text = "example:\n  seed: 1\n  epoch: 10\n  learning_rate: 0.1\n  dropout_rate: 0.4\n"
    Path("params.yaml").write_text(text, encoding="utf-8")
    assert rejection() == "params.yaml: example.epoch: unknown; did you mean epochs?"


def test_a_key_that_is_not_a_word_is_unknown():
    Path("params.yaml").write_text("example:\n  1: 1\n", encoding="utf-8")
    assert rejection().startswith("params.yaml: example.1: unknown; expected seed")


@pytest.mark.parametrize(
    ("text", "found"), [("", "None"), ("example:\n", "None"), ("example: 3\n", "3"), ("example: [1]\n", "[1]")]
)
def test_a_missing_section_is_named(text, found):
    Path("params.yaml").write_text("raw: data/raw\n" + text, encoding="utf-8")
    assert rejection() == (
        f"params.yaml: example: found {found}, expected a section with seed, epochs, learning_rate, dropout_rate"
    )


def test_a_missing_file_is_named_with_what_to_do():
    Path("params.yaml").unlink()
    assert rejection() == "params.yaml: missing here: run this from the project's top folder"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"example: [1\n", "params.yaml, line 2: not YAML: "),
        (b"example:\n\tseed: 1\n", "params.yaml, line 2: not YAML: "),
        (b"raw: data/raw\nexample:\n  seed: [1\nother: 2\n", "params.yaml, line 4: not YAML: "),
        (b"example: \xff\n", "params.yaml: not UTF-8 text: "),
        (b"example: 2024-99-99\n", "params.yaml: not YAML that can be read: month must be"),
        (b"", "params.yaml: found None, expected sections"),
        (b"- example\n", "params.yaml: found ['example'], expected sections"),
        (b"example: {}\nexample: {}\n", "params.yaml, line 2: not YAML: found duplicate key"),
        (b"example: {seed: 1, seed: 2}\n", "params.yaml, line 1: not YAML: found duplicate key"),
        (b'example: !!int ""\n', "params.yaml, line 1: found a YAML tag"),
        (b"example: !!bool x\n", "params.yaml, line 1: found a YAML tag"),
        (b"example: !!timestamp x\n", "params.yaml, line 1: found a YAML tag"),
        (b"raw: x\na: &a {b: 1}\n", "params.yaml, line 2: found a YAML anchor"),
        (b"a: *a\n", "params.yaml, line 1: found a YAML alias"),
        (b"example: {<<: {seed: 1}}\n", "params.yaml, line 1: found a YAML merge"),
        (b"%YAML 1.1\n---\nexample: {}\n", "params.yaml, line 1: found a YAML directive"),
        (b"example: " + 500 * b"[" + 500 * b"]", "params.yaml, line 1: nested too deep"),
        (b"example:\n" + b"".join(b" " * depth + b"a:\n" for depth in range(1, 175)), "params.yaml"),
        (b"example: " + 500 * b"- ", "params.yaml, line 1: n"),
        (b"example:\n  " + 500 * b"- ", "params.yaml, line 2: nested too deep"),
        (
            b"example:\n  seed: 0x" + 3600 * b"f",
            "params.yaml, line 2: found more than 1,000 characters without a space",
        ),
        (b"example:\n  seed: " + 15_000 * b"1" + b"x", "params.yaml, line 2: found more than 1,000 characters"),
        (b"# " + 10_000_000 * b"x ", "params.yaml: found more than 16,384 bytes"),
        (b"example:\n  seed: -_\n", "params.yaml"),
        (b'example: {"a\\nb": 1}\n', "params.yaml: example.a\\nb: unknown"),
    ],
)
def test_a_broken_file_is_rejected_in_one_short_line(content, message):
    Path("params.yaml").write_bytes(content)
    assert rejection().startswith(message)
    assert len(rejection()) < 600


SCALARS = (
    "010 0100 0o10 0o8 0x1F 0x 0b11 00 08 1:30 1:30:00 1_000 1__0 _1 +5 -0 .5 +.5 5. 5.e3 0.0 1,000 1.2.3 = text "
    "1e-05 1e5 1E5 1e 12e03 .inf -.inf .nan yes no on off y n True true TRUE ~ null Null 2024-01-01 '1' \"1e5\""
)


@pytest.mark.parametrize("text", SCALARS.split())
def test_stages_read_a_scalar_as_dvc_does_or_reject_it(text):
    """dvc.lock records what DVC reads: a stage that reads anything else runs what the lock doesn't say."""
    Path("params.yaml").write_text(f"example: {text}\n", encoding="utf-8")
    try:
        expected = repr(dvc_yaml.load_yaml("params.yaml"))
    except dvc_yaml.YAMLFileCorruptedError:
        expected = "rejected"
    try:
        values = repr(params.read())
    except InputError:
        values = "rejected"
    assert values in (expected, "rejected")


def test_folds_with_a_leading_zero_are_what_dvc_records():
    Path("params.yaml").write_text("raw: data/sample\nprepare:\n  seed: 1\n  folds: 010\n", encoding="utf-8")
    assert params.section("prepare", Prepare).folds == dvc_yaml.load_yaml("params.yaml")["prepare"]["folds"]


COMMITTED = (Path(__file__).parents[2] / "params.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "key",
    [
        "raw",
        *(
            f"{name}.{key}"
            for name, section in yaml.safe_load(COMMITTED).items()
            if isinstance(section, dict)
            for key in section
        ),
    ],
)
def test_dvc_sets_a_parameter_and_leaves_every_other_line_of_the_file(key):
    """By what `dvc exp run -S` calls to write the file."""
    Path("params.yaml").write_text(COMMITTED, encoding="utf-8")
    apply_overrides("params.yaml", [f"{key}=7"])
    changed = difflib.ndiff(COMMITTED.splitlines(), Path("params.yaml").read_text(encoding="utf-8").splitlines())
    removed, added = (line for line in changed if line.startswith(("-", "+")))
    name = key.rpartition(".")[2]
    assert removed[1:].lstrip().startswith(f"{name}: ")
    assert added[1:].lstrip().startswith(f"{name}: 7")


@pytest.mark.slow
@given(strategies.text(alphabet="ab1:-[]{}'\"&*!#%<>|,?~_.0x \n\t\u2028\u00a0\x00\ufeff", max_size=60))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_gives_a_section_or_one_line(text):
    Path("params.yaml").write_text(f"example:\n {text}", encoding="utf-8", newline="")
    try:
        params.section("example", Example)
    except InputError as error:
        assert error.code.isprintable()
        assert len(error.code) < 600


@pytest.mark.parametrize(
    ("text", "found"),
    [("", "None"), ("raw:\n", "None"), ("raw: ''\n", "''"), ("raw: 5\n", "5"), ('raw: "a\\0b"\n', r"'a\x00b'")],
)
def test_a_missing_raw_is_rejected(text, found):
    Path("params.yaml").write_text("prepare: {}\n" + text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        params.raw()
    assert caught.value.code == (
        f"params.yaml: raw: found {found}, expected the path of a directory or .zip with train.csv"
    )


def test_raw_is_a_path():
    assert params.raw() == Path("data/raw")


def classes(text: str) -> tuple[str, ...]:
    Path("params.yaml").write_text(f"raw: data/raw\n{text}\n", encoding="utf-8")
    return params.classes()


def test_classes_are_0_to_9_unless_they_are_named():
    assert classes("") == classes("classes: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]") == tuple("0123456789")


def test_a_class_is_named_by_text_a_quoted_number_or_a_whole_number():
    names = classes("classes: [T-shirt/top, '0', 12, -1, Ankle boot, \"no\", ೩, $x$, 'a,b', " + 20 * "x" + "]")
    assert names == ("T-shirt/top", "0", "12", "-1", "Ankle boot", "no", "೩", "$x$", "a,b", 20 * "x")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "None"),
        ("abc", "'abc'"),
        ("3", "3"),
        ("{a: 1}", "{'a': 1}"),
        ("[]", "[]"),
        ("[a, b]", "['a', 'b']"),
        ("[a, b, c, d, e, f, g, h, i, j, k]", "['a', 'b', "),
    ],
)
def test_classes_that_are_no_list_of_ten_are_rejected(text, found):
    with pytest.raises(InputError) as caught:
        classes(f"classes: {text}")
    assert caught.value.code.startswith(f"params.yaml: classes: found {found}")
    assert caught.value.code.endswith("expected a list of 10 distinct names")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("''", "''"),
        ("' '", "' '"),
        ("'a '", "'a '"),
        (21 * "x", "'" + 21 * "x" + "'"),
        ('"a\\nb"', r"'a\nb'"),
        ('"a\\0b"', r"'a\x00b'"),
        ("true", "True"),
        ("1.5", "1.5"),
        ("1e3", "1000.0"),
        ("", "None"),
        ("[a]", "['a']"),
        ("{a: 1}", "{'a': 1}"),
        ("2024-01-01", "datetime.date(2024, 1, 1)"),
        ("0x" + 900 * "f", ""),
    ],
)
def test_a_class_that_is_no_short_name_is_rejected_by_its_position(name, found):
    with pytest.raises(InputError) as caught:
        classes("classes:\n" + "".join(f"- {text}\n" for text in ["a", "b", "c", name, *"efghij"]))
    assert caught.value.code.startswith(f"params.yaml: classes.3: found {found}")
    assert "expected a name of 1 to 20 printable characters" in caught.value.code


@pytest.mark.parametrize("last", ["b", "1", "'1'"])
def test_two_classes_of_one_name_are_rejected(last):
    with pytest.raises(InputError) as caught:
        classes(f"classes: [a, b, c, d, e, f, g, 1, h, {last}]")
    assert caught.value.code == (
        f"params.yaml: classes.9: found {last.strip(chr(39))!r} a second time, expected 10 distinct names"
    )


@pytest.mark.parametrize(
    ("section", "schema", "text", "part"),
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
def test_the_stages_reject_what_is_out_of_range(section, schema, text, part):
    Path("params.yaml").write_text(f"{section}: {text}\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        params.section(section, schema)
    assert part in caught.value.code


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("members", 0, "greater than or equal to 1"),
        ("members", 101, "less than or equal to 100"),  # their files have two digits
        ("width", 63, "a multiple of 2"),
        ("width", 14, "greater than or equal to 16"),
    ],
)
def test_train_rejects_what_is_out_of_range(recipe, key, value, expected):
    Path("params.yaml").write_text(yaml.safe_dump({"train": recipe.model_dump() | {key: value}}), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        params.section("train", Recipe)
    assert caught.value.code == f"params.yaml: train.{key}: found {value}, expected {expected}"
