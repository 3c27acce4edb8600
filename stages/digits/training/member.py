"""Train one member: a pure function of its inputs, in one thread."""

from collections.abc import Callable, Iterator

import numpy as np

from stages.digits.base import dataset, splits
from stages.digits.base.dataset import Images, Rows
from stages.digits.model import geometry, network
from stages.digits.model.backend import keras, tf
from stages.digits.training.optimizer import Muon
from stages.digits.training.recipe import EpochMetrics, Recipe, TrainedMember

MAX_STEPS_PER_EXECUTION = 10  # TensorFlow makes them without returning to Python; they share a learning rate
VALIDATION_BATCH_SIZE = 500


def fit(
    labelled: dataset.Labelled, member: int, recipe: Recipe, on_epoch_end: Callable[[EpochMetrics], None]
) -> TrainedMember:
    """Train the member, counted from 0, on the images outside its fold; call `on_epoch_end` after each epoch.

    FloatingPointError if the loss is no longer finite.
    """
    images, labels = labelled.images, np.eye(dataset.DIGITS, dtype=np.float32)[labelled.labels]
    split = splits.split(labelled, member, recipe.validation_fraction, recipe.seed)
    batch_size = min(recipe.batch_size, len(split.train))
    at_once = steps_per_execution(len(split.train) // batch_size)
    executions_per_epoch = len(split.train) // (batch_size * at_once)  # leftover rows differ from epoch to epoch
    model = compile_network(recipe, member, at_once)
    deskewed = np.asarray(geometry.deskew_layer()(images[split.validation]))
    reporter = EpochReporter(member, on_epoch_end)
    model.fit(
        _tf_dataset(batches(images, labels, split.train, batch_size * at_once, recipe, member), batch_size),
        steps_per_epoch=executions_per_epoch * at_once,
        epochs=recipe.epochs,
        validation_data=(deskewed, labels[split.validation]),
        validation_batch_size=VALIDATION_BATCH_SIZE,
        callbacks=[
            reporter,
            _LearningRates(one_cycle(recipe, executions_per_epoch * recipe.epochs)),
            keras.callbacks.EarlyStopping("val_loss", patience=recipe.patience, restore_best_weights=True),
        ],
        shuffle=False,  # `batches` decides the order
        verbose=0,
    )
    return TrainedMember(network.serialize(finished(model)), reporter.epochs)


def finished(model: keras.Sequential) -> keras.Sequential:
    """The network for inference: raw images in, deskewed first, and batch norm frozen."""
    layers = map(network.freeze_batch_norm, model.layers)
    return keras.Sequential([network.input_layer(), geometry.deskew_layer(), *layers], name=model.name)


def steps_per_execution(steps: int) -> int:
    """How many steps TensorFlow runs per call: few in a short epoch, so that the learning rate changes smoothly."""
    return max(1, min(MAX_STEPS_PER_EXECUTION, steps // 20))


def compile_network(recipe: Recipe, member: int, steps_per_execution: int = 1) -> keras.Sequential:
    """A new network for the member, compiled with Muon."""
    seeds = iter(np.random.SeedSequence([recipe.seed, member]).generate_state(32).tolist())
    model = network.build(recipe.width, recipe.dropout_rate, seeds)
    model.compile(
        optimizer=Muon(recipe.learning_rate, recipe.weight_decay),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
        steps_per_execution=steps_per_execution,
        jit_compile=False,  # on a CPU, XLA is several times slower
    )
    model.optimizer.build(model.trainable_variables)
    blank = np.zeros((1, dataset.DIGITS), dtype=np.float32)
    model.compute_metrics(None, blank, blank)
    model.reset_metrics()  # now all variables exist; otherwise TensorFlow would trace the step a second time
    return model


def one_cycle(recipe: Recipe, steps: int) -> np.ndarray:
    """Learning rates (steps,): a linear warm-up to the peak, then a cosine down to zero."""
    warmup = round(recipe.warmup_fraction * steps)
    up = np.linspace(1 / 25, 1, warmup, endpoint=False)
    down = (1 + geometry.cos_sin(np.linspace(0, np.pi, steps - warmup))[0]) / 2
    return recipe.learning_rate * np.concatenate([up, down])


def batches(
    images: Images, labels: np.ndarray, rows: Rows, batch_size: int, recipe: Recipe, member: int
) -> Iterator[tuple[Images, np.ndarray]]:
    """The batches of all epochs: images (b, 28, 28) uint8, deskewed and augmented, and labels (b, 10) float32.

    Order and augmentation follow from (seed, member, epoch): they differ between epochs and repeat in each run.
    """
    skew = geometry.skew(images)
    for epoch in range(recipe.epochs):
        random = np.random.default_rng([recipe.seed, member, epoch])
        order = random.permutation(rows)
        for step in range(len(rows) // batch_size):
            batch = order[step * batch_size : (step + 1) * batch_size]
            augmented = geometry.random_affine(
                images[batch],
                skew[batch],
                rotation=recipe.rotation,
                zoom=recipe.zoom,
                shift=recipe.shift,
                shear=recipe.shear,
                random=random,
            )
            yield augmented, labels[batch]


def _tf_dataset(chunks: Iterator[tuple[Images, np.ndarray]], batch_size: int) -> tf.data.Dataset:
    """The chunks, each of one or several batches, cut into batches by TensorFlow, to call Python less often."""
    side = dataset.SIDE
    shapes = tf.TensorSpec((None, side, side), tf.uint8), tf.TensorSpec((None, dataset.DIGITS), tf.float32)
    return tf.data.Dataset.from_generator(lambda: chunks, output_signature=shapes).rebatch(
        batch_size, drop_remainder=True
    )


class _LearningRates(keras.callbacks.Callback):
    """Sets the learning rate before each execution; a Keras schedule would be compiled into every weight's update."""

    def __init__(self, rates: np.ndarray):
        super().__init__()
        self.rates = iter(rates)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:  # noqa: ARG002 (Keras' signature)
        self.model.optimizer.learning_rate = next(self.rates)


class EpochReporter(keras.callbacks.Callback):
    """Collects and reports the metrics of each epoch."""

    def __init__(self, member: int, report: Callable[[EpochMetrics], None]):
        super().__init__()
        self.member, self.report = member, report
        self.epochs: list[EpochMetrics] = []

    def on_epoch_end(self, epoch: int, logs: dict) -> None:
        if not np.isfinite([logs["loss"], logs["val_loss"]]).all():
            raise FloatingPointError(f"member {self.member}, epoch {epoch + 1}: the loss is {logs['loss']}")
        metrics = EpochMetrics(
            self.member,
            epoch + 1,
            logs["loss"],
            logs["val_loss"],
            logs["accuracy"],
            logs["val_accuracy"],
            float(self.model.optimizer.learning_rate),
        )
        self.epochs.append(metrics)
        self.report(metrics)
