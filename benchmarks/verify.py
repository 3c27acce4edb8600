"""Prove that the committed outputs can be had again: run the pipeline from nothing and compare every output.

python -m benchmarks.verify

Runs in a new clone of what is committed, with an empty cache, and compares the hash of each output with dvc.lock.
Prints a table. If any differs, it says what made the committed ones, compares the accuracy, and exits with 1.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import yaml

from benchmarks.shared import harness

MACHINE = harness.RESULTS / "lock_machine.json"  # what made the committed outputs; no output depends on it
METRICS = Path("metrics/evaluate.json")
TOLERANCE = 0.005  # of the sample's accuracy, on another kind of CPU


def outputs(folder: Path) -> dict[str, str]:
    """The hash of each output in the dvc.lock of `folder`."""
    lock = yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))
    return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}


def compare(committed: dict[str, str], again: dict[str, str]) -> pd.DataFrame:
    """A row for each output: `output, committed, again, result`."""
    table = pd.DataFrame({"committed": committed, "again": again}).rename_axis("output").reset_index()
    table["result"] = (table["committed"] == table["again"]).map({True: "same", False: "different"})
    return table.fillna("missing")


def accuracy(folder: Path) -> float:
    return json.loads((folder / METRICS).read_text(encoding="utf-8"))["accuracy"]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clone = harness.bare_clone(Path(folder))
        committed, before = outputs(clone), accuracy(clone)
        subprocess.run(["dvc", "repro", "--force", "--no-run-cache"], cwd=clone, check=True)
        table, after = compare(committed, outputs(clone)), accuracy(clone)
    print(table.to_string(index=False))
    if (table["result"] == "same").all():
        print(f"all {len(table)} outputs are the committed ones, byte for byte")
        return
    print(f"the committed outputs were made by: {MACHINE.read_text(encoding='utf-8').strip()}")
    print(f"this machine: {json.dumps(harness.machine())}")
    verdict = "within" if abs(after - before) <= TOLERANCE else "beyond"
    print(f"accuracy {after:.5f}, committed {before:.5f}: {verdict} the tolerance of {TOLERANCE}")
    sys.exit(1)


if __name__ == "__main__":
    main()
