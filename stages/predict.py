"""`handwriting.predict` under its old name."""

import sys

sys.exit("moved: python -m handwriting.predict")
