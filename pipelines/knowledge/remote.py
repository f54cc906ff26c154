"""Vectors from a server that speaks the embeddings API of OpenAI: OpenAI itself, Ollama, vLLM and others. Of the pipeline alone."""

import time
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np

from assets_config.knowledge import RemoteEncoder
from pipelines.errors import PipelineError

TRIES = 5
LONGEST_WAIT = 30.0
AGAIN = (408, 409, 425, 429, 500, 502, 503, 504)


class Remote:
    """The encoder that a server is."""

    vocabulary: Sequence[str] | None = None
    words: np.ndarray | None = None

    def __init__(self, declared: RemoteEncoder, key: str, *, pause: float = 1.0) -> None:
        """`key` is sent where it is not empty; `pause` [s] is the first wait before a further try, each next one twice as long."""
        self._declared = declared
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._pause = pause
        self.dimensions = declared.dimensions
        self.identity = f"openai_compatible {declared.base_url} {declared.model} {declared.dimensions}"

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of length one, float32 of shape [texts, dimensions], in the order of the texts.

        Raises PipelineError, naming the server, when it still fails after TRIES, refuses, or gives something else than asked for.
        """
        found = np.empty((len(texts), self.dimensions), np.float32)
        with httpx.Client(timeout=self._declared.timeout, headers=self._headers) as client:
            for first in range(0, len(texts), self._declared.batch):
                batch = list(texts[first : first + self._declared.batch])
                found[first : first + len(batch)] = self._vectors(self._ask(client, batch), len(batch))
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)

    def _ask(self, client: httpx.Client, batch: list[str]) -> Any:
        url, why = f"{self._declared.base_url.rstrip('/')}/embeddings", ""
        body = {"model": self._declared.model, "input": batch, "encoding_format": "float"}
        for tried in range(TRIES):
            wait = min(self._pause * 2**tried, LONGEST_WAIT)
            try:
                answer = client.post(url, json=body)
            except httpx.HTTPError as error:
                why = f"{type(error).__name__}: {error}"
            else:
                if answer.is_success:
                    return self._json(answer)
                why = f"status {answer.status_code}: {answer.text[:300]}"
                if answer.status_code not in AGAIN:
                    raise self._error(why)
                after = answer.headers.get("Retry-After", "")
                wait = min(float(after), LONGEST_WAIT) if after.isdigit() else wait
            if tried + 1 < TRIES:
                time.sleep(wait)
        raise self._error(f"it was asked {TRIES} times; the last answer was {why}")

    def _json(self, answer: httpx.Response) -> Any:
        try:
            return answer.json()
        except ValueError as error:
            raise self._error(f"it answers no JSON: {answer.text[:100]}") from error

    def _vectors(self, said: Any, count: int) -> np.ndarray:
        try:
            rows = sorted(said["data"], key=lambda each: each["index"])
            found = np.array([each["embedding"] for each in rows], np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise self._error(f"its answer has no list of vectors: {error}") from error
        if found.shape != (count, self.dimensions):
            raise self._error(
                f"it gave vectors of shape {found.shape} for {count} texts; knowledge.yaml says {self.dimensions} dimensions"
            )
        if not np.isfinite(found).all():
            raise self._error("it gave numbers that are not finite")
        return found

    def _error(self, why: str) -> PipelineError:
        return PipelineError(f"encoder openai_compatible: {self._declared.base_url}, model {self._declared.model}: {why}")
