"""What is wrong with a CSV file that `strict_csv` rejects, where, and what to do: never more than one short line."""

import re
from collections.abc import Mapping
from reprlib import repr  # a value can be a whole line of something that isn't CSV

VALUES = {str(value).encode(): value for value in range(256)}  # looked up, not parsed: "+5" is no plain 5
OTHER_FORM = re.compile(r"""["'\s]*\+?0*(\d{1,3})(\.0*)?["'\s]*""", re.ASCII)  # of a whole number


def header_error(header: bytes, columns: list[str]) -> str:
    """The first column that isn't as expected, and what to do; `header` is without its line end."""
    text = _decode(header[: 3 * len(",".join(columns))])  # enough for quotes, and a bound for what isn't a header
    if "\0" in text or header.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ": found NUL characters or UTF-16, expected UTF-8: save it again as UTF-8, or download it again"
    names = text.split(",")
    hint = _header_hint(text, columns)
    for position, (name, expected) in enumerate(zip(names, columns, strict=False), start=1):
        if name != expected:
            repeated = ", a second time" if name in names[: position - 1] else ""
            return f", column {position}: found {repr(name)}{repeated}, expected {expected!r}{hint}"
    if len(names) > len(columns):
        return f", column {len(columns) + 1}: found {repr(names[len(columns)])}, expected no more columns{hint}"
    return f", column {len(names) + 1}: found no more columns, expected {columns[len(names)]!r}{hint}"


def _header_hint(text: str, columns: list[str]) -> str:
    """What to do if the columns are right but in a different tool's format, or are those of the other CSV file."""
    separator = max(",;\t", key=text.count)
    names = [name.strip(" \"'") for name in text.split(separator)]
    if names in (columns[1:], ["label", *columns]):
        return ": are train.csv and test.csv swapped?"
    fixes = ["commas between the values"] if separator != "," else []
    if '"' in text or "'" in text:
        fixes.append("without quotes")
    if any(name != name.strip(" ") for name in text.split(separator)):
        fixes.append("without spaces")
    if len(names) == len(columns) + 1:
        fixes.append("without an index column (index=False in pandas, row.names=FALSE in R)")
        names = names[1:]
    from_0 = [re.sub(r"pixel([1-9]\d{0,2})", lambda pixel: f"pixel{int(pixel[1]) - 1}", name) for name in names]
    if from_0 == columns:
        fixes.append("with the pixels named from pixel0 on")
        names = from_0
    return f": save it again {', '.join(fixes)}" if names == columns else ""


def first_error(lines: bytes, number: int, columns: Mapping[str, int]) -> str:
    """What is wrong with the first of `lines` that isn't as expected; `number` is the line number of the first."""
    errors = (
        f"line {here}{error}"
        for here, line in enumerate(lines.split(b"\n"), start=number)
        if line and (error := _row_error(line, columns))
    )
    return next(errors)


def _row_error(line: bytes, columns: Mapping[str, int]) -> str | None:
    max_line = len(",".join(columns))
    values = line[: max_line + 1].split(b",")  # if that cuts it, there are too many values or one is too long
    if len(line) > max_line and len(values) > len(columns):
        return f": found more than {len(columns)} values, expected {len(columns)}"
    if len(line) <= max_line and len(values) != len(columns):
        return f": found {count(values)}, expected {len(columns)}"
    for (column, greatest), value in zip(columns.items(), values, strict=False):
        if error := value_error(value, greatest):
            return f", column {column}: {error}"
    return None


def value_error(value: bytes, greatest: int) -> str | None:
    """What was found in place of a whole number from 0 to `greatest`, and how to write that; None if it is one."""
    if VALUES.get(value, 256) <= greatest:
        return None
    other_form = OTHER_FORM.fullmatch(_decode(value))
    hint = f": write it as {other_form[1]}" if other_form and int(other_form[1]) <= greatest else ""
    return f"found {quote(value)}, expected a whole number from 0 to {greatest}{hint}"


def quote(text: bytes) -> str:
    """For a message: shortened, in quotes and without control characters, or `nothing`."""
    return repr(_decode(text)) if text else "nothing"


def count(values: list[bytes]) -> str:
    return f"{len(values)} value{'s' if len(values) > 1 else ''}"


def _decode(text: bytes) -> str:
    return text.decode("utf-8", errors="backslashreplace")
