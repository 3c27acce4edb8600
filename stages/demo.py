"""`handwriting.demo` under its old name."""

import sys

sys.exit("moved: python -m handwriting.demo")
