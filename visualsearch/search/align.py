"""Photos meet catalog images: what photos have in common is taken from the query's."""

import numpy as np

from visualsearch.types import FloatArray

SHARE = 0.75  # of the photos' mean; measured on phone photos against a grocer's images
LEAST_KNOWN = 50  # photos that a mean is told from


def remove_photo_mean(vectors: FloatArray, usual: FloatArray) -> FloatArray:
    """Return unit rows without most of what is usual for photos.

    `vectors` are unit rows of shape (n, dim), `usual` the mean of unit vectors of photos, of
    shape (dim,). The index's own vectors stay as they are: for one kind of image its mean
    would move all scores alike.
    """
    moved = vectors - np.float32(SHARE) * usual
    lengths = np.linalg.norm(moved, axis=1, keepdims=True)
    rows: FloatArray = (moved / np.maximum(lengths, 1e-6)).astype(np.float32)
    return rows
