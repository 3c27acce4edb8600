"""Train the members, each on the images outside its fold, and save them as plain Keras models."""

import shutil
from pathlib import Path

import pandas as pd

from stages.digits.base import dataset, errors, files, params
from stages.digits.training import cluster, member_cache, progress
from stages.digits.training.recipe import Recipe, TrainedMember

LOCK = Path("data/.train.lock")  # a stage whose `dvc repro` was killed goes on, beside the next one
MIN_ACCURACY = 0.25  # of the validation images: chance gives 0.1, a trained member far above 0.9


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
        unfinished = member_cache.unfinished(member_cache.keys(labelled, recipe))
        if len(unfinished) < recipe.members:
            print(f"{recipe.members - len(unfinished)} of {recipe.members} members were finished by an earlier run")
        with progress.progress(recipe.members, len(unfinished), recipe.epochs) as report:
            members = cluster.train_members(labelled, recipe, report.on_epoch_end, report.log, report.on_member_end)
        check_learned(members)

        for index, member in enumerate(members):
            files.write_bytes(dataset.model_path(index), member.model)
        history = pd.DataFrame([row for member in members for row in member.history])
        files.write_text(dataset.MODELS / "history.csv", history.to_csv(index=False, lineterminator="\n"))
        shutil.rmtree(member_cache.FOLDER)  # only now: until here an interrupted run loses no finished member


if __name__ == "__main__":
    errors.run(main, "finished members are kept; run `dvc repro` to train the others")
