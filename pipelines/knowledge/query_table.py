"""A table that encodes questions without a model: a vector a word piece, so that the weighted sum of a text's pieces comes close to
the vector that the encoder gave the text.

Fitted by ridge regression on the corpus itself: its chunks and its sentences with their vectors. Where the encoder tells its own
vectors of pieces, the fit starts from these, and pieces that the corpus does not have keep theirs.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from threadpoolctl import threadpool_limits

from assets_config.contract.wordpiece import WordPiece, words
from pipelines.knowledge.encoders import Encodes
from pipelines.knowledge.passages import SENTENCE_END

RIDGE = 0.3
MOST_FITTED = 6_000
"""Pieces that are fitted, the most frequent first: the normal equations have as many rows and columns."""
MOST_SENTENCES = 7_000
MOST_WORDS = 20_000
ROWS_AT_ONCE = 512
NOT_PROSE = re.compile(r"^\s*(```|\||[-=]{3,}|#)")


class QueryTable(Struct, frozen=True):
    """The table: vector of piece n is rows[n] * scales[n], and counts weights[n] times."""

    vocabulary: Sequence[str]
    rows: np.ndarray  # int8, [pieces, dimensions]
    scales: np.ndarray  # float32, [pieces]
    weights: np.ndarray  # float32, [pieces]: the rarer a piece is in the corpus, the more it counts

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of length one, float32 of shape [texts, dimensions]; of zeros where no piece is known."""
        tokens, table = WordPiece(self.vocabulary), self.rows * self.scales[:, None]
        found = np.zeros((len(texts), self.rows.shape[1]), np.float32)
        for n, text in enumerate(texts):
            ids = tokens.encode(text)
            found[n] = self.weights[ids] @ table[ids]
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)


def sentences(texts: Sequence[str]) -> list[str]:
    """The sentences of prose, each once, at most MOST_SENTENCES, evenly from all texts."""
    found: dict[str, None] = {}
    for text in texts:
        for line in re.split(r"\n{2,}", text):
            if not NOT_PROSE.match(line):
                found.update(dict.fromkeys(each for each in SENTENCE_END.split(" ".join(line.split())) if 20 <= len(each) <= 400))
    listed = list(found)
    step = max(math.ceil(len(listed) / MOST_SENTENCES), 1)
    return listed[::step]


def vocabulary_of(texts: Sequence[str]) -> list[str]:
    """Pieces for an encoder that tells none: the corpus's most frequent words, and single letters for what is left."""
    counts = Counter(word for text in texts for word in words(text))
    common = [word for word, _ in sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:MOST_WORDS]]
    letters = sorted({letter for word in counts for letter in word if len(letter.encode()) <= 4})[:2_000]
    return list(dict.fromkeys(["[UNK]", *common, *letters, *(f"##{letter}" for letter in letters)]))


def fitted(encodes: Encodes, texts: Sequence[str], vectors: np.ndarray, *, chunks: int) -> QueryTable:
    """The table for texts and the vectors that the encoder gave them; the first `chunks` of them are those that are searched."""
    vocabulary = encodes.vocabulary if encodes.vocabulary is not None else vocabulary_of(texts)
    tokens = WordPiece(vocabulary)
    bags = [Counter(tokens.encode(text)) for text in texts]
    frequency = np.zeros(len(vocabulary))
    for bag in bags[:chunks]:
        frequency[list(bag)] += 1
    weights = np.log((1 + chunks) / (1 + frequency)).astype(np.float32) + 1
    if tokens.unknown is not None:
        weights[tokens.unknown] = 0
    table = np.zeros((len(vocabulary), vectors.shape[1]), np.float32)
    if encodes.words is not None:
        table += encodes.words / np.linalg.norm(encodes.words, axis=1).mean()
    used = np.zeros(len(vocabulary))
    for bag in bags:
        used[list(bag)] += 1
    chosen = np.argsort(-used, kind="stable")[: min(MOST_FITTED, int((used > 0).sum()))]
    with threadpool_limits(1, user_api="blas"):
        table[chosen] += _ridge(bags, vectors, table, weights, chosen)
    scales = np.maximum(np.abs(table).max(axis=1), 1e-12) / 127
    return QueryTable(vocabulary, np.rint(table / scales[:, None]).astype(np.int8), scales.astype(np.float32), weights)


def _ridge(
    bags: Sequence[Counter[int]], vectors: np.ndarray, table: np.ndarray, weights: np.ndarray, chosen: np.ndarray
) -> np.ndarray:
    """What to add to the table's chosen rows, so that each text's pieces sum to its vector; the less, the larger RIDGE."""
    place = {int(piece): n for n, piece in enumerate(chosen)}
    normal = np.zeros((len(chosen), len(chosen)), np.float32)
    right = np.zeros((len(chosen), table.shape[1]), np.float32)
    for first in range(0, len(bags), ROWS_AT_ONCE):
        some = bags[first : first + ROWS_AT_ONCE]
        rows = np.zeros((len(some), len(chosen)), np.float32)
        left = vectors[first : first + len(some)].astype(np.float32).copy()
        for n, bag in enumerate(some):
            ids = np.fromiter(bag, np.int64, len(bag))
            values = np.fromiter(bag.values(), np.float32, len(bag)) * weights[ids]
            values /= max(float(np.linalg.norm(values)), 1e-12)
            left[n] -= values @ table[ids]
            for piece, value in zip(ids.tolist(), values, strict=True):
                if piece in place:
                    rows[n, place[piece]] = value
        normal += rows.T @ rows
        right += rows.T @ left
    normal[np.diag_indices_from(normal)] += RIDGE
    found: np.ndarray = np.linalg.solve(normal, right)
    return found
