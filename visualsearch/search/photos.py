"""Preprocessing of query photos, to make them more like catalog images before embedding.

Each function takes an upright RGB image and does not modify it.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

Mask = npt.NDArray[np.uint8]
"""(height, width), from 0 for the background to 255 for the subject."""
FindSubject = Callable[[Image.Image], Mask]

CLIP, TILES = 2.0, 8  # of CLAHE: contrast limit, tiles per side
CROPS = (0.7,)  # sides of the crops around the center, beside the whole image
MASK_SIDE = 160  # pixels: more cost GrabCut time and hardly improve its outline
CENTER_SHARE = 0.8  # of each side: outside of it everything is background
LEAST_SUBJECT = 0.03  # of the pixels: a smaller subject is not believed
MARGIN = 0.06  # around the subject, of its longer side


def equalize_lighting(image: Image.Image) -> Image.Image:
    """Even out the lighting: CLAHE on the L of Lab, so that no hue changes."""
    import cv2

    lab = cv2.cvtColor(np.asarray(image, dtype=np.uint8), cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(CLIP, (TILES, TILES)).apply(np.ascontiguousarray(lab[..., 0]))
    return Image.fromarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB))


def crops(image: Image.Image) -> list[Image.Image]:
    """Return the image itself and crops around its center, where the subject usually is."""
    found = [image]
    for share in CROPS:
        left, top = (round(side * (1 - share) / 2) for side in image.size)
        found.append(image.crop((left, top, image.width - left, image.height - top)))
    return found


def remove_background(image: Image.Image, find: FindSubject) -> Image.Image:
    """Lay the subject on white and crop to it; return the image itself if none is found."""
    mask = find(image)
    rows, columns = np.flatnonzero(mask.max(axis=1) > 127), np.flatnonzero(mask.max(axis=0) > 127)
    if (mask > 127).mean() < LEAST_SUBJECT or not len(rows) or not len(columns):
        return image
    ground = Image.new("RGB", image.size, (255, 255, 255))
    ground.paste(image, mask=Image.fromarray(mask))
    left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    pad = round(max(right - left, bottom - top) * MARGIN)
    box = (max(left - pad, 0), max(top - pad, 0),
           min(right + pad, image.width), min(bottom + pad, image.height))  # fmt: skip
    return ground.crop(tuple(int(edge) for edge in box))  # type: ignore[arg-type]  # four


def subject_by_grabcut(image: Image.Image) -> Mask:
    """Find the subject by GrabCut, which is given a rectangle around the center. No model."""
    import cv2

    shrink = min(1.0, MASK_SIDE / max(image.size))
    size = tuple(max(8, round(side * shrink)) for side in image.size)
    small = np.asarray(image.resize(size, Image.Resampling.BOX), dtype=np.uint8)  # type: ignore[arg-type]
    mask = np.full(small.shape[:2], cv2.GC_BGD, dtype=np.uint8)
    _center(mask, CENTER_SHARE)[:] = cv2.GC_PR_BGD
    _center(mask, CENTER_SHARE * 0.75)[:] = cv2.GC_PR_FGD
    try:
        cv2.setRNGSeed(0)  # GrabCut's color models start at random; this makes masks repeatable
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(small[..., ::-1].copy(), mask, None, *models, 3, cv2.GC_INIT_WITH_MASK)
    except cv2.error:  # an image of one color has no two models
        return np.zeros((image.height, image.width), dtype=np.uint8)
    subject = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8) * 255
    return np.asarray(Image.fromarray(subject).resize(image.size, Image.Resampling.BILINEAR))


def _center(mask: Mask, share: float) -> Mask:
    height, width = mask.shape
    top, left = round(height * (1 - share) / 2), round(width * (1 - share) / 2)
    return mask[top : height - top, left : width - left]
