"""Imported instead of the package `stages` by what runs inside its folder, which comes first on Python's path."""

import sys
from pathlib import Path

module = next((word for word in sys.orig_argv if word.startswith("stages.")), f"stages.{Path(sys.argv[0]).stem}")
sys.exit(f"run the stage as a module, from the project's top folder: python -m {module}")
