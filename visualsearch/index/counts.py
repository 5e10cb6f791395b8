"""What the index reports of itself."""

import numpy as np

from visualsearch.index.live import LiveIndex
from visualsearch.index.state import IndexStats


def counted(index: LiveIndex, known_products: int, merging: tuple[int, int]) -> IndexStats:
    """Return the counts of this moment, under the engine's lock; `merging` is the upkeep's."""
    segments = index.built.segments
    return IndexStats(
        products=index.live_products,
        vectors=index.live_rows,
        known_products=known_products,
        rows=index.rows.used,
        fresh_rows=_fresh(index),
        dead_ratio=_dead(index),
        segments=len(segments),
        pieces=len(index.built.pieces),
        merged_rows=merging[0],
        merging_rows=merging[1],
    )


def _fresh(index: LiveIndex) -> int:
    """Return how many rows in use no graph holds yet."""
    waiting = int(np.count_nonzero(index.rows.alive[index.for_graph.waiting()]))
    return waiting + int(np.count_nonzero(index.rows.alive[index.built.building]))


def _dead(index: LiveIndex) -> float:
    """Return the share of the graphs' rows that no search wants any more."""
    held = sum(segment.added for segment in index.built.segments)
    dead = sum(segment.marked for segment in index.built.segments) + len(index.to_mark)
    return min(1.0, dead / held) if held else 0.0
