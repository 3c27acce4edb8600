"""Drawings whose right digit somebody clicked: each becomes a file among one's own digits, until it is undone."""

import threading
from pathlib import Path

import numpy as np

from stages.digits.base.dataset import DIGITS, SIDE
from stages.digits.tables import own

MAX_DRAWINGS = 1000  # files in the folder: more were not drawn by hand
PREFIX = "drawing-"  # of their names
NO_CELL = np.zeros((1, 2), dtype=np.int64)


class Corrections:
    """The drawings in a folder of one's own digits; several threads may add and undo."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.lock = threading.Lock()
        self.added: list[Path] = []  # since the start: only these can be undone

    def add(self, pixels: bytes, label: int) -> dict:
        """Store an image of 28 × 28 bytes, ink 0–255, once; returns the state, or a `problem`."""
        if len(pixels) != SIDE**2 or not any(pixels) or label not in range(DIGITS):
            return {"problem": "no digit was sent"}
        images = np.frombuffer(pixels, dtype=np.uint8).reshape(1, SIDE, SIDE)
        labels = np.array([label], dtype=np.uint8)
        path = self.folder / f"{PREFIX}{own.page_hash(images, labels, NO_CELL)}.csv"
        with self.lock:
            if self._count() >= MAX_DRAWINGS:
                return {"problem": f"{self.folder} holds {MAX_DRAWINGS:,} drawings: no more are added here"}
            if not path.exists():
                try:
                    own.write(path, images, labels, NO_CELL)
                except OSError as error:
                    return {"problem": f"not stored: {error.strerror}"}
                self.added.append(path)
            return self._state()

    def undo(self) -> dict:
        """Remove the drawing that was added last."""
        with self.lock:
            if self.added:
                self.added.pop().unlink(missing_ok=True)
            return self._state()

    def state(self) -> dict:
        """`count` of the drawings in the folder, and how many an `undo` can remove."""
        with self.lock:
            return self._state()

    def _state(self) -> dict:
        return {"count": self._count(), "undo": len(self.added)}

    def _count(self) -> int:
        return len(list(self.folder.glob(f"{PREFIX}*.csv")))
