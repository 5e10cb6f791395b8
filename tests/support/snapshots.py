"""A small catalog and its snapshot, for the tests of files, folders and damages."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.strategies import clustered
from visualsearch.engine import Engine, Layout
from visualsearch.snapshot.read import Restored, restore
from visualsearch.snapshot.write import write
from visualsearch.types import (
    Answer,
    BaseRecord,
    Filters,
    FloatArray,
    Guess,
    ImageVector,
    OfferRecord,
    Query,
    Record,
    VectorsRecord,
)

MODEL, DIM, COUNT = "a-model", 16, 120
V = clustered(2 * COUNT, DIM, clusters=6, seed=11)
FLAT = Layout(chunk_rows=64, segment_rows=100, piece_rows=32, threads=1, backlog_s=0.0)
LISTED = replace(FLAT, coder_rows=100)
QUERIES = [
    Query(V[n], filters, top_k)
    for n, filters, top_k in [
        (0, Filters(), 10),
        (7, Filters(category=("c1",)), 200),
        (9, Filters(tags=("even",), price_min=3.0, in_stock=True), 20),
        (11, Filters(attributes={"colour": "red"}, image_kind="lifestyle"), 20),
        (12, Filters(attributes={"pattern": "t1"}), 200),
        (13, Filters(brand=("b2",), exclude=frozenset({"p5"})), 20),
    ]
]


def records(count: int = COUNT, time: int = 1) -> list[Record]:
    """Return products of one or two images, some without an offer, some deleted."""
    out: list[Record] = []
    for n in range(count):
        name, order = f"p{n}", (time, n, 0)
        pictures = [ImageVector(f"i{n}", V[n], "catalog", f"http://x/{n}")]
        if n % 3 == 0:
            pictures.append(ImageVector(f"j{n}", V[count + n], "lifestyle"))
        out += [
            BaseRecord(
                name, order, title=f"Product {n}", description=None if n % 2 else "of its kind",
                brand=f"b{n % 4}", category=f"c{n % 3}", tags=("even",) if n % 2 == 0 else (),
                attributes={"colour": "red" if n % 5 else "blue", "size": str(n % 7)},
            ),
            VectorsRecord(
                name, order, model=MODEL, images=tuple(pictures),
                guessed={"size": Guess("9", 0.5), "pattern": Guess(f"t{n % 2}", 0.75)},
            ),
        ]  # fmt: skip
        if n % 4:
            out.append(OfferRecord(name, order, price=float(n % 10), currency="EUR", in_stock=True))
    out += [BaseRecord(f"p{n}", (time, n, 1), deleted=True) for n in range(0, count, 17)]
    out.append(OfferRecord("offer-only", (time, 0, 0), price=1.0))
    return out


def pictured(vectors: FloatArray, time: int = 1, first: int = 0) -> list[Record]:
    """Return products of one image each, called p and their number, from `first` on."""
    out: list[Record] = []
    for n, vector in enumerate(vectors, first):
        name, order, images = f"p{n}", (time, 0, 0), (ImageVector("i", vector),)
        out += [BaseRecord(name, order), VectorsRecord(name, order, model=MODEL, images=images)]
    return out


def engine_of(some: Sequence[Record] | None = None, layout: Layout = LISTED) -> Engine:
    """Return an engine that knows these records, by default those of `records()`."""
    engine = Engine(MODEL, DIM, layout=layout)
    engine.apply(records() if some is None else some)
    return engine


def written(engine: Engine, folder: Path, at: float = 1_000.0, **options: Any) -> Path:
    """Return the path of a new snapshot."""
    options = {"pause": lambda: None, "source": {"offsets": {"0": 7}}} | options
    return write(engine, folder, created_at=at, **options)


def restored(path: Path, layout: Layout = LISTED) -> Restored:
    """Return what the snapshot gives back."""
    return restore(path, model=MODEL, dim=DIM, layout=layout)


def answers(engine: Engine) -> list[Answer]:
    """Return the answers to `QUERIES`."""
    return [engine.search(query) for query in QUERIES]


def failing(at: str, error: BaseException) -> Callable[[str], None]:
    """Return a `step` that raises before the step of that name."""

    def step(name: str) -> None:
        if name == at:
            raise error

    return step
