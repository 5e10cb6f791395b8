"""Text → a static vector: the lite encoder's text features before the trained projection."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from visualsearch.encoders.lite.features import unit
from visualsearch.types import FloatArray

_TOKEN = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
MAX_TOKENS = 64  # word pieces of a text that count; a title has ten words


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """Vectors of words and word pieces ("##ing"), int8 with one scale per row.

    A row's length is its weight in a sentence: rare words say more than "the".
    """

    words: tuple[str, ...]
    vectors: npt.NDArray[np.int8]  # (words, width)
    scales: npt.NDArray[np.float16]  # (words,)
    index: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", {word: i for i, word in enumerate(self.words)})

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, width) float32 unit rows; a text without a known word piece gives zeros."""
        rows = np.zeros((len(texts), self.vectors.shape[1]), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            found = self.word_pieces(text)
            if found:
                scale = self.scales[found].astype(np.float32)[:, None]
                row[:] = (self.vectors[found].astype(np.float32) * scale).sum(axis=0)
        return unit(rows)

    def word_pieces(self, text: str) -> list[int]:
        """Return the row numbers of a text's words; unknown words are split into word pieces."""
        plain = unicodedata.normalize("NFKD", text.lower())
        plain = "".join(char for char in plain if not unicodedata.combining(char))
        found: list[int] = []
        for token in _TOKEN.findall(plain):
            for word in self._known(token):
                found += self._split_word(word)
            if len(found) >= MAX_TOKENS:
                break
        return found[:MAX_TOKENS]

    def _known(self, token: str) -> list[str]:
        """Keep "t-shirt" or "tshirt" whole where it is known, else split at hyphens."""
        if token in self.index:
            return [token]
        joined = token.replace("-", "")
        return [joined] if joined in self.index else token.split("-")

    def _split_word(self, word: str) -> list[int]:
        """Split a word greedily into its longest known pieces, as WordPiece does."""
        found: list[int] = []
        start = 0
        while start < len(word):
            mark = "##" if start else ""
            for end in range(len(word), start, -1):
                piece = self.index.get(mark + word[start:end])
                if piece is not None:
                    found.append(piece)
                    start = end
                    break
            else:
                return found
        return found
