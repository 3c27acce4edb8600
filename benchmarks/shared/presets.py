"""The pipeline's presets: the parameters that each changes in params.yaml, as `dvc exp run -S` takes them."""

PRESETS: dict[str, tuple[str, ...]] = {
    "quick": ("prepare.folds=10", "train.members=1", "train.epochs=6"),
    "default": (),
    "best": ("train.epochs=24",),
}
