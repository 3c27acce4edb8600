"""What a person does with the trained models: `python -m handwriting.NAME`. No stage of the pipeline imports it."""

import stages  # noqa: F401 (as before a stage: Ctrl-C, and a line where packages are missing)
