"""What `python stages/NAME.py` imports in place of the package `stages`, since it puts this folder on Python's path."""

import sys
from pathlib import Path

sys.exit(f"run it as a module, from the project's top folder: python -m stages.{Path(sys.argv[0]).stem}")
