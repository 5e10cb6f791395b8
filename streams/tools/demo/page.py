"""The demonstration as a page: figures, and the images of queries and hits."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from streams.tools.demo.dataset import QuestionKind, Truth
from streams.tools.demo.figures import Figures
from streams.tools.demo.photos import thumbnail
from streams.tools.demo.searching import TimedAnswer
from streams.web.gallery import GallerySection, HitImageUrl, gallery_page, inline_image_urls

_SHOWN = 10  # searches of each kind
_HEADINGS: dict[QuestionKind, str] = {
    "words": "By words",
    "photo": "By a phone photo",
    "both": "By a photo and words: “this, but …”",
}


def shown_searches(
    worker: str, asked: Sequence[TimedAnswer], truth: Mapping[str, Truth]
) -> tuple[dict[str, list[GallerySection]], HitImageUrl]:
    """Return some searches of each kind, and their hits' images, fetched from the worker.

    Call it before products are changed: replaced images are no longer served.
    """
    groups = {
        heading: [_answered(a, truth) for a in _some(asked, kind)]
        for kind, heading in _HEADINGS.items()
    }
    hits = [hit for answers in groups.values() for answer in answers for hit in answer.hits]
    return groups, inline_image_urls(worker, hits)


def write_page(
    path: Path, groups: Mapping[str, Sequence[GallerySection]], show: HitImageUrl, figures: Figures
) -> None:
    """Write the page: figures, then searches with their hits."""
    page = gallery_page(
        "visualsearch",
        f"{figures.products:,} products, {figures.vectors:,} images; {figures.broker}; "
        f"encoder {figures.encoder}",
        {heading: answers for heading, answers in groups.items() if answers},
        show,
        facts(figures),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def facts(figures: Figures) -> dict[str, str]:
    """Return the figures as text, by name."""
    fresh, search = figures.freshness_ms, figures.search_ms
    shown = {
        "products searchable": f"{figures.products:,}",
        "loaded in": f"{figures.load_s:.0f} s",
        "dead letters": str(figures.dead_letters),
    }
    for name, spread in fresh.by_kind.items():
        shown[f"{name} fresh, p50 / p99"] = f"{spread.p50:.0f} / {spread.p99:.0f} ms"
    for name, spread in search.by_kind.items():
        shown[f"search by {name}, p50 / p99"] = f"{spread.p50:.0f} / {spread.p99:.0f} ms"
    if figures.phone_photo_to_40_ms is not None:
        shown["phone photo to 40 hits"] = f"{figures.phone_photo_to_40_ms:.0f} ms"
    for name, share in (
        ("words: right kind in top 10", figures.top10_kind_precision),
        ("words: right color", figures.top10_color_precision),
        ("words: both right", figures.top10_kind_and_color_precision),
        ("photo: right kind", figures.photo_kind_precision),
        ("photo: right color", figures.photo_color_precision),
        ("photo + words: right kind", figures.both_kind_precision),
        ("photo + words: right color", figures.both_color_precision),
    ):
        if share is not None:
            shown[name] = f"{share:.0%}"
    if (chaos := figures.chaos) is not None:
        shown["kill -9 to the first answer"] = f"{chaos.first_answer_s:.1f} s"
        fsck = chaos.fsck
        shown["fsck"] = f"{fsck['verdict']}: {fsck['served']:,} of {fsck['expected']:,} products"
    return shown


def _some(asked: Sequence[TimedAnswer], kind: QuestionKind) -> list[TimedAnswer]:
    """Take every n-th distinct question of a kind, for variety."""
    distinct = list({id(a.question): a for a in asked if a.question.kind == kind}.values())
    step = max(len(distinct) // _SHOWN, 1)
    return distinct[::step][:_SHOWN]


def _answered(asked: TimedAnswer, truth: Mapping[str, Truth]) -> GallerySection:
    question, hits = asked.question, asked.result.hits
    right = question.right
    marks = None if right is None else [truth.get(hit.product_id) == right for hit in hits]
    note = f"{asked.took_ms:.0f} ms"
    if right is not None and marks is not None:
        note = f"{sum(marks)} of {len(marks)} right ({right.color} {right.kind}); {note}"
    pictures = [] if question.picture is None else [thumbnail(question.picture)]
    return GallerySection(question.description, note, hits, pictures, marks)
