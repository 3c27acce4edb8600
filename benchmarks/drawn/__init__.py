"""Handwriting that is drawn: strokes, invented hands, forms and grids; with what stands where."""
