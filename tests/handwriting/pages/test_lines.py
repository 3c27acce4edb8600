"""What lines are found by."""

import numpy as np
import pytest

from handwriting.pages import lines


@pytest.mark.parametrize("width", [1, 2, 70, 101])
@pytest.mark.parametrize("fraction", [0, 0.12, 0.5, 1])
def test_quantiles_are_those_of_numpy(width, fraction):
    rows = np.random.default_rng(width).normal(size=(50, width)).astype(np.float32)
    np.testing.assert_allclose(lines.quantiles(rows, fraction), np.quantile(rows, fraction, axis=1), atol=1e-6)
