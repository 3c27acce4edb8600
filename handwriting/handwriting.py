"""Imported instead of the package `handwriting` by what runs inside its folder, which comes first on Python's path."""

import sys
from pathlib import Path

module = next((w for w in sys.orig_argv if w.startswith("handwriting.")), f"handwriting.{Path(sys.argv[0]).stem}")
sys.exit(f"run it as a module, from the project's top folder: python -m {module}")
