"""The forward pass of a small BERT of sentences, in numpy: mean of the last layer's vectors, of length one.

Reads model.safetensors as it is: eight bytes of length, a header in JSON, numbers. Nothing is downloaded.
"""

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from threadpoolctl import threadpool_limits

from assets_config.contract.integrity import sha256
from assets_config.contract.wordpiece import WordPiece
from pipelines.errors import PipelineError

MOST_PIECES = 256
BATCH = 16
DTYPES = {"F32": "<f4", "F16": "<f2"}


class MiniLM:
    """The encoder of one folder."""

    def __init__(self, folder: Path, *, digest: str, heads: int) -> None:
        """Raises PipelineError, naming the file, where one is missing, damaged, or has another checksum than `digest`."""
        weights, vocabulary = folder / "model.safetensors", folder / "vocab.txt"
        for path in (weights, vocabulary):
            if not path.is_file():
                raise PipelineError(f"encoder minilm_local: there is no {path}: name a folder with model.safetensors and vocab.txt")
        found = sha256(weights)
        if found != digest:
            raise PipelineError(f"encoder minilm_local: {weights} has the SHA-256 {found}, knowledge.yaml says {digest}")
        self._heads = heads
        self._weights = _tensors(weights)
        self.vocabulary = vocabulary.read_text(encoding="utf-8").split("\n")
        if self.vocabulary[-1] == "":
            self.vocabulary.pop()
        self.words = self._weights["embeddings.word_embeddings.weight"]
        if len(self.vocabulary) != len(self.words):
            raise PipelineError(
                f"encoder minilm_local: {vocabulary} has {len(self.vocabulary)} pieces, the weights {len(self.words)}"
            )
        self._tokens = WordPiece(self.vocabulary)
        self._layers = 1 + max(int(name.split(".")[2]) for name in self._weights if name.startswith("encoder.layer."))
        self.identity = f"minilm_local {digest}"
        self.dimensions = int(self.words.shape[1])

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of length one, float32 of shape [texts, dimensions]. What is past 256 pieces of a text is not read."""
        ids = [self._framed(text) for text in texts]
        order = sorted(range(len(ids)), key=lambda n: len(ids[n]))
        batches = [order[first : first + BATCH] for first in range(0, len(order), BATCH)]
        found = np.empty((len(texts), self.dimensions), np.float32)
        # One thread a product and a batch a core: BLAS's own threads wait for each other in a spin.
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count() or 1) as threads:
            for batch, vectors in zip(
                batches, threads.map(lambda batch: self._forward([ids[n] for n in batch]), batches), strict=True
            ):
                found[batch] = vectors
        return found

    def _framed(self, text: str) -> list[int]:
        known = self._tokens.ids
        return [known["[CLS]"], *self._tokens.encode(text)[: MOST_PIECES - 2], known["[SEP]"]]

    def _forward(self, ids: Sequence[Sequence[int]]) -> np.ndarray:
        w, longest = self._weights, max(map(len, ids))
        padded = np.zeros((len(ids), longest), np.int64)
        mask = np.zeros((len(ids), longest), np.float32)
        for n, each in enumerate(ids):
            padded[n, : len(each)] = each
            mask[n, : len(each)] = 1
        x = (
            self.words[padded]
            + w["embeddings.position_embeddings.weight"][:longest]
            + w["embeddings.token_type_embeddings.weight"][0]
        )
        x = _normed(x, w, "embeddings.LayerNorm")
        ignored = (1 - mask)[:, None, None, :] * np.float32(-1e9)
        for layer in range(self._layers):
            x = self._layer(x, ignored, f"encoder.layer.{layer}")
        total = (x * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]
        norms: np.ndarray = np.linalg.norm(total, axis=1, keepdims=True)
        return total / np.maximum(norms, 1e-12)

    def _layer(self, x: np.ndarray, ignored: np.ndarray, name: str) -> np.ndarray:
        w, (rows, length, width) = self._weights, x.shape
        per_head = width // self._heads

        def heads(part: str) -> np.ndarray:
            projected = _linear(x, w, f"{name}.attention.self.{part}")
            return projected.reshape(rows, length, self._heads, per_head).transpose(0, 2, 1, 3)

        scores = heads("query") @ heads("key").transpose(0, 1, 3, 2) / np.float32(math.sqrt(per_head)) + ignored
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ heads("value")
        mixed = mixed.transpose(0, 2, 1, 3).reshape(rows, length, width)
        x = _normed(x + _linear(mixed, w, f"{name}.attention.output.dense"), w, f"{name}.attention.output.LayerNorm")
        inner = _gelu(_linear(x, w, f"{name}.intermediate.dense"))
        return _normed(x + _linear(inner, w, f"{name}.output.dense"), w, f"{name}.output.LayerNorm")


def _linear(x: np.ndarray, w: dict[str, np.ndarray], name: str) -> np.ndarray:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def _normed(x: np.ndarray, w: dict[str, np.ndarray], name: str) -> np.ndarray:
    x = x - x.mean(-1, keepdims=True)
    spread = np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(1e-12))
    return x / spread * w[f"{name}.weight"] + w[f"{name}.bias"]


def _gelu(x: np.ndarray) -> np.ndarray:
    """x times the normal distribution at x. numpy has no erf: that of Abramowitz and Stegun 7.1.26, to 1.5e-7."""
    z = np.abs(x) * np.float32(math.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * z)
    poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * np.float32(1.061405429)))))
    erf = 1 - poly * np.exp(-z * z)
    return x * np.float32(0.5) * (1 + np.sign(x) * erf)


def _tensors(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file, as float32. Raises PipelineError, where the file is not one."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 0 < length < 10_000_000:
                raise ValueError("its header has no sensible length")
            header: dict[str, Any] = msgspec.json.decode(file.read(length))
            body = np.frombuffer(file.read(), np.uint8)
        found = {}
        for name, said in header.items():
            if name != "__metadata__" and said["dtype"] in DTYPES:
                first, last = said["data_offsets"]
                values = body[first:last].view(DTYPES[said["dtype"]]).reshape(said["shape"])
                found[name.removeprefix("bert.")] = np.ascontiguousarray(values, np.float32)
    except (AttributeError, ValueError, KeyError, TypeError, msgspec.MsgspecError) as error:
        raise PipelineError(f"encoder minilm_local: {path} is not readable as safetensors: {error}") from error
    return found
