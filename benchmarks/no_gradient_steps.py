"""Train members without gradient steps: everything else is done, and known models come out. For overhead.py.

A Dask worker preload: `dask_setup` runs in each worker before its first member. The environment variable
FINISHED_MODELS names the folder with the models of a run with the same parameters.
"""

import os
from collections.abc import Callable
from pathlib import Path

import distributed

from stages.digits.training.recipe import TrainedMember

FINISHED_MODELS = "FINISHED_MODELS"


def dask_setup(worker: distributed.Worker) -> None:  # noqa: ARG001 (Dask's signature)
    skip_gradient_steps(Path(os.environ[FINISHED_MODELS]))


def skip_gradient_steps(models: Path) -> Callable[[], None]:
    """From now on, batches are drawn for nothing and a member's model comes from `models`; the result undoes that.

    The first execution of a member does make its steps, since every run compiles them once.
    """
    from stages.digits.base import dataset
    from stages.digits.model.backend import keras, tf
    from stages.digits.training import member

    compile_network, finished, fit = member.compile_network, member.finished, member.fit

    def compile_without_steps(recipe, index: int, steps_per_execution: int = 1) -> keras.Sequential:
        model = compile_network(recipe, index, steps_per_execution)
        model.make_train_function()
        execute, logs = model.train_function, {}

        @tf.function
        def draw(iterator: tf.data.Iterator) -> None:
            for _ in tf.range(steps_per_execution):
                next(iterator)

        def train_function(iterator: tf.data.Iterator) -> dict:
            if logs:
                draw(iterator)
            else:
                logs.update(execute(iterator))
            return logs

        model.train_function = train_function
        member.finished = lambda _: keras.models.load_model(models / dataset.model_path(index).name)
        return model

    def fit_without_steps(*arguments) -> TrainedMember:
        """`train` stops if a member learned nothing, as the network here did: its history says otherwise."""
        trained = fit(*arguments)
        return trained._replace(history=[row._replace(validation_accuracy=1.0) for row in trained.history])

    def undo() -> None:
        member.compile_network, member.finished, member.fit = compile_network, finished, fit

    member.compile_network, member.fit = compile_without_steps, fit_without_steps
    return undo
