"""Drawn products: a catalog for demonstrations, tests and training, with ground truth."""

from visualsearch.datasets.drawn.catalog import (
    DrawnImage,
    DrawnProduct,
    draw_catalog,
    draw_photo,
    main_colors,
    word_queries,
)

__all__ = [
    "DrawnImage",
    "DrawnProduct",
    "draw_catalog",
    "draw_photo",
    "main_colors",
    "word_queries",
]
