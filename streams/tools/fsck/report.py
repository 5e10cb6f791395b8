"""The report of a check: findings by category, and an exit status."""

from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

DIFFERENCES = (
    "lost", "resurrected", "stale", "duplicated", "wrong_vectors", "missing_dead_letters",
)  # fmt: skip
CATEGORIES = (*DIFFERENCES, "late", "unchecked")
MEANING = {
    "lost": "must be searchable and is not",
    "resurrected": "searchable and must not be",
    "stale": "served in another state than its events say",
    "duplicated": "a product or an image that is there twice",
    "wrong_vectors": "a vector that is not its image's",
    "missing_dead_letters": "cannot be read and is no dead letter",
    "late": "not yet processed",
    "unchecked": "could not be checked",
}
EXAMPLES = 20
CLEAN, DIFFERENT, NOT_CHECKED = 0, 1, 2


class Finding(Struct, frozen=True, omit_defaults=True):
    """One thing found; `source` is the deciding event as topic[partition]@offset."""

    detail: str
    product_id: str | None = None
    source: str | None = None


@dataclass(slots=True)
class Report:
    """The result of a check."""

    worker: str
    model: str = ""
    events: int = 0  # read
    expected: int = 0  # products that must be searchable
    served: int = 0  # products that are
    images_compared: int = 0  # vectors compared
    notes: list[str] = field(default_factory=list)
    findings: dict[str, list[Finding]] = field(
        default_factory=lambda: {category: [] for category in CATEGORIES}
    )

    def add(self, category: str, finding: Finding) -> None:
        """Add a finding."""
        self.findings[category].append(finding)

    def reclassify(self, products: set[str], category: str, why: str) -> None:
        """Move the differences of these products to another category."""
        for name in DIFFERENCES:
            kept = []
            for finding in self.findings[name]:
                if finding.product_id in products:
                    text = f"{why} ({name}: {finding.detail})"
                    self.add(category, Finding(text, finding.product_id, finding.source))
                else:
                    kept.append(finding)
            self.findings[name] = kept

    @property
    def counts(self) -> dict[str, int]:
        """How many findings of each category there are."""
        return {category: len(found) for category, found in self.findings.items()}

    @property
    def status(self) -> int:
        """Return the exit status: 0 clean, 1 differences, 2 late."""
        counts = self.counts
        if any(counts[name] for name in DIFFERENCES):
            return DIFFERENT
        return NOT_CHECKED if counts["late"] else CLEAN

    @property
    def verdict(self) -> str:
        """The status as a word."""
        return {CLEAN: "clean", DIFFERENT: "differences", NOT_CHECKED: "late"}[self.status]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, at most 20 findings of each category."""
        return {
            "verdict": self.verdict,
            "worker": self.worker,
            "model": self.model,
            "events": self.events,
            "expected": self.expected,
            "served": self.served,
            "pictures_compared": self.images_compared,
            "counts": self.counts,
            "notes": self.notes,
            "examples": {name: found[:EXAMPLES] for name, found in self.findings.items() if found},
        }
