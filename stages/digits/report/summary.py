"""What a finished run leaves, and what to do next: `make` prints it."""

import json
from pathlib import Path

from stages.digits.base import dataset, errors, params
from stages.digits.report import proportion

EVALUATED, PREPARED = Path("metrics/evaluate.json"), Path("metrics/prepare.json")
SUBMISSION = Path("data/submission.csv")
SAMPLE = Path("data/sample")


def lines(metrics: dict, members: int, predictions: int, raw: Path) -> list[str]:
    """At most 80 columns each; `metrics` are those of prepare and evaluate.

    `members` counts the models, `predictions` the rows of the submission.
    """
    wrong, evaluated, labelled = (metrics[name] for name in ("errors", "evaluated_images", "labelled_rows"))
    return [
        f"accuracy    {proportion.format_accuracy(wrong, evaluated)}: out of fold, with 95 % interval",
        f"errors      {wrong:,} in {evaluated:,} images",
        *(
            [f"            only these of {labelled:,} were held out; others may be harder or easier"]
            if evaluated < labelled
            else []
        ),
        *_own_lines(metrics),
        "pictures    plots/*.png, or all on one page beside the last commit: make plots",
        f"models      {dataset.MODELS}/*.keras: {members} network{'s' * (members != 1)}",
        f"submission  {SUBMISSION}: {predictions:,} digits",
        *(
            ['next        real data in place of this sample: "Kaggle\'s data" in README.md']
            if raw == SAMPLE
            else ["next        submit it:", f"kaggle competitions submit -c digit-recognizer -f {SUBMISSION} -m TEXT"]
        ),
    ]


def _own_lines(metrics: dict) -> list[str]:
    lines = []
    if "own_images" in metrics:
        known = "whose other digits were trained on"
        never_seen = "each held out whole from who predicts them"
        lines = [
            "your own    {own_errors:,} errors in {own_images:,} digits, {own_evaluation}:".format(**metrics),
            f"            {metrics['own_writers']:,} writer{'s' * (metrics['own_writers'] > 1)}, "
            f"{known if metrics['own_evaluation'] == 'writer-dependent' else never_seen}",
        ]
    if "print_images" in metrics:
        lines.append("print       {print_errors:,} errors in {print_images:,} digits".format(**metrics))
    return lines


def main() -> None:
    metrics = json.loads(PREPARED.read_text(encoding="utf-8")) | json.loads(EVALUATED.read_text(encoding="utf-8"))
    predictions = SUBMISSION.read_text(encoding="utf-8").count("\n") - 1
    print("\n".join(lines(metrics, len(dataset.model_paths()), predictions, params.raw())))


if __name__ == "__main__":
    errors.run(main)
