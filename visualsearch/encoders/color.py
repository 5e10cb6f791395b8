"""The colors of an image's subject: a Lab histogram in which the background counts little."""

import itertools

import numpy as np
import numpy.typing as npt
from PIL import Image

from visualsearch.types import FloatArray

SIDE = 64  # pixels a side of the image that the histogram is made of
L_EDGES = np.array([22, 40, 58, 74, 90], dtype=np.float32)
AB_BINS = 8
_AB_STEP = 22.0  # Lab units a bin of a or b: 8 bins reach from -88 to 88
BINS = (len(L_EDGES) + 1) * AB_BINS * AB_BINS

_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]],
    dtype=np.float32,
) / np.array([[0.9505], [1.0], [1.089]], dtype=np.float32)


def to_lab(rgb: npt.NDArray[np.uint8]) -> FloatArray:
    """Convert sRGB pixels, uint8 (..., 3), to CIE Lab under D65, float32 (..., 3)."""
    value = rgb.astype(np.float32) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _XYZ.T
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    lab: FloatArray = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
    return lab.astype(np.float32)


def subject_weights(lab: FloatArray) -> FloatArray:
    """Return weights (n, n) of the pixels of a Lab image (n, n, 3); they sum to 1.

    Pixels near the center and unlike the border weigh more.
    """
    n = lab.shape[0]
    border = np.concatenate([lab[:3].reshape(-1, 3), lab[-3:].reshape(-1, 3),
                             lab[:, :3].reshape(-1, 3), lab[:, -3:].reshape(-1, 3)])  # fmt: skip
    spread = np.minimum(np.abs(border - np.median(border, axis=0)).mean(axis=0).sum(), 40)
    distance = np.linalg.norm(lab - np.median(border, axis=0), axis=2)
    foreign = 1 / (1 + np.exp(-(distance - 8 - spread / 2) / 2.5))
    axis = np.linspace(-1, 1, n, dtype=np.float32) ** 2
    central = np.exp(-2.2 * (axis[:, None] + axis[None, :]))
    weights = (0.02 + foreign) * central
    if (foreign * central).sum() < 0.04 * central.sum():  # subject looks like background
        weights = central**2
    rows: FloatArray = (weights / weights.sum()).astype(np.float32)
    return rows


def histogram(image: Image.Image) -> FloatArray:
    """Return the square roots of a soft Lab histogram's bins, shape (BINS,), of unit length."""
    small = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    lab = to_lab(np.asarray(small, dtype=np.uint8))
    weights = subject_weights(lab).ravel()
    lightness, a, b = lab.reshape(-1, 3).T
    count = len(L_EDGES) + 1
    bins = np.zeros(BINS)
    shares = (
        _soft(np.interp(lightness, L_EDGES, np.arange(count - 1) + 0.5), count),
        _soft(a / _AB_STEP + AB_BINS / 2 - 0.5, AB_BINS),
        _soft(b / _AB_STEP + AB_BINS / 2 - 0.5, AB_BINS),
    )
    for (li, lw), (ai, aw), (bi, bw) in itertools.product(*shares):
        place = (li * AB_BINS + ai) * AB_BINS + bi
        bins += np.bincount(place, weights * lw * aw * bw, minlength=BINS)
    row: FloatArray = np.sqrt(bins / bins.sum()).astype(np.float32)
    return row


def _soft(
    position: FloatArray, count: int
) -> tuple[tuple[npt.NDArray[np.intp], FloatArray], tuple[npt.NDArray[np.intp], FloatArray]]:
    """Share each value between the two bins whose centers enclose it."""
    position = np.clip(position, 0, count - 1)
    low = np.minimum(position.astype(np.intp), count - 2)
    part = (position - low).astype(np.float32)
    return (low, 1 - part), (low + 1, part)
