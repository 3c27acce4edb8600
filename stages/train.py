"""Fit the members, each on what its fold leaves, and keep them as plain Keras models."""

import shutil
import time

import pandas as pd

from stages.digits import cluster, dataset, params
from stages.digits.recipe import Epoch, Recipe


class Progress:
    """Says after each epoch how far the training is."""

    def __init__(self, members: int, missing: int, epochs: int):
        self.members, self.epochs = members, epochs
        self.all = missing * epochs
        self.done = 0
        self.begun = set()
        self.best = 0.0

    def __call__(self, row: Epoch) -> None:
        if not self.done:
            self.started = time.monotonic()
        self.done += 1
        self.begun.add(row.member)
        self.best = max(self.best, row.validation_accuracy)
        print(
            f"{self.done:3}/{self.all}"
            f"  member {row.member + 1}/{self.members}  epoch {row.epoch:2}/{self.epochs}"
            f"  loss {row.train_loss:.4f}  accuracy {row.train_accuracy:.4f}"
            f"  validation loss {row.validation_loss:.4f}  accuracy {row.validation_accuracy:.4f}"
            f"  best {self.best:.4f}  {self._left()}",
            flush=True,
        )

    def _left(self) -> str:
        """The members that run side by side end their first epochs together: those measure nothing."""
        measured = self.done - len(self.begun)
        if not measured:
            return "estimating the time left"
        seconds = (time.monotonic() - self.started) / measured * (self.all - self.done)
        return f"at most {seconds / 60:.1f} min left"


def main() -> None:
    recipe = params.section("train", Recipe)
    labelled = dataset.load_labelled(dataset.LABELLED)
    missing = cluster.missing(labelled, recipe)
    if len(missing) < recipe.members:
        print(f"{recipe.members - len(missing)} of {recipe.members} members were finished before and are kept")
    members = cluster.fitted(labelled, recipe, Progress(recipe.members, len(missing), recipe.epochs), print)

    dataset.MODELS.mkdir(parents=True, exist_ok=True)
    for number, member in enumerate(members):
        dataset.model_path(number).write_bytes(member.model)
    history = pd.DataFrame([row for member in members for row in member.history])
    history.to_csv(dataset.MODELS / "history.csv", index=False, lineterminator="\n")
    shutil.rmtree(cluster.KEPT)  # only now: until here a stopped run loses no member


if __name__ == "__main__":
    main()
