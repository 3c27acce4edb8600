"""Train a baseline on Kaggle's files; write its submission and its learning curve.

python -m benchmarks.baselines.train textbook RAW OUT

Writes submission.csv and learning_curve.npz into the folder OUT. It shares no code with the pipeline but the reading
and writing of Kaggle's files: TensorFlow starts with all cores, all instructions of the CPU, and oneDNN.
"""

import argparse
import os
import time
from importlib import import_module
from pathlib import Path

import numpy as np

from benchmarks.baselines import BASELINES
from stages.digits.tables import kaggle

os.environ |= {
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_ENABLE_ONEDNN_OPTS": "1",  # TensorFlow's default depends on the CPU
    "CUDA_VISIBLE_DEVICES": "-1",  # the costs that are compared are a CPU's
}
import keras  # TensorFlow reads these settings when it is imported


class LearningCurve(keras.callbacks.Callback):
    """After each epoch, the digits that the model predicts of `images`, and the CPU seconds of its training so far."""

    def __init__(self, images: np.ndarray):
        super().__init__()
        self.images, self.predicted, self.cpu_seconds, self.eval_seconds = images, [], [], 0.0

    def on_epoch_end(self, epoch: int, logs: dict) -> None:  # noqa: ARG002 (Keras' signature)
        before = time.process_time()
        self.cpu_seconds.append(before - self.eval_seconds)
        self.predicted.append(predict(self.model, self.images))
        self.eval_seconds += time.process_time() - before


def predict(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Digits (m,) of images (m, 28, 28) uint8."""
    return model.predict(images, batch_size=500, verbose=0).argmax(axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("baseline", choices=BASELINES)
    parser.add_argument("raw", type=Path, help="a directory or .zip with train.csv and test.csv")
    parser.add_argument("out", type=Path, help="the folder for the results")
    arguments = parser.parse_args()
    labelled, unlabelled = kaggle.read_labelled(arguments.raw), kaggle.read_unlabelled(arguments.raw)
    keras.utils.set_random_seed(int(time.time()))  # a second run is another draw
    curve = LearningCurve(unlabelled.images)
    baseline = import_module(f"benchmarks.baselines.{arguments.baseline}")
    model = baseline.train(labelled.images, labelled.labels, curve)
    kaggle.write_submission(arguments.out / "submission.csv", predict(model, unlabelled.images))
    np.savez(
        arguments.out / "learning_curve.npz",
        cpu_seconds=curve.cpu_seconds,
        predicted=curve.predicted,
        eval_seconds=curve.eval_seconds,
        parameters=model.count_params(),
    )


if __name__ == "__main__":
    main()
