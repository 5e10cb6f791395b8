"""Sizes and durations of the measurements."""

from dataclasses import asdict, dataclass

# The measurements, ordered so that most share one build of the engine.
NAMES = ("search", "build", "filters", "growth", "churn", "insert", "updates", "memory")
RIVALS = ("hnswlib-m16", "hnswlib-m32", "faiss-m16", "usearch-m16")
RECOVERY = "recovery"  # a command of its own: it closes the engine
EVERY = (*NAMES, RECOVERY)
DEFAULT_ROWS = 200_000
SIZES = {"50k": 50_000, "200k": 200_000, "1m": 1_000_000}


@dataclass(frozen=True, slots=True)
class Amounts:
    """Counts and seconds; part of a stored result's key, so that a change measures anew."""

    rounds: int = 3  # ours, theirs, ours, theirs, …
    queries: int = 800
    filtered: int = 200  # queries of each filter
    slow: int = 20  # of each filter, where a search may take a fifth of a second
    burst: int = 100_000
    sustained_rate: int = 700  # new products a second
    sustained_s: float = 60.0
    flat_s: float = 6.0  # of each round
    flat_most: int = 50_000  # new products in it
    upserts: int = 500  # looked for by the very next search
    updates: int = 100_000
    paced_s: float = 5.0
    churned: int = 50_000  # products whose vectors are replaced
    deletes: int = 50_000
    grown_from: int = 50_000

    @classmethod
    def of(cls, rows: int) -> "Amounts":
        """Return the default amounts, or smaller ones below 50,000 rows."""
        if rows >= SIZES["50k"]:
            return cls(burst=min(100_000, rows), deletes=min(50_000, rows // 4))
        return cls(
            rounds=2, queries=200, filtered=40, slow=5, burst=rows, sustained_s=3.0, flat_s=1.0,
            flat_most=4_000, upserts=50, updates=rows, paced_s=1.0, churned=rows // 2,
            deletes=rows // 4, grown_from=rows // 4,
        )  # fmt: skip

    def as_dict(self) -> dict[str, float]:
        """Return them by name."""
        return asdict(self)


def rows_of(size: str) -> int:
    """Return the rows that `50k`, `1m` or a plain number stand for.

    Raises ValueError for anything else.
    """
    text = size.strip().lower().replace("_", "")
    factor = {"k": 1_000, "m": 1_000_000}.get(text[-1:], 1)
    rows = int(text[:-1] if factor > 1 else text) * factor
    if rows <= 0:
        raise ValueError(size)
    return rows
