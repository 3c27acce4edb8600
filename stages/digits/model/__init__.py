"""Keras on one thread of a CPU, the network, and the geometry of its input."""
