"""Train a rival of the pipeline on Kaggle's files and write its submission and how it came to it.

python -m benchmarks.rival textbook RAW OUT: `submission.csv` and `epochs.npz` in the folder OUT.
"""

import os
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np

from stages.digits import kaggle
from stages.digits.backend import keras, tf

# `backend` allows one core and the instructions that all CPUs have; a rival gets all that this one has.
tf.config.threading.set_intra_op_parallelism_threads(0)
tf.config.threading.set_inter_op_parallelism_threads(0)
del os.environ["ONEDNN_MAX_CPU_ISA"]


class Course(keras.callbacks.Callback):
    """What the model says of `images` after each epoch, and the CPU seconds until then without saying it."""

    def __init__(self, images: np.ndarray):
        super().__init__()
        self.images, self.predicted, self.cpu_seconds, self.saying = images, [], [], 0.0

    def on_epoch_end(self, epoch: int, logs: dict) -> None:  # noqa: ARG002 (Keras' signature)
        before = time.process_time()
        self.cpu_seconds.append(before - self.saying)
        self.predicted.append(predicted(self.model, self.images))
        self.saying += time.process_time() - before


def predicted(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return model.predict(images, batch_size=500, verbose=0).argmax(axis=1)


def main() -> None:
    name, raw, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    labelled, unlabelled = kaggle.read_labelled(raw), kaggle.read_unlabelled(raw)
    keras.utils.set_random_seed(int(time.time()))  # a repeat is another draw
    course = Course(unlabelled.images)
    model = import_module(f"benchmarks.{name}").train(labelled.images, labelled.labels, course)
    kaggle.write_submission(out / "submission.csv", predicted(model, unlabelled.images))
    np.savez(
        out / "epochs.npz",
        cpu_seconds=course.cpu_seconds,
        predicted=course.predicted,
        saying=course.saying,
        parameters=model.count_params(),
    )


if __name__ == "__main__":
    main()
