"""Networks that the pipeline is compared with."""

BASELINES = ("textbook", "deotte")
