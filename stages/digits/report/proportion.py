"""An accuracy as people read it, with its confidence interval."""

from scipy.stats import binomtest


def wilson_interval(count: int, images: int) -> tuple[float, float]:
    """The 95 % interval of the proportion count / images, from 0 to 1."""
    interval = binomtest(count, images).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def format_accuracy(errors: int, images: int) -> str:
    """`99.63 % (99.57 to 99.69)`: the accuracy, and its 95 % interval, which covers the choice of images.

    It doesn't cover the seed of the training, nor that the average of all members is a little better than one of them.
    """
    low, high = wilson_interval(images - errors, images)
    return f"{100 * (1 - errors / images):.2f} % ({100 * low:.2f} to {100 * high:.2f})"
