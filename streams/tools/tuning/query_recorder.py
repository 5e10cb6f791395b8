"""Record a file's queries as the engine gets them from the live search path."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from streams.tools.evaluation.judge import DEADLINE_S
from streams.tools.evaluation.local_index import LocalIndex
from streams.tools.evaluation.queries import Queries, QueriesError, to_request
from visualsearch.contracts.errors import SchemaError
from visualsearch.engine import Engine
from visualsearch.types import Answer, Query


class QueryRecorder:
    """An engine that records its queries."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.queries: list[Query] = []

    def search(self, query: Query) -> Answer:
        """Record a query and answer it."""
        self.queries.append(query)
        return self._engine.search(query)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


async def record_queries(
    local_index: LocalIndex,
    queries: Queries,
    top_k: int,
    progress: Callable[[], None] = lambda: None,
) -> Sequence[Query]:
    """Return the engine's queries for the searches of a file, each for `top_k` products.

    Raises QueriesError, with the line, for a query whose result is an error.
    """
    recorder = QueryRecorder(local_index.engine)
    pipeline = local_index.pipeline_over(cast("Engine", recorder))
    try:
        for search in queries.searches:
            try:
                request = to_request(search, queries.folder, depth=1, overrides={"top_k": top_k})
            except SchemaError as error:
                raise QueriesError(f"line {search.line}: {error} [{error.code}]") from None
            result = await pipeline.answer(request, remaining_s=DEADLINE_S)
            if (fault := result.error) is not None:
                raise QueriesError(f"line {search.line}: {fault.message} [{fault.code}]")
            progress()
    finally:
        pipeline.close()
    if not recorder.queries:
        raise QueriesError("the file holds preferences only; searches are needed")
    return recorder.queries
