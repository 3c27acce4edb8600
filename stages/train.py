"""Train the members, each on the images outside its fold, and save them as plain Keras models."""

import shutil
import time
from pathlib import Path

import pandas as pd

from stages.digits import cluster, dataset, errors, files, params
from stages.digits.recipe import EpochMetrics, Recipe, TrainedMember

LOCK = Path("data/.train.lock")  # a stage whose `dvc repro` was killed goes on, beside the next one
MIN_ACCURACY = 0.5  # of the validation images: chance gives 0.1, a member that learned anything far above 0.9


class Progress:
    """Prints a line after each epoch: how far training is, how good, how much longer."""

    def __init__(self, members: int, unfinished: int, epochs: int):
        self.members, self.epochs = members, epochs
        self.total = unfinished * epochs
        self.done = 0
        self.begun: set[int] = set()
        self.best = 0.0

    def __call__(self, row: EpochMetrics) -> None:
        if not self.done:
            self.started = time.monotonic()
        self.done += 1
        self.begun.add(row.member)
        self.best = max(self.best, row.validation_accuracy)
        print(
            f"{self.done:3}/{self.total}"
            f"  member {row.member + 1}/{self.members}  epoch {row.epoch:2}/{self.epochs}"
            f"  loss {row.train_loss:.4f}  accuracy {row.train_accuracy:.4f}"
            f"  validation loss {row.validation_loss:.4f}  accuracy {row.validation_accuracy:.4f}"
            f"  best {self.best:.4f}  {self._left()}",
            flush=True,
        )

    def _left(self) -> str:
        """Members that run in parallel end their first epochs together, so those measure nothing."""
        measured = self.done - len(self.begun)
        if not measured:
            return "estimating the time left"
        seconds = (time.monotonic() - self.started) / measured * (self.total - self.done)
        return f"at most {seconds / 60:.1f} min left"


def check_learned(members: list[TrainedMember]) -> None:
    """InputError names the first member whose kept epoch has a validation accuracy below MIN_ACCURACY."""
    for index, member in enumerate(members):
        accuracy = min(member.history, key=lambda row: row.validation_loss).validation_accuracy
        if accuracy < MIN_ACCURACY:
            raise errors.InputError(
                f"member {index} learned nothing: found validation accuracy {accuracy:.2f}, expected at least "
                f"{MIN_ACCURACY}; check the images and labels in train.csv, or raise train.epochs in params.yaml"
            )


def main() -> None:
    recipe = params.section("train", Recipe)
    labelled = dataset.load_labelled(dataset.LABELLED)
    with files.lock(LOCK, lambda: print("waiting for another training in this folder to end", flush=True)):
        unfinished = cluster.unfinished(labelled, recipe)
        if len(unfinished) < recipe.members:
            print(f"{recipe.members - len(unfinished)} of {recipe.members} members were finished by an earlier run")
        progress = Progress(recipe.members, len(unfinished), recipe.epochs)
        members = cluster.train_members(labelled, recipe, progress, print)
        check_learned(members)

        for index, member in enumerate(members):
            files.write_bytes(dataset.model_path(index), member.model)
        history = pd.DataFrame([row for member in members for row in member.history])
        files.write_text(dataset.MODELS / "history.csv", history.to_csv(index=False, lineterminator="\n"))
        shutil.rmtree(cluster.CACHE_DIR)  # only now: until here an interrupted run loses no finished member


if __name__ == "__main__":
    errors.run(main, "finished members are kept; run `dvc repro` to train the others")
