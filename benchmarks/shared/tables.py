"""The README's figures as Markdown, from the committed results; `make readme` writes them there."""

import pandas as pd

from benchmarks.shared import harness
from benchmarks.shared.presets import PRESETS
from stages.digits.report.proportion import wilson_interval

KAGGLE_ROWS = 42_000  # labelled digits: all three thirds
THIRDS = 3
MAY_BE_EMPTY = ("members", "out_of_fold_errors", "evaluated_images")  # columns of numbers
MIN_CONFUSIONS = 3  # of two digits, for a row of their own


def results(name: str) -> pd.DataFrame:
    return pd.read_csv(
        harness.RESULTS / f"{name}.csv", keep_default_na=False, na_values={column: [""] for column in MAY_BE_EMPTY}
    )


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A table; all columns but the first are aligned to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def common_thirds(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs on the thirds that every model has run."""
    models = runs.groupby("third")["model"].transform("nunique")
    return runs[models == runs["model"].nunique()]


def complete(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of the models and seeds that have run all thirds."""
    return runs[runs.groupby(["model", "seed"])["images"].transform("sum") == KAGGLE_ROWS]


def on_main_machine(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs on the machine that made the most of them: costs compare only on one machine."""
    return runs[runs["machine"] == runs["machine"].mode()[0]]


def comparison(runs: pd.DataFrame | None = None) -> str:
    """Errors on all thirds together, mean and range over the seeds, and the least cost of a run, for each model.

    Costs are those of its runs on the main machine, if it has any.
    """
    runs = complete(results("compare") if runs is None else runs)
    on_main, rows = on_main_machine(runs), []
    for model, own in runs.groupby("model"):
        errors = own.groupby("seed")["errors"].sum()
        here = on_main[on_main["model"] == model]
        least = (own if here.empty else here)[["cpu_seconds", "peak_mib", "parameters"]].min()
        cells = [
            f"**{model}**" if model in PRESETS else f"{model} (baseline)",
            _with_range(errors),
            str(len(errors)),
            f"{100 * errors.mean() / KAGGLE_ROWS:.2f} %",
            f"{least['cpu_seconds'] / 60:.1f}",
            f"{least['peak_mib']:,.0f}",
            f"{least['parameters']:,.0f}",
        ]
        rows.append((errors.mean(), cells))
    header = ["preset or baseline", "errors of 42,000", "seeds", "error rate", "CPU min", "memory (MiB)", "parameters"]
    return markdown(header, [cells for _, cells in sorted(rows)])


def ratios(runs: pd.DataFrame | None = None, curves: pd.DataFrame | None = None) -> str:
    """For each baseline: the CPU time after which it makes no more errors than at its end; the cheapest preset's.

    Both on the main machine and on the same thirds.
    """
    runs = on_main_machine(complete(results("compare") if runs is None else runs))
    curves = results("learning_curves") if curves is None else curves
    rows = []
    for model, epochs in curves.groupby("model"):
        own = runs[runs["model"] == model]
        errors = own["errors"].mean()
        same = runs[runs["model"].isin(PRESETS) & runs["third"].isin(own["third"])]
        presets = same.groupby("model")[["errors", "cpu_seconds"]].mean()
        able = presets[presets["errors"] <= errors]
        if len(able):
            epochs = epochs[epochs["third"].isin(own["third"])]
            means = epochs.groupby("epoch")[["errors", "cpu_seconds"]].mean()
            reached = means.loc[means["errors"] <= errors, "cpu_seconds"].iloc[0]
            name, ours = able["cpu_seconds"].idxmin(), able["cpu_seconds"].min()
            cells = [
                str(model),
                f"{own['errors'].sum()} of {own['images'].sum():,}",
                f"{reached:,.0f}",
                f"{name}: {ours:,.0f}",
                f"{reached / ours:.0f}",
            ]
            rows.append(cells)
    return markdown(["baseline", "its errors", "its CPU s", "cheapest preset: CPU s", "ratio"], rows)


def comparison_machines(runs: pd.DataFrame | None = None) -> str:
    """How many runs of which models of the comparison each machine made; the main machine first."""
    runs = complete(results("compare") if runs is None else runs)
    lines = []
    for machine in runs["machine"].value_counts().index:
        own = runs[runs["machine"] == machine]
        counts = ", ".join(f"{model} ({count})" for model, count in own["model"].value_counts(sort=False).items())
        lines.append(f"- {counts}: {machine}, TensorFlow {', '.join(own['tensorflow'].unique())}")
    return "\n".join(lines)


def accuracy(evaluated: pd.DataFrame | None = None, by_thirds: pd.DataFrame | None = None) -> str:
    """Errors of all 42,000 labelled images, with the 95 % interval of the rate, and the least cost of a run.

    A preset that evaluates every image counts its own out-of-fold errors, any other model those by thirds.
    """
    evaluated = results("accuracy") if evaluated is None else evaluated
    evaluated = evaluated[evaluated["evaluated_images"] == KAGGLE_ROWS]
    by_thirds = complete(results("compare") if by_thirds is None else by_thirds)
    by_thirds = by_thirds[~by_thirds["model"].isin(evaluated["preset"])]
    on_main, rows = on_main_machine(by_thirds), []
    for preset, own in evaluated.groupby("preset"):
        cost = own["cpu_minutes"].min(), own["wall_minutes"].min(), own["peak_mib"].min()
        rows.append(_accuracy_row(f"**{preset}**", own["errors"], *cost))
    for model, own in by_thirds.groupby("model"):
        name = f"**{model}**" if model in PRESETS else f"{model} (baseline)"
        here = on_main[on_main["model"] == model]
        least = (own if here.empty else here)[["cpu_seconds", "wall_seconds", "peak_mib"]].min()
        cost = least["cpu_seconds"] / 60, least["wall_seconds"] / 60, least["peak_mib"]
        rows.append(_accuracy_row(f"{name}, by thirds", own.groupby("seed")["errors"].sum(), *cost))
    header = [
        "preset or baseline",
        "errors of 42,000",
        "seeds",
        "error rate (95 % interval)",
        "CPU min",
        "min",
        "memory (MiB)",
    ]
    return markdown(header, [cells for _, cells in sorted(rows)])


def _accuracy_row(
    name: str, errors: pd.Series, cpu_minutes: float, minutes: float, mib: float
) -> tuple[float, list[str]]:
    """The mean number of errors, to sort by, and the cells; `errors` (n,) are those of each seed."""
    mean = errors.mean()
    low, high = wilson_interval(round(mean), KAGGLE_ROWS)
    cells = [
        name,
        _with_range(errors),
        str(len(errors)),
        f"{100 * mean / KAGGLE_ROWS:.2f} % ({100 * low:.2f} to {100 * high:.2f})",
        f"{cpu_minutes:.1f}",
        f"{minutes:.1f}",
        f"{mib:,.0f}",
    ]
    return mean, cells


def _with_range(errors: pd.Series) -> str:
    return f"{errors.mean():.0f}" + (f" ({errors.min()} to {errors.max()})" if len(errors) > 1 else "")


def calibrated_accuracy(runs: pd.DataFrame | None = None) -> str:
    """What presets that evaluate every image said of themselves, and what they did on images that they never saw."""
    runs = complete(results("compare") if runs is None else runs)
    rows = []
    for (preset, seed), own in runs[runs["evaluated_images"] + runs["images"] == KAGGLE_ROWS].groupby(
        ["model", "seed"]
    ):
        predicted, actual = own["out_of_fold_errors"].sum(), own["errors"].sum()
        evaluated, unseen = own["evaluated_images"].sum(), own["images"].sum()
        low, high = wilson_interval(round(predicted / (THIRDS - 1)), unseen)  # each image counts in two of the runs
        rows.append(
            [
                f"**{preset}**",
                str(seed),
                f"{100 * predicted / evaluated:.2f} % ({100 * low:.2f} to {100 * high:.2f})",
                f"{100 * actual / unseen:.2f} %",
                f"{predicted:.0f} of {evaluated:,.0f}",
                f"{actual} of {unseen:,}",
            ]
        )
    header = [
        "preset",
        "seed",
        "reported error rate (95 % interval)",
        "error rate on unseen digits",
        "errors",
        "errors on unseen digits",
    ]
    return markdown(header, rows)


def machine() -> str:
    """Where the figures of `accuracy` come from."""
    runs = results("accuracy")
    runs = runs[runs["preset"].isin(PRESETS)]
    machines, versions = " and ".join(runs["machine"].unique()), " and ".join(runs["tensorflow"].unique())
    return f"On {machines}, with TensorFlow {versions}."


def confusions(pairs: pd.DataFrame | None = None) -> str:
    """Which two digits the preset default confuses, either way, the most frequent first."""
    pairs = results("kaggle/confusion_matrix") if pairs is None else pairs
    errors = pairs[pairs["actual"] != pairs["predicted"]]
    both = errors.groupby([errors[["actual", "predicted"]].min(axis=1), errors[["actual", "predicted"]].max(axis=1)])
    counts = both["images"].sum().sort_values(ascending=False, kind="stable")
    rows = [[f"{a} and {b}", str(count)] for (a, b), count in counts[counts >= MIN_CONFUSIONS].items()]
    rest = counts[counts < MIN_CONFUSIONS].sum()
    return markdown(
        [f"confused digits, in {pairs['images'].sum():,} images", "errors"],
        [*rows, ["all other pairs", str(rest)], ["**all**", f"**{counts.sum()}**"]],
    )


def probabilities() -> str:
    """How good each preset's probabilities are, and what a member is worth alone: means over its runs."""
    runs = results("accuracy")
    names = ["log_loss", "expected_calibration_error", "macro_f1", "member_accuracy_mean"]
    means = runs[runs["preset"].isin(PRESETS)].groupby("preset")[names].mean()
    rows = [
        [f"**{row.Index}**", f"{row.log_loss:.4f}", f"{row.expected_calibration_error:.4f}", f"{row.macro_f1:.4f}",
         f"{100 * row.member_accuracy_mean:.2f} %"]
        for row in means.itertuples()
    ]  # fmt: skip
    return markdown(
        ["preset", "log loss", "expected calibration error", "macro F1", "accuracy of a member alone"], rows
    )


def handwriting() -> str:
    """Errors on handwriting that isn't MNIST, only resized and brought to MNIST's form."""
    table = results("handwriting")
    names = {"scans": "scikit-learn's scans", "strokes": "synthetic strokes, unevenly lit, with noise"}
    forms = {"resized": "only resized", "normalised": "by `predict`"}
    rows = [
        [names[row.handwriting], forms[row.form], f"{row.images:,}", f"{100 * row.error_rate:.1f} %",
         f"{100 * row.unsure:.1f} %", f"{100 * row.error_rate_if_sure:.1f} %"]
        for row in table.itertuples()
    ]  # fmt: skip
    return markdown(["pictures", "normalisation", "images", "error rate", "unsure", "error rate of the rest"], rows)


def forms(table: pd.DataFrame | None = None) -> str:
    """How many cells of drawn forms are found, and how many of these are read wrong."""
    table = results("forms") if table is None else table
    names = {"scans": "scanned forms", "photos": "photographed newspaper grids"}
    rows = [
        [names[row.forms], str(row.pictures), f"{row.cells:,}", f"{100 * row.found / row.cells:.1f} %",
         f"{100 * row.wrong / row.found:.1f} %", str(row.wrong_but_sure)]
        for row in table.itertuples()
    ]  # fmt: skip
    header = ["pictures", "number", "cells", "cells found", "of these, wrong", "wrong but not marked unsure"]
    return markdown(header, rows)


def papers(table: pd.DataFrame | None = None) -> str:
    """How many digits are read wrong on each paper, and how many of these are sure."""
    table = results("papers") if table is None else table
    rows = [
        [row.kind, f"{row.digits:,}", f"{100 * row.wrong / row.digits:.1f} %",
         f"{100 * row.sure_and_wrong / row.digits:.1f} %", f"{100 * row.unsure / row.digits:.1f} %",
         f"{row.cpu_seconds_per_page:.1f}"]
        for row in table[~table["is_odd"]].itertuples()
    ]  # fmt: skip
    return markdown(["paper", "digits", "wrong", "sure and wrong", "unsure", "CPU s a page"], rows)


def odd_pages(table: pd.DataFrame | None = None) -> str:
    """How many digits are sure and wrong on pages that look like digits, or whose digits are hard to place."""
    table = results("papers") if table is None else table
    rows = [
        [row.kind, str(row.pages), f"{row.digits:,}", str(row.wrong), str(row.sure_and_wrong)]
        for row in table[table["is_odd"]].itertuples()
    ]
    return markdown(["page", "pages", "digits", "wrong or missing", "sure and wrong"], rows)


def pages(table: pd.DataFrame | None = None) -> str:
    """How fast a pile of pages is read, by the number of cores, beside one."""
    table = results("pages") if table is None else table
    first = table.iloc[0]
    rows = [
        [str(row.cores), f"{row.pages_per_minute:.0f}", f"{row.pages_per_minute_once_started:.0f}",
         f"{row.pages_per_minute_once_started / first['pages_per_minute_once_started']:.2f}",
         f"{row.cpu_seconds_per_page:.2f}", f"{row.peak_mib:,}"]
        for row in table.itertuples()
    ]  # fmt: skip
    header = ["cores", "pages a minute", "once started", "speed-up", "CPU s a page", "memory (MiB, all processes)"]
    return markdown(header, rows)


def page_steps() -> str:
    """Where the time of a page goes."""
    rows = [[row.step, f"{row.cpu_seconds_per_page:.2f}"] for row in results("page_steps").itertuples()]
    return markdown(["step", "CPU s a page"], rows)


def own_digits(table: pd.DataFrame | None = None) -> str:
    """Errors on the hand that was kept for testing, by how many of its digits were trained on."""
    table = results("own_digits") if table is None else table
    rows = [
        [str(row.own_digits), f"{row.own_errors} of {row.own_images:,}",
         f"{100 * row.own_errors / row.own_images:.1f} %", f"{row.kaggle_errors} of {row.kaggle_images:,}"]
        for row in table[table["hand"] == "kept"].sort_values("own_digits").itertuples()
    ]  # fmt: skip
    return markdown(["own digits trained on", "errors on new forms", "error rate", "errors on Kaggle's digits"], rows)


def writers(table: pd.DataFrame | None = None) -> str:
    """Errors on hands that were never seen: what was printed for the others, out of fold, and what happened."""
    table = results("writers") if table is None else table
    learned = table[table["own_weight"] > 0]
    rows = [[str(row.seed), *_printed_and_actual(row)] for row in learned.itertuples()]
    rows.append(["all", *_printed_and_actual(learned.sum(numeric_only=True))])
    return markdown(["seed", "reported, other writers", "reported error rate", "unseen writers", "error rate"], rows)


def _printed_and_actual(row: pd.Series) -> list[str]:
    return [
        f"{row.printed_errors:.0f} of {row.printed_images:,.0f}",
        f"{100 * row.printed_errors / row.printed_images:.2f} %",
        f"{row.errors:.0f} of {row.images:,.0f}",
        f"{100 * row.errors / row.images:.2f} %",
    ]


def writers_sure() -> str:
    """How sure the wrong and right predictions of hands that were never seen are, with and without other hands."""
    names = {0: "Kaggle's alone", 1: "with other hands and print"}
    rows = [
        [names[weight], f"{one.read_errors} of {one.images:,}", f"{100 * one.read_errors / one.images:.2f} %",
         str(one.sure_errors), f"{100 * one.sure_errors / one.images:.2f} %",
         f"{100 * one.unsure_right / (one.images - one.read_errors):.1f} %"]
        for weight, one in results("writers").groupby("own_weight").sum(numeric_only=True).iterrows()
        for one in [one.astype(int)]
    ]  # fmt: skip
    header = ["trained on", "errors", "error rate", "of these sure", "sure and wrong", "right but unsure"]
    return markdown(header, rows)


def data_scaling() -> str:
    """Time and memory with a train.csv up to ten times as long as Kaggle's."""
    table = results("data_scaling")
    rows = []
    for (stage, count, members), runs in table.groupby(["stage", "rows", "members"], dropna=False):
        what = stage if pd.isna(members) else f"{stage}, {members:.0f} small members"
        low, high = runs["peak_mib"].min(), runs["peak_mib"].max()
        memory = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        rows.append([what, f"{count:,}", f"{runs['cpu_seconds'].mean():.0f}", memory, str(len(runs))])
    return markdown(["stage", "rows of train.csv", "CPU s", "memory (MiB)", "runs"], rows)


def cpus() -> str:
    """On which CPUs training, evaluation and prediction made the same hashes as natively."""
    table = results("verify_cpu")
    machine = table["machine"].iloc[0]
    emulated = table.columns.drop(["result", "native", "machine", "tensorflow"])
    rows = [[f"{cpu}, emulated by QEMU", f"{(table[cpu] == 'same').sum()} of {len(table)}"] for cpu in emulated]
    return markdown(["CPU", "equal hashes"], [[f"{machine}, native", "reference"], *rows])


def kills(moments: pd.DataFrame | None = None) -> str:
    """What was killed at random moments, and what the next `dvc repro` made of it."""
    moments = results("kill") if moments is None else moments
    counts = moments.groupby("target", sort=False).agg(
        moments=("moment", "size"), half_written=("half_written", "sum"), same=("same_bytes", "sum")
    )
    header = ["killed", "moments", "half-written outputs", "the next run completed with the same bytes"]
    return markdown(header, [[str(cell) for cell in row] for row in counts.itertuples()])
