"""Why every CPU makes the same bytes: no operation whose last bits depend on the CPU leads to an output."""

import numpy as np
import pytest
from tensorflow.python.eager import context

from stages.digits.model import geometry
from stages.digits.model.backend import keras
from stages.digits.training import member

# TensorFlow computes these from the instructions rsqrtps and rcpps, whose last bits are the CPU maker's choice.
APPROXIMATE = {"Rsqrt", "RsqrtGrad", "Reciprocal", "ReciprocalGrad", "Inv", "InvGrad"}


def float32_approximations(graphs) -> set[str]:
    """The names of float32 operations of that family in graphs as TensorFlow's optimizer leaves them."""
    nodes = [
        node for graph in graphs for node in [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
    ]
    assert len(nodes) > 20, "the graphs were not recorded"
    return {f"{node.op} {node.name}" for node in nodes if node.op in APPROXIMATE and node.attr["T"].type == 1}


@pytest.fixture
def optimized_graphs():
    """Runs a function and returns the optimized graphs of the TensorFlow functions that it ran."""

    def record(run):
        context.enable_graph_collection()
        try:
            run()
            metadata = context.export_run_metadata()
        finally:
            context.disable_graph_collection()
        return [function.post_optimization_graph for function in metadata.function_graphs]

    return record


@pytest.mark.slow
def test_training_steps_hold_no_float32_reciprocal_or_root_whose_bits_depend_on_the_cpu(
    labelled, recipe, optimized_graphs
):
    graphs = optimized_graphs(lambda: member.fit(labelled, 0, recipe, lambda _: None))
    assert float32_approximations(graphs) == set()


def test_prediction_holds_no_float32_reciprocal_or_root_whose_bits_depend_on_the_cpu(
    labelled, recipe, optimized_graphs
):
    model = member.finished(member.compile_network(recipe, 0))
    graphs = optimized_graphs(lambda: model.predict(labelled.images, verbose=0))
    assert float32_approximations(graphs) == set()


@pytest.mark.slow
def test_a_finished_network_predicts_what_the_trained_one_does(labelled, recipe):
    trained = member.compile_network(recipe, 0)
    random = np.random.default_rng(0)
    for layer in trained.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 2, weight.shape) for weight in layer.get_weights()])
    deskewed = np.asarray(geometry.deskew_layer()(labelled.images))
    finished = member.finished(trained).predict(labelled.images, verbose=0)
    assert finished == pytest.approx(trained.predict(deskewed, verbose=0), abs=1e-5)
    assert not np.array_equal(finished[0], finished[1])


def test_cosine_and_sine_are_right_to_twelve_digits():
    angles = np.linspace(-np.pi, np.pi, 1001)
    cos, sin = geometry.cos_sin(angles)
    assert np.abs(cos - np.cos(angles)).max() < 1e-11
    assert np.abs(sin - np.sin(angles)).max() < 1e-11
