"""How TensorFlow is set up in every process that imports it."""

import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a different C library keeps memory in its own way")
def test_memory_that_arrays_free_is_used_again():
    code = (
        "import resource; import numpy as np; from stages.digits.model import backend\n"
        "def faults():\n"
        "    for _ in range(10): np.ones((2000, 2000), np.float32)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "print(-faults() + faults())"
    )
    environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536"}  # as Dask starts its workers
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    pages_of_memory = 10 * 16_000_000 / resource.getpagesize()
    assert int(done.stdout) < pages_of_memory / 100
