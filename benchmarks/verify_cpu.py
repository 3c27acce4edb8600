"""Show that other CPUs make the same bytes: train, evaluate and predict natively and under QEMU, and compare hashes.

python -m benchmarks.verify_cpu [--cpus EPYC-Milan Haswell Skylake-Client]

Needs qemu-x86_64 (Debian and Ubuntu: `apt install qemu-user`) and the sample (`make`); some minutes for each CPU. QEMU
answers an instruction such as `rsqrtps` in its own way, unlike AMD's and Intel's, so it also stands for CPUs unknown.
Writes results/verify_cpu.csv; exits with 1 if any hash differs.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys

import pandas as pd

from benchmarks.shared import harness

CPUS = ("EPYC-Milan", "Haswell", "Skylake-Client")
# QEMU 7.2 gets the AVX2 instructions of NumPy's sort wrong: 10 distinct numbers come out unsorted. So NumPy does
# without them there, which also compares its code for AVX2 with that for older CPUs.
EMULATED = {"NPY_DISABLE_CPU_FEATURES": "X86_V3"}
PROBE = [sys.executable, "-m", "benchmarks.shared.cpu_probe"]


def hashes(prefix: list[str]) -> dict[str, str]:
    """What the probe prints under the command `prefix`; the program ends with the probe's own error if it fails."""
    environment = os.environ | (EMULATED if prefix else {})
    done = subprocess.run(
        [*prefix, *PROBE], cwd=harness.ROOT, env=environment, capture_output=True, text=True, check=False
    )  # captured: QEMU warns of each feature that it doesn't emulate
    if done.returncode:
        sys.exit(f"{' '.join([*prefix, *PROBE])} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def compare(native: dict[str, str], emulated: dict[str, dict[str, str]]) -> pd.DataFrame:
    """A row for each result: its native hash, and for each CPU whether it is the `same` or `different`."""
    table = pd.DataFrame({"result": native.keys(), "native": native.values()})
    for cpu, values in emulated.items():
        table[cpu] = ["same" if values.get(name) == value else "different" for name, value in native.items()]
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--cpus", nargs="+", default=CPUS, help="models of `qemu-x86_64 -cpu help` with AVX2")
    cpus = parser.parse_args().cpus
    emulator = shutil.which("qemu-x86_64")
    if not emulator:
        sys.exit("qemu-x86_64: not found; on Debian or Ubuntu: apt install qemu-user")
    native, emulated = hashes([]), {}
    for cpu in cpus:
        print(f"running under {cpu}", flush=True)
        emulated[cpu] = hashes([emulator, "-cpu", cpu])
    table = compare(native, emulated)
    table.assign(**harness.machine()).to_csv(harness.RESULTS / "verify_cpu.csv", index=False, lineterminator="\n")
    print(table.to_string(index=False))
    equal = (table[list(cpus)] == "same").to_numpy()
    print(f"{equal.sum()} of {equal.size} hashes are equal to those of {harness.machine()['machine']}")
    sys.exit(not equal.all())


if __name__ == "__main__":
    main()
