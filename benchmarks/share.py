"""Which share of the default profile's CPU time is not gradient steps: of the run that kaggle.json tells of.

python -m benchmarks.share data/digit-recognizer.zip

Times gradient steps alone, over and over on one batch, in a process for each core at once; writes share.json.
"""

import argparse
import json
import os
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.measured import HERE, machine
from stages.digits import dataset, kaggle, member, params
from stages.digits.backend import tf
from stages.digits.recipe import Recipe

CALLS = 40


def seconds_a_step(batch: tuple[np.ndarray, np.ndarray], recipe: Recipe) -> float:
    """CPU seconds of a gradient step on images (b, 28, 28) uint8 with labels (b, 10), compiled beforehand."""
    model = member.compiled(recipe, 0, member.STEPS_AT_ONCE)
    model.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors(batch).cache().repeat())
    model.train_function(batches)
    started = time.process_time()
    for _ in range(CALLS):
        model.train_function(batches)
    return (time.process_time() - started) / (CALLS * member.STEPS_AT_ONCE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("raw", type=Path, help="Kaggle's download")
    table = kaggle.read_labelled(parser.parse_args().raw)
    recipe = params.section("train", Recipe)
    batch = table.images[: recipe.batch_size], np.eye(10, dtype=np.float32)[table.labels[: recipe.batch_size]]
    cores = len(os.sched_getaffinity(0))
    with get_context("spawn").Pool(cores) as pool:
        seconds = float(np.mean(pool.starmap(seconds_a_step, [(batch, recipe)] * cores)))

    run = json.loads((HERE / "kaggle.json").read_text(encoding="utf-8"))["default"]
    labelled = dataset.Labelled(table.images, table.labels, dataset.dealt(table.labels, recipe.members, seed=1))
    steps = len(dataset.parts(labelled, 0, recipe.validation_fraction, seed=1).fitted) // recipe.batch_size
    steps -= steps % member.steps_at_once(steps)
    steps *= recipe.members * recipe.epochs
    gradient = seconds * steps / 60
    report = {
        "gradient_steps": steps,
        "milliseconds_a_step": round(1000 * seconds, 1),
        "gradient_cpu_minutes": round(gradient, 1),
        "all_cpu_minutes": run["cpu_minutes"],
        "share_of_the_rest": round(1 - gradient / run["cpu_minutes"], 3),
        **machine(),
    }
    (HERE / "share.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
