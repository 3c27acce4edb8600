"""Straight rulings of a picture -> the perspective under which they run along its rows and columns."""

import cv2
import numpy as np
import numpy.typing as npt

from handwriting.pages.picture import Picture

SHORTEST = 0.02  # of the picture's longer side: shorter segments are strokes and letters
NEAR_DEGREES = 20  # of a family's direction
TOLERANCES_DEGREES = (6, 3, 1.5, 0.7, 0.7, 0.7)  # at which a segment's weight is half, one a step
STIFFNESS = 0.02  # of the weight of all segments: how strongly a family's lines are held parallel
MAX_STRETCH = 1.6  # of a side, by the perspective

Matrix = npt.NDArray[np.float64]  # (3, 3), pixels (x, y, 1) to pixels
Segments = npt.NDArray[np.float64]  # (n, 4): x, y of both ends


def find(segments: Segments, shape: tuple[int, ...]) -> tuple[Matrix, tuple[int, int]]:
    """The perspective that sets a picture's rulings straight, and the width and height of what it leads to."""
    height, width = shape
    scale = max(height, width)
    segments = (segments - np.array([width, height] * 2) / 2) / scale
    to_unit = np.array([[1 / scale, 0, -width / 2 / scale], [0, 1 / scale, -height / 2 / scale], [0, 0, 1]])
    straight = _straighten(segments) @ to_unit if len(segments) else to_unit
    corners = transform(straight, np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=float))
    extent = np.ptp(corners, axis=0) * scale
    if not np.isfinite(corners).all() or (extent > MAX_STRETCH * scale).any():
        return np.eye(3), (width, height)
    placed = np.diag([scale, scale, 1.0])
    placed[:2, 2] = -corners.min(axis=0) * scale
    return placed @ straight, (int(extent[0]) + 1, int(extent[1]) + 1)


def transform(matrix: Matrix, points: np.ndarray) -> np.ndarray:
    """Points (..., 2) under a perspective."""
    mapped = np.concatenate([points, np.ones((*points.shape[:-1], 1))], axis=-1) @ matrix.T
    return mapped[..., :2] / mapped[..., 2:]


def find_segments(picture: Picture) -> Segments:
    """The straight edges of rulings and strokes."""
    found = cv2.createLineSegmentDetector().detect(picture)[0]
    segments = np.zeros((0, 4)) if found is None else found.reshape(-1, 4).astype(float)
    return segments[_lengths(segments) >= SHORTEST * max(picture.shape)]


def _lengths(segments: Segments) -> np.ndarray:
    return np.hypot(segments[:, 2] - segments[:, 0], segments[:, 3] - segments[:, 1])


def _straighten(segments: Segments) -> Matrix:
    """The perspective, about the origin, that makes the two families of segments run along x and y."""
    angles = np.arctan2(segments[:, 3] - segments[:, 1], segments[:, 2] - segments[:, 0])
    main = _main_direction(angles, _lengths(segments))
    across, down = (_vanishing_point(segments, angle) for angle in (main, main + np.pi / 2))
    horizon = np.cross(across, down)
    flat = np.array([[1, 0, 0], [0, 1, 0], horizon / horizon[2]])
    axes = np.stack([(flat @ point)[:2] for point in (across, down)], axis=1)
    upright = np.eye(3)
    upright[:2, :2] = np.linalg.inv(axes / np.linalg.norm(axes, axis=0))
    return upright @ flat


def _main_direction(angles: np.ndarray, lengths: np.ndarray) -> float:
    """The angle, -45° to 45°, along which and across which most segments run."""
    counts, edges = np.histogram(np.mod(angles, np.pi / 2), bins=90, range=(0, np.pi / 2), weights=lengths)
    smooth = sum(np.roll(counts, shift) for shift in range(-3, 4))
    angle = edges[int(np.argmax(smooth))] + np.pi / 360
    return float(angle - np.pi / 2 if angle > np.pi / 4 else angle)


def _vanishing_point(segments: Segments, angle: float) -> np.ndarray:
    """Where the lines near a direction meet, homogeneous; at infinity in that direction if there are none."""
    direction = np.array([np.cos(angle), np.sin(angle), 0])
    ones = np.ones(len(segments))
    starts, ends = (np.column_stack([segments[:, half : half + 2], ones]) for half in (0, 2))
    lines, middles = np.cross(starts, ends), (starts + ends) / 2
    lines /= np.hypot(lines[:, 0], lines[:, 1])[:, None]  # so that a product with a point is its distance
    lengths, point = _lengths(segments), direction
    for tolerance in TOLERANCES_DEGREES:
        towards = point[:2] - middles[:, :2] * point[2]
        sines = np.abs(lines @ point) / np.hypot(*towards.T).clip(1e-9)
        weights = lengths / (1 + (sines / np.sin(np.radians(tolerance))) ** 2) ** 2
        weights[sines > np.sin(np.radians(NEAR_DEGREES))] = 0
        if not weights.any():
            return direction
        matrix = (lines * weights[:, None]).T @ lines
        matrix[2, 2] += STIFFNESS * weights.sum() * 0.01
        vector = np.linalg.eigh(matrix)[1][:, 0]
        point = vector * (np.sign(vector @ direction) or 1)
    return point
