"""What a person does with the trained models: `python -m handwriting.NAME`. No stage of the pipeline imports it."""
