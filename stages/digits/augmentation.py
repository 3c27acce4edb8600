"""Images moved at random, all of a batch by one call."""

import numpy as np

from stages.digits import slant


def augmented(
    images: np.ndarray,
    leans: np.ndarray,
    *,
    rotation: float,
    zoom: float,
    shift: float,
    shear: float,
    random: np.random.Generator,
) -> np.ndarray:
    """The images (n, 28, 28) uint8, each set upright, then turned, scaled, moved and sheared at random, all by one map.

    `leans` (n, 2) is of `slant.leans`; where it is 0, an image isn't set upright first.
    Each is drawn evenly within ± `rotation` degrees, ± `zoom` of the size (across and down apart),
    ± `shift` pixels and ± `shear` pixels across for a pixel down; what comes in from outside is 0.
    """
    draw = random.uniform(-1, 1, (6, len(images)))
    angle = np.radians(rotation * draw[0])
    across, down = 1 + zoom * draw[1], 1 + zoom * draw[2]
    cos, sin, skew = np.cos(angle), np.sin(angle), shear * draw[3]
    # Output pixel (x, y), seen from the centre, shows input pixel (a x + b y, c x + d y).
    a, b = cos / across, (skew * cos - sin) / down
    c, d = sin / across, (skew * sin + cos) / down
    centre = slant.CENTRE
    left = centre - (a + b) * centre + shift * draw[4]
    top = centre - (c + d) * centre + shift * draw[5]
    slope, row = leans.T
    a, b, left = a + slope * c, b + slope * d, left + slope * (top - row)
    return np.asarray(slant.mapped(images, *np.float32([a, b, left, c, d, top])))
