"""When things happen in an index, in rows; small numbers make tests meet every border."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of the storage and of the work behind it."""

    chunk_rows: int = 131_072  # stored together; pages that no row has touched take no memory
    segment_rows: int = 50_000  # capacity of the graph that takes fresh rows
    most_rows: int = 1_000_000  # of the largest graph: it is there twice while it is rebuilt
    backlog_s: float = 1.0  # in which it shows whether rows come faster than graphs take them
    piece_rows: int = 1_024  # on no list yet that become a piece of the lists
    coder_rows: int = 16_384  # live ones from which on there are lists
    threads: int = min(8, os.cpu_count() or 1)  # that rebuild graphs in the background
    seed: int = 100
    probe_share: float = 0.01  # of queries that are answered again exactly,
    probe_core: float = 0.02  # in no more than this part of one core's time
