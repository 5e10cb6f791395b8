"""The queries of a file as the engine gets them: composed by the code that composes live ones."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from streams.tools.evaluation.judge import DEADLINE_S
from streams.tools.evaluation.queries import Queries, QueriesError, to_request
from streams.tools.evaluation.shop import LocalIndex
from visualsearch.contracts.errors import SchemaError
from visualsearch.engine import Engine
from visualsearch.types import Answer, Query


class QueryRecorder:
    """An engine that notes what it is asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.asked: list[Query] = []

    def search(self, query: Query) -> Answer:
        """Note a query and answer it."""
        self.asked.append(query)
        return self._engine.search(query)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


async def record_queries(
    shop: LocalIndex, queries: Queries, top_k: int, progress: Callable[[], None] = lambda: None
) -> Sequence[Query]:
    """Return what the searches of a file ask of the index, each for `top_k` products.

    Raises QueriesError, with the line, for a query that gets an error for an answer.
    """
    listening = QueryRecorder(shop.engine)
    pipeline = shop.pipeline_over(cast("Engine", listening))
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
    if not listening.asked:
        raise QueriesError("the file holds preferences only; searches are needed")
    return listening.asked
