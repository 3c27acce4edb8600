"""Imported by `python stages/NAME.py` instead of the package `stages`, as this folder comes first on Python's path."""

import sys
from pathlib import Path

sys.exit(f"run the stage as a module, from the project's top folder: python -m stages.{Path(sys.argv[0]).stem}")
