"""What was read on a page, beside what stands there: how many digits are wrong, and how many of these are sure."""

from collections import Counter, defaultdict
from difflib import SequenceMatcher

from benchmarks.drawn.papers import Answer

Place = tuple[int, int, int]  # table, row and column, from 0
Cell = tuple[str, bool]  # digits, and whether they are unsure


def judge(answer: Answer, cells: dict[Place, Cell]) -> Counter:
    """How many digits there are, wrong, sure and wrong, or unsure; and numbers, and how many of them stand apart.

    A digit is right in its cell or in its line; one too many is wrong.
    """
    total: Counter = Counter()
    for text, found in _pairs(answer, cells):
        digits = [(digit, unsure) for cell, unsure in found for digit in cell]
        read, wrong = "".join(digit for digit, _ in digits), 0
        for change, low, high, first, end in SequenceMatcher(None, text or "", read, autojunk=False).get_opcodes():
            if change != "equal":
                wrong += max(high - low, end - first)
                total["sure_and_wrong"] += sum(not unsure for _, unsure in digits[first:end])
        total["digits"] += len(text or "")
        total["unsure"] += sum(unsure for _, unsure in digits)
        total["wrong"] += 0 if text is None else min(wrong, max(1, len(text)))
    for numbers, found in zip(answer.get("numbers", []), _rows(cells), strict=False):
        total["numbers"] += len(numbers)
        total["numbers_apart"] += len(_spans(numbers) & _spans([text for text, _ in found]))
    return total


def _pairs(answer: Answer, cells: dict[Place, Cell]) -> list[tuple[str | None, list[Cell]]]:
    """What stands at a place, or None where nothing can be wrong but what is sure; and what was found there."""
    if "present" in answer:
        left, pairs = list(answer["present"]), []
        for cell in cells.values():
            is_there = cell[0] in left
            pairs.append((left.pop(left.index(cell[0])) if is_there else None, [cell]))
        return pairs + [(text, []) for text in left]
    rows = _rows(cells)
    if "lines" in answer or "numbers" in answer:
        lines = ["".join(line) for line in answer.get("lines", answer.get("numbers"))]
        if len(lines) == len(rows):
            return list(zip(lines, rows, strict=True))
        return [("".join(lines), [cell for row in rows for cell in row])]
    if "rows" in answer:
        ranks = {row: rank for rank, row in enumerate(sorted({place[:2] for place in cells}))}
        cells = {(0, ranks[place[:2]], place[2]): cell for place, cell in cells.items()}
    tables = answer.get("tables", [answer.get("cells", answer.get("rows"))])
    texts = {
        (number, row, column): text
        for number, table in enumerate(tables)
        for row, line in enumerate(table)
        for column, text in enumerate(line)
    }
    return [(texts.get(place), [cells.get(place, ("", False))]) for place in texts | cells]


def _rows(cells: dict[Place, Cell]) -> list[list[Cell]]:
    """The rows that aren't blank, from top to bottom."""
    rows = defaultdict(list)
    for place, cell in sorted(cells.items()):
        if cell[0]:
            rows[place[:2]].append(cell)
    return list(rows.values())


def _spans(numbers: list[str]) -> set[tuple[int, int]]:
    """Where each number of a line begins and ends, in digits."""
    ends = [len("".join(numbers[: place + 1])) for place in range(len(numbers))]
    return {(end - len(number), end) for number, end in zip(numbers, ends, strict=True)}
