"""Keras on TensorFlow, on one thread of a CPU, without the start-up chatter: import both from here.

The number of threads and the kind of device change the order of sums, and so the bits of every result; they are the
same in every process that imports this. TensorFlow takes these settings only before it first runs, hence at import.
"""

import ctypes
import gc
import os
import sys

from stages.digits.base import environment

__all__ = ["environment", "keras", "tf"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h

# TensorFlow's C++ parts write straight to the descriptor that there is no GPU, before they read a log level.
_stderr = os.dup(2)
_null = os.open(os.devnull, os.O_WRONLY)
os.dup2(_null, 2)
_collects = gc.isenabled()
gc.disable()  # what an import makes stays: to look for garbage in it takes a fifth of the import's time
# Keras imports these, if it can, for wrappers and pictures that nothing here uses: a third of the import's time.
_needless = {"matplotlib", "sklearn"} - sys.modules.keys()
for _name in _needless:
    sys.modules[_name] = None  # type: ignore[assignment]  # such an import fails
try:
    import keras
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
finally:
    for _name in _needless:
        del sys.modules[_name]
    if _collects:
        gc.enable()
    gc.freeze()
    os.dup2(_stderr, 2)
    os.close(_null)
    os.close(_stderr)

tf.config.threading.set_inter_op_parallelism_threads(1)
tf.config.threading.set_intra_op_parallelism_threads(1)

# glibc gives large freed arrays back at once, and under Dask all that is freed. Asking for it again doubles the time
# of a training step, and adds a quarter to that of a page of handwriting. Each option is set to the most it takes.
if hasattr(_libc := ctypes.CDLL(None), "mallopt"):
    for _option, _most in {_M_TRIM_THRESHOLD: 2**31 - 1, _M_MMAP_THRESHOLD: 2**25}.items():
        _libc.mallopt(_option, _most)


def _batch_normalization(x, mean, variance, offset, scale, variance_epsilon, name=None):  # noqa: ARG001 (its signature)
    """`tf.nn.batch_normalization`, but with the reciprocal root in float64.

    In float32, TensorFlow takes it from a CPU instruction (`rsqrtps`) whose last bits are the maker's choice.
    """
    inverse = scale * tf.cast(tf.math.rsqrt(tf.cast(variance + variance_epsilon, "float64")), x.dtype)
    return x * inverse + (offset - mean * inverse)


tf.nn.batch_normalization = _batch_normalization  # Keras' layer calls it by this name

tf.get_logger().setLevel("ERROR")  # it warns of every new model that is asked to predict
