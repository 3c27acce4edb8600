"""An accuracy as people read it, with its confidence interval."""

from scipy.stats import binomtest


def format_accuracy(errors: int, images: int) -> str:
    """`99.63 % (99.57 to 99.69)`: the accuracy, and its 95 % Wilson interval, which covers the choice of images.

    It doesn't cover the seed of the training, nor that the average of all members is a little better than one of them.
    """
    interval = binomtest(images - errors, images).proportion_ci(method="wilson")
    return f"{100 * (1 - errors / images):.2f} % ({100 * interval.low:.2f} to {100 * interval.high:.2f})"
