"""Run every query of a file on a local index, and score each result."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from streams.model.priority_pool import Priority
from streams.tools.evaluation.local_index import LocalIndex
from streams.tools.evaluation.queries import (
    Preference,
    PreferenceItem,
    Queries,
    QueriesError,
    SearchCase,
    read_image,
    to_request,
)
from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.search import SearchHit, SearchPlan, TookMs
from visualsearch.evaluation.preference import agreement
from visualsearch.evaluation.ranking import scores
from visualsearch.evaluation.variety import diversity
from visualsearch.types import FloatArray

DEADLINE_S = 600.0


@dataclass(frozen=True, slots=True)
class JudgedSearch:
    """One search: its hits, and its scores by metric."""

    search: SearchCase
    hits: Sequence[SearchHit]
    scores: Mapping[str, float]
    took: TookMs
    plan: SearchPlan | None


@dataclass(slots=True)
class EvaluationRun:
    """The results of all queries of a file with one configuration."""

    name: str
    model: str
    products: int
    image_count: int
    judged: list[JudgedSearch] = field(default_factory=list)
    preferred: list[tuple[Preference, float]] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)  # lines that name a product not in the catalog


async def run(
    local_index: LocalIndex,
    queries: Queries,
    name: str,
    *,
    ks: Sequence[int],
    overrides: Mapping[str, Any],
    progress: Callable[[], None] = lambda: None,
) -> EvaluationRun:
    """Run and score one query after the other: times are those of an otherwise idle worker.

    Raises QueriesError, with the line, for a query whose result is an error.
    """
    stats = local_index.engine.stats()
    found = EvaluationRun(name, local_index.engine.model, stats.products, stats.vectors)
    for search in queries.searches:
        found.judged.append(await _judge_search(local_index, search, queries.folder, ks, overrides))
        if any(local_index.engine.product(wanted) is None for wanted in search.grades):
            found.unknown.append(search.line)
        progress()
    for preference in queries.preferences:
        found.preferred.append(
            (preference, await _judge_preference(local_index, preference, queries.folder))
        )
        progress()
    return found


async def _judge_search(
    local_index: LocalIndex,
    search: SearchCase,
    folder: Path,
    ks: Sequence[int],
    overrides: Mapping[str, Any],
) -> JudgedSearch:
    try:
        request = to_request(search, folder, depth=max(ks), overrides=overrides)
    except SchemaError as error:
        raise QueriesError(f"line {search.line}: {error} [{error.code}]") from None
    result = await local_index.pipeline.answer(request, remaining_s=DEADLINE_S)
    if (fault := result.error) is not None:
        raise QueriesError(f"line {search.line}: {fault.message} [{fault.code}]")
    shown = int(search.body.get("top_k", max(ks)))
    ranked = [hit.product_id for hit in result.hits]
    found = scores(ranked, search.grades, ks, shown)
    found["diversity"] = diversity(_vectors(local_index, result.hits[:shown]))
    return JudgedSearch(
        search, result.hits[: max([*ks, shown])], found, result.took_ms, result.plan
    )


def _vectors(local_index: LocalIndex, hits: Sequence[SearchHit]) -> FloatArray:
    """Return the vector of the image by which each hit was found."""
    rows = [dict(local_index.engine.vectors_of(hit.product_id))[hit.image_id] for hit in hits]
    return np.stack(rows) if rows else np.zeros((0, local_index.engine.dim), dtype=np.float32)


async def _judge_preference(local_index: LocalIndex, preference: Preference, folder: Path) -> float:
    names = ["anchor", "closer", *(f"than[{n}]" for n in range(len(preference.others)))]
    things = [preference.anchor, preference.closer, *preference.others]
    try:
        rows = [
            await _vector(local_index, thing, folder, name)
            for thing, name in zip(things, names, strict=True)
        ]
    except SchemaError as error:
        raise QueriesError(f"line {preference.line}: {error} [{error.code}]") from None
    return agreement(rows[0], rows[1], np.stack(rows[2:]))


async def _vector(
    local_index: LocalIndex, thing: PreferenceItem, folder: Path, field: str
) -> FloatArray:
    """Return the unit vector of an image, of words, or the mean of a product's images."""
    if thing.image is not None:
        data = read_image(thing.image, folder, f"{field}.image")
        prepared = await local_index.model.prepare(Priority.QUERY, data)
        rows = await local_index.model.images(Priority.QUERY, [prepared])
        return np.asarray(rows[0])
    if thing.text is not None:
        rows = await local_index.model.texts(Priority.QUERY, [thing.text])
        return np.asarray(rows[0])
    vectors = [vector for _, vector in local_index.engine.vectors_of(thing.product or "")]
    if not vectors:
        where = f"{field}.product"
        text = f"{where}: {thing.product} is not in the catalog, or has no image"
        raise SchemaError("product_unknown", text, field=where)
    mean = np.mean(vectors, axis=0)
    return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)
