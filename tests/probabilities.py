"""Made-up predictions and a made-up history of training."""

import numpy as np
import pandas as pd

from stages.digits.training.recipe import EpochMetrics

HISTORY = pd.DataFrame(
    [
        EpochMetrics(0, 1, 0.9, 0.8, 0.5, 0.6, 0.008),
        EpochMetrics(0, 2, 0.7, 0.4, 0.7, 0.9, 0.008),
        EpochMetrics(0, 3, 0.5, 0.6, 0.8, 0.8, 0.008),
        EpochMetrics(1, 1, 0.9, 0.3, 0.9, 0.7, 0.008),
    ]
)


def confident(predicted: list[int], confidence: list[float]) -> np.ndarray:
    """Probabilities (n, 10) that give `predicted` its confidence and spread the rest evenly."""
    probabilities = np.repeat((1 - np.array(confidence))[:, None] / 9, 10, axis=1)
    probabilities[np.arange(len(predicted)), predicted] = confidence
    return probabilities
