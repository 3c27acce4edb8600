"""Only data, code and params.yaml may change a result: a user's settings of the libraries are cleared before they load.

Import this before TensorFlow, Keras or Matplotlib: they read these variables once, when they are imported.
"""

import os

CLEARED = (  # prefixes
    "AUTOGRAPH_",
    "DNNL_",  # oneDNN's older name
    "KERAS_",  # backend, image layout, float type; KERAS_MAX_EPOCHS even shortens trainings
    "ONEDNN_",
    "TF2_",
    "TF_",  # TF_XLA_FLAGS compiles the graph, to different bits
    "XLA_",
)
SET = {
    "CUDA_VISIBLE_DEVICES": "-1",  # sums on a GPU are not repeatable
    "KERAS_BACKEND": "tensorflow",
    "KERAS_HOME": os.devnull,  # holds no keras.json, whose layout and float type would count
    "MPLBACKEND": "agg",  # notebooks set theirs for every child process, where it can't be imported
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # with AVX-512 a step takes 0.85 of the time, to different bits
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_ENABLE_ONEDNN_OPTS": "1",  # TensorFlow's default depends on the CPU; on AVX2 this trains 1.5 times as fast
}

for name in [name for name in os.environ if name.startswith(CLEARED)]:
    del os.environ[name]
os.environ.update(SET)
