"""The report as an HTML page: metrics, and images of the queries with the lowest scores."""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from streams.tools.evaluation.figures import ALL, compared, figures, latency, shown_share, worst
from streams.tools.evaluation.judge import EvaluationRun, JudgedSearch
from streams.tools.evaluation.local_index import LocalIndex
from streams.tools.evaluation.queries import to_request
from streams.web.gallery import GallerySection, gallery_page, jpeg_url
from visualsearch.contracts.errors import SchemaError
from visualsearch.contracts.search import SearchHit
from visualsearch.encoders.images import decode_image
from visualsearch.errors import ImageError
from visualsearch.evaluation.sampling import Estimate

WORST = 12  # queries
_SHOWN = 10  # hits of each, and as many missed products
_SIDE = 240  # pixels
_NO_IMAGE = "data:,"


async def page(
    runs: Sequence[EvaluationRun], indexes: Sequence[LocalIndex], ks: Sequence[int], folder: Path
) -> str:
    """Return self-contained HTML: no script, no other file."""
    groups: dict[str, list[GallerySection]] = {}
    shown: dict[tuple[str, str], str] = {}
    for run, local_index in zip(runs, indexes, strict=True):
        answers: list[GallerySection] = []
        for place in worst(run, ks, WORST):
            judged = run.judged[place]
            hits, missed = judged.hits[:_SHOWN], _missed(local_index, judged)
            for hit in (*hits, *missed):
                if (key := (hit.product_id, hit.image_id)) not in shown:
                    shown[key] = _data_url(await local_index.image_bytes(*key))
            answers += _sections(judged, hits, missed, folder, ks)
        if answers:
            groups[f"{run.name}: the queries with the lowest scores"] = answers
    lead = "; ".join(
        f"{run.name} ({run.model}): {len(run.judged):,} searches, {len(run.preferred):,} "
        f"preferences, {run.products:,} products"
        for run in runs
    )
    return gallery_page(
        "Evaluation", lead, groups,
        lambda hit: shown.get((hit.product_id, hit.image_id), _NO_IMAGE), _facts(runs),
    )  # fmt: skip


def interval(found: Estimate, digits: int = 3) -> str:
    """Return a figure with its interval, for people."""
    return f"{found.mean:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


def _sections(
    judged: JudgedSearch,
    hits: Sequence[SearchHit],
    missed: Sequence[SearchHit],
    folder: Path,
    ks: Sequence[int],
) -> Iterable[GallerySection]:
    k = max(ks)
    note = f"line {judged.search.line}; NDCG@{k} {judged.scores[f'ndcg@{k}']:.3f}"
    grades = judged.search.grades
    marks = [hit.product_id in grades for hit in hits]
    yield GallerySection(judged.search.query_text, note, hits, _query_images(judged, folder), marks)
    if missed:
        yield GallerySection("", "relevant, but not among the hits", missed)


def _query_images(judged: JudgedSearch, folder: Path) -> list[bytes]:
    """Return thumbnails of the query's images; images at URLs are not fetched."""
    try:
        request = to_request(judged.search, folder, depth=1, overrides={})
    except SchemaError:  # a file was deleted since the search
        return []
    data = [base64.b64decode(image.data) for image in request.query.images if image.data]
    return [small for one in data if (small := _thumbnail(one)) is not None]


def _missed(local_index: LocalIndex, judged: JudgedSearch) -> list[SearchHit]:
    found = {hit.product_id for hit in judged.hits}
    missed = []
    for name in sorted(set(judged.search.grades) - found, key=lambda n: -judged.search.grades[n]):
        state = local_index.engine.product(name)
        if state is not None and state.searchable and state.base is not None:
            image = state.images[0].image_id
            missed.append(
                SearchHit(product_id=name, score=0.0, image_id=image, title=state.base.title)
            )
    return missed[:_SHOWN]


def _data_url(data: bytes | None) -> str:
    small = None if data is None else _thumbnail(data)
    return _NO_IMAGE if small is None else jpeg_url(small)


def _thumbnail(data: bytes) -> bytes | None:
    try:
        image = decode_image(data, 2 * _SIDE)
    except ImageError:
        return None
    image.thumbnail((_SIDE, _SIDE))
    out = io.BytesIO()
    Image.Image.save(image, out, "JPEG", quality=80)
    return out.getvalue()


def _facts(runs: Sequence[EvaluationRun]) -> Mapping[str, str]:
    facts: dict[str, str] = {}
    for run in runs:
        prefix = f"{run.name}: " if len(runs) > 1 else ""
        for group, metrics in figures(run).items():
            of = "" if group == ALL else f"{group}, "
            facts |= {f"{prefix}{of}{name}": interval(one) for name, one in metrics.items()}
        if (share := shown_share(run)) is not None:
            facts[f"{prefix}coverage"] = interval(share)
        for stage, quantiles in latency(run).items():
            facts |= {f"{prefix}{stage} ms, {name}": interval(one, 1)
                      for name, one in quantiles.items()}  # fmt: skip
    if len(runs) == 2:
        for group, changes in compared(*runs).items():
            of = "" if group == ALL else f"{group}, "
            for name, change in changes.items():
                span = f"{change.low:+.3f} to {change.high:+.3f}"
                facts[f"{runs[0].name} minus {runs[1].name}: {of}{name}"] = (
                    f"{change.mean:+.3f} ({span}), p {change.p:.3f}"
                )
    return facts
