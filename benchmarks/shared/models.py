"""Models that never were files."""

import tempfile

from stages.digits.model.backend import keras


def load(model: bytes) -> keras.Model:
    """The network of a .keras file's bytes."""
    with tempfile.NamedTemporaryFile(suffix=".keras") as file:
        file.write(model)
        file.flush()
        return keras.models.load_model(file.name, safe_mode=True)
