"""Train the members, each on the images outside its fold, and save them as plain Keras models."""

import shutil

import pandas as pd

from stages.digits import cluster, dataset, errors, files, params, progress
from stages.digits.recipe import Recipe


def main() -> None:
    recipe = params.section("train", Recipe)
    labelled = dataset.load_labelled(dataset.LABELLED)
    unfinished = cluster.unfinished(labelled, recipe)
    if len(unfinished) < recipe.members:
        print(f"{recipe.members - len(unfinished)} of {recipe.members} members were finished by an earlier run")
    with progress.progress(recipe.members, len(unfinished), recipe.epochs) as report:
        members = cluster.train_members(labelled, recipe, report.on_epoch_end, report.log, report.on_member_end)

    for index, member in enumerate(members):
        files.write_bytes(dataset.model_path(index), member.model)
    history = pd.DataFrame([row for member in members for row in member.history])
    files.write_text(dataset.MODELS / "history.csv", history.to_csv(index=False, lineterminator="\n"))
    shutil.rmtree(cluster.CACHE_DIR)  # only now: until here an interrupted run loses no finished member


if __name__ == "__main__":
    errors.run(main, "finished members are kept; run `dvc repro` to train the others")
