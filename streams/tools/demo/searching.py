"""Search through the topics, one search at a time; measure client latency and precision."""

import base64
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from streams.tools.catalog.image_shrinking import shrink
from streams.tools.catalog.searchable import Searcher
from streams.tools.demo.dataset import Question, QuestionKind, Truth
from visualsearch.contracts.search import (
    QueryImage,
    QuerySpec,
    QueryText,
    SearchRequest,
    SearchResult,
)

TOP = 10
_PHOTO_HITS = 40
_DEADLINE_MS = 10_000


@dataclass(frozen=True, slots=True)
class TimedAnswer:
    """A question, its result, and the milliseconds from request to result."""

    question: Question
    result: SearchResult
    took_ms: float


@dataclass(frozen=True, slots=True)
class Precision:
    """Precision by product kind, color, and both, averaged over the questions of one kind."""

    kind: float
    color: float
    kind_and_color: float


def to_request(question: Question, top_k: int = TOP) -> SearchRequest:
    """Turn a question into a request; its image is shrunk, as every client does."""
    picture, text = question.picture, question.text
    return SearchRequest(
        request_id=uuid.uuid4().hex,
        query=QuerySpec(
            images=[] if picture is None else [QueryImage(data=_base64(shrink(picture)))],
            texts=[] if text is None else [QueryText(text)],
        ),
        top_k=top_k,
        deadline_ms=_DEADLINE_MS,
    )


def ask_all(
    searcher: Searcher,
    questions: Sequence[Question],
    times: int,
    progress: Callable[[int], None] = lambda _: None,
) -> list[TimedAnswer]:
    """Ask `times` questions, one after the other, repeating them if there are fewer.

    Raises RuntimeError for a result that is an error.
    """
    requests = [to_request(question) for question in questions]
    asked = []
    for number in range(times):
        at = number % len(questions)
        request = requests[at]
        request.request_id = uuid.uuid4().hex
        started = time.perf_counter()
        result = searcher.search(request)
        took_ms = (time.perf_counter() - started) * 1000
        if result.error is not None:
            raise RuntimeError(
                f"{questions[at].description}: {result.error.code}: {result.error.message}"
            )
        asked.append(TimedAnswer(questions[at], result, took_ms))
        progress(number + 1)
    return asked


def phone_photo_ms(searcher: Searcher, file: Path, times: int = 5) -> list[float]:
    """Return milliseconds from a photo's file to its 40 hits: read, shrink, send, answer."""
    took = []
    for _ in range(times):
        started = time.perf_counter()
        question = Question("photo", picture=file.read_bytes())
        result = searcher.search(to_request(question, _PHOTO_HITS))
        took.append((time.perf_counter() - started) * 1000)
        if result.error is not None:
            raise RuntimeError(f"phone photo: {result.error.code}: {result.error.message}")
    return took


def precision(
    asked: Sequence[TimedAnswer], truth: Mapping[str, Truth], kind: QuestionKind
) -> Precision | None:
    """Return the precision of the results of each distinct question; None without known truth.

    `kind`: the share of the right kind among the first min(10, n) hits, where n products of that
    kind are held. `color`, and kind and color together: among the first min(10, m), where m
    products of that kind in that color are held. Missing hits count as wrong ones.
    """
    of_kind = Counter(shown.kind for shown in truth.values())
    of_both = Counter(truth.values())
    distinct = {id(a.question): a for a in reversed(asked) if a.question.kind == kind}
    kinds, colors, both = [], [], []
    for answer in distinct.values():
        if (right := answer.question.right) is None:
            continue
        shown = [truth.get(hit.product_id) for hit in answer.result.hits]
        kinds.append(_share([t and t.kind == right.kind for t in shown], of_kind[right.kind]))
        colors.append(_share([t and t.color == right.color for t in shown], of_both[right]))
        both.append(_share([t == right for t in shown], of_both[right]))
    return Precision(fmean(kinds), fmean(colors), fmean(both)) if kinds else None


def _share(right: Sequence[object], possible: int) -> float:
    n = min(TOP, possible)
    return sum(map(bool, right[:n])) / n if n else 0.0


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
