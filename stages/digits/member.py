"""Fit one member: a pure function of its inputs, in one thread."""

from collections.abc import Callable, Iterator

import numpy as np

from stages.digits import augmentation, dataset, network, slant
from stages.digits.backend import keras, tf
from stages.digits.recipe import Epoch, Member, Recipe

STEPS_AT_ONCE = 10  # between which TensorFlow doesn't return to Python; they share a learning rate


def fit(labelled: dataset.Labelled, number: int, recipe: Recipe, report: Callable[[Epoch], None]) -> Member:
    """Fit the member of that number, from 0, on what its fold leaves; `report` hears of each epoch as it ends.

    FloatingPointError where the loss stops being a number.
    """
    images, labels = labelled.images, np.eye(dataset.DIGITS, dtype=np.float32)[labelled.labels]
    part = dataset.parts(labelled, number, recipe.validation_fraction, recipe.seed)
    batch_size = min(recipe.batch_size, len(part.fitted))
    at_once = steps_at_once(len(part.fitted) // batch_size)
    rounds = len(part.fitted) // (batch_size * at_once)  # an epoch; the rows left over are others in each
    model = compiled(recipe, number, at_once)
    upright = np.asarray(slant.upright()(images[part.validation]))
    history = _History(number, report)
    model.fit(
        _stream(batches(images, labels, part.fitted, batch_size * at_once, recipe, number), batch_size),
        steps_per_epoch=rounds * at_once,
        epochs=recipe.epochs,
        validation_data=(upright, labels[part.validation]),
        validation_batch_size=network.IMAGES_AT_ONCE,
        callbacks=[
            history,
            _Rates(one_cycle(recipe, rounds * recipe.epochs)),
            keras.callbacks.EarlyStopping("val_loss", patience=recipe.patience, restore_best_weights=True),
        ],
        shuffle=False,  # `batches` owns the order
        verbose=0,
    )
    whole = keras.Sequential([network.ink(), slant.upright(), *model.layers], name=model.name)  # without optimizer
    return Member(network.packed(whole), history.epochs)


def steps_at_once(steps: int) -> int:
    """How many of an epoch's steps are made in one go: few in a short epoch, for a rate that still changes smoothly."""
    return max(1, min(STEPS_AT_ONCE, steps // 20))


def compiled(recipe: Recipe, number: int, at_once: int = 1) -> keras.Sequential:
    """A new network for member `number`, to be fitted with AdamW, so many steps at once."""
    seeds = iter(np.random.SeedSequence([recipe.seed, number]).generate_state(32).tolist())
    model = network.network(recipe.width, recipe.dropout_rate, seeds)
    model.compile(
        optimizer=keras.optimizers.AdamW(recipe.learning_rate, weight_decay=recipe.weight_decay),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
        steps_per_execution=at_once,
        jit_compile=False,  # on a CPU, XLA is several times slower
    )
    model.optimizer.build(model.trainable_variables)  # else the first step is traced twice
    return model


def one_cycle(recipe: Recipe, steps: int) -> np.ndarray:
    """A learning rate (steps,) for each: up to the peak in a straight line, then down to nothing by a cosine."""
    warmup = round(recipe.warmup_fraction * steps)
    up = np.linspace(1 / 25, 1, warmup, endpoint=False)
    down = (1 + np.cos(np.linspace(0, np.pi, steps - warmup))) / 2
    return recipe.learning_rate * np.concatenate([up, down])


def batches(
    images: np.ndarray, labels: np.ndarray, rows: np.ndarray, batch_size: int, recipe: Recipe, number: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every epoch's batches, one after another: images (b, 28, 28) uint8 as augmented, labels (b, 10) float32.

    Their digits are set upright. Order and augmentation come from (seed, number, epoch): other ones in each epoch, the
    same in each run.
    """
    leans = slant.leans(images)
    for epoch in range(recipe.epochs):
        random = np.random.default_rng([recipe.seed, number, epoch])
        order = random.permutation(rows)
        for step in range(len(rows) // batch_size):
            chosen = order[step * batch_size : (step + 1) * batch_size]
            moved = augmentation.augmented(
                images[chosen],
                leans[chosen],
                rotation=recipe.rotation,
                zoom=recipe.zoom,
                shift=recipe.shift,
                shear=recipe.shear,
                random=random,
            )
            yield moved, labels[chosen]


def _stream(pieces: Iterator[tuple[np.ndarray, np.ndarray]], batch_size: int) -> tf.data.Dataset:
    """The pieces, each of one batch or several, cut into batches by TensorFlow: it asks Python less often."""
    side = dataset.SIDE
    shapes = tf.TensorSpec((None, side, side), tf.uint8), tf.TensorSpec((None, dataset.DIGITS), tf.float32)
    return tf.data.Dataset.from_generator(lambda: pieces, output_signature=shapes).rebatch(
        batch_size, drop_remainder=True
    )


class _Rates(keras.callbacks.Callback):
    """Sets the learning rate before each call of TensorFlow; Keras compiles its own into the update of every weight."""

    def __init__(self, rates: np.ndarray):
        super().__init__()
        self.rates = iter(rates)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:  # noqa: ARG002 (Keras' signature)
        self.model.optimizer.learning_rate = next(self.rates)


class _History(keras.callbacks.Callback):
    """Keeps and reports the epochs."""

    def __init__(self, number: int, report: Callable[[Epoch], None]):
        super().__init__()
        self.number, self.report, self.epochs = number, report, []

    def on_epoch_end(self, epoch: int, logs: dict) -> None:
        if not np.isfinite([logs["loss"], logs["val_loss"]]).all():
            raise FloatingPointError(f"member {self.number}, epoch {epoch + 1}: the loss is {logs['loss']}")
        row = Epoch(self.number, epoch + 1, logs["loss"], logs["val_loss"], logs["accuracy"], logs["val_accuracy"])
        self.epochs.append(row)
        self.report(row)
