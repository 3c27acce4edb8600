"""The pipeline's presets: the parameters that each changes in params.yaml, as `dvc exp run -S` takes them."""

PRESETS: dict[str, tuple[str, ...]] = {
    "quick": ("train.members=1", "train.width=48", "train.epochs=6", "train.learning_rate=0.008"),
    "default": (),
    "best": ("prepare.folds=40", "train.members=10"),
}
