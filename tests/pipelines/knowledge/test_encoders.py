"""Encoders: the forward pass against plain loops, a real server that misbehaves, and a cache that encodes a text once."""

import json
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from assets_config.contract.wordpiece import WordPiece, words
from assets_config.declared import load_declarations
from assets_config.entries import DeclarationError
from assets_config.knowledge import LocalEncoder, RemoteEncoder
from pipelines.errors import PipelineError
from pipelines.knowledge import encoders
from pipelines.knowledge.encoders import Cache, encoder
from pipelines.knowledge.minilm import MiniLM
from pipelines.knowledge.remote import TRIES, Remote
from tests.knowledge import HEADS, INNER, LAYERS, WIDTH, small_encoder

TEXTS = ["stores sell", "a store, and its stock: 12 of them!", "x", "stores sell stores sell stores"]


@pytest.fixture
def small(tmp_path: Path) -> LocalEncoder:
    return small_encoder(tmp_path / "model", ["stores", "sell", "store", "stock"])


def opened(declared: LocalEncoder) -> MiniLM:
    return MiniLM(Path(declared.folder), digest=declared.sha256, heads=declared.heads)


def test_pieces_are_the_longest_that_the_vocabulary_has() -> None:
    tokens = WordPiece(["[UNK]", "un", "##believ", "##able", "##a", "b", "é", "漢"])

    assert tokens.encode("Unbelievable") == [1, 2, 3]
    assert tokens.encode("ba b qq 漢b") == [5, 4, 5, 0, 7, 5]
    assert tokens.encode("\0  \n") == []
    assert tokens.encode("b" * 101) == [0]


@given(st.text(max_size=200))
def test_any_text_has_words_and_pieces(text: str) -> None:
    tokens = WordPiece(["[UNK]", *(chr(n) for n in range(33, 127))])

    assert len(tokens.encode(text)) == len(list(words(text)))


def test_the_forward_pass_is_what_plain_loops_compute(small: LocalEncoder) -> None:
    model = opened(small)

    assert np.abs(model.encode(TEXTS) - np.array([plainly(model, text) for text in TEXTS])).max() < 2e-5


def test_a_vector_does_not_depend_on_what_is_encoded_beside_it(small: LocalEncoder) -> None:
    model = opened(small)
    many = [f"stores sell {n}" * (1 + n % 7) for n in range(40)]

    together, alone = model.encode(many), np.concatenate([model.encode([text]) for text in many])

    assert np.abs(together - alone).max() < 1e-5
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert model.encode(["stores " * 5_000]).shape == (1, WIDTH)


def test_other_weights_or_a_missing_file_are_refused(small: LocalEncoder) -> None:
    with pytest.raises(PipelineError, match="SHA-256"):
        opened(structs.replace(small, sha256="0" * 64))
    (Path(small.folder) / "vocab.txt").unlink()
    with pytest.raises(PipelineError, match=r"there is no .*vocab\.txt"):
        opened(small)


@pytest.mark.parametrize("content", [b"", b"\x00" * 8, (2).to_bytes(8, "little") + b"[]", (9).to_bytes(8, "little") + b'{"a": {}}'])
def test_a_damaged_file_is_named(small: LocalEncoder, content: bytes) -> None:
    from assets_config.contract.integrity import sha256

    path = Path(small.folder) / "model.safetensors"
    path.write_bytes(content)

    with pytest.raises(PipelineError, match=r"model\.safetensors"):
        opened(structs.replace(small, sha256=sha256(path)))


def test_a_text_is_encoded_once_and_only_what_is_used_is_kept(small: LocalEncoder, tmp_path: Path) -> None:
    model = opened(small)
    first = Cache(tmp_path / "kept", model)
    made = first.vectors(["a", "b", "a"])

    again = Cache(tmp_path / "kept", model)
    found = again.vectors(["b", "c", "a"])
    again.keep_only(["c", "b"])
    last = Cache(tmp_path / "kept", model)
    last.vectors(["c", "b", "a"])

    assert (first.encoded, again.encoded, last.encoded) == (2, 1, 1)
    assert np.array_equal(found[[2, 0]], made[[0, 1]])
    assert np.array_equal(made[0], made[2])


def test_a_killed_run_goes_on_where_it_was(small: LocalEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "AT_ONCE", 2)
    model, texts = opened(small), [f"text {n}" for n in range(6)]
    whole = model.encode(texts)

    class Dying:
        identity, dimensions, vocabulary, words = model.identity, model.dimensions, model.vocabulary, model.words
        calls = 0

        def encode(self, some: Any) -> np.ndarray:
            self.calls += 1
            if self.calls == 3:
                raise KeyboardInterrupt
            return model.encode(some)

    with pytest.raises(KeyboardInterrupt):
        Cache(tmp_path / "kept", Dying()).vectors(texts)
    after = Cache(tmp_path / "kept", model)

    assert np.abs(after.vectors(texts) - whole).max() < 1e-5
    assert after.encoded == 2


Reply = Callable[[dict[str, Any], int], tuple[int, Any]]


@contextmanager
def serving(reply: Reply) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server on this machine that answers as told; gives its address and what it was asked."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append({"path": self.path, "key": self.headers.get("Authorization"), **body})
            status, said = reply(body, len(asked))
            content = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
    finally:
        server.shutdown()
        server.server_close()


def lengths(body: dict[str, Any], _: int) -> tuple[int, Any]:
    """Two dimensions a text, told in reverse order."""
    rows = [{"index": n, "embedding": [float(len(text)), 1.0]} for n, text in enumerate(body["input"])]
    return 200, {"data": rows[::-1]}


def test_a_server_is_asked_in_batches_and_its_order_is_ours() -> None:
    with serving(lengths) as (url, asked):
        found = Remote(RemoteEncoder(url, "m", 2, batch=2), "a-key").encode(["a", "bbb", "cc"])

    assert np.allclose(found, [[each / math.hypot(each, 1), 1 / math.hypot(each, 1)] for each in (1, 3, 2)])
    assert [(each["path"], each["model"], each["input"]) for each in asked] == [
        ("/v1/embeddings", "m", ["a", "bbb"]), ("/v1/embeddings", "m", ["cc"]),
    ]  # fmt: skip
    assert {each["key"] for each in asked} == {"Bearer a-key"}


def test_a_server_that_is_busy_is_asked_again() -> None:
    with serving(lambda body, n: (503 if n == 1 else 429, {}) if n < 3 else lengths(body, n)) as (url, asked):
        Remote(RemoteEncoder(url, "m", 2), "", pause=0).encode(["a"])

    assert len(asked) == 3
    assert asked[0]["key"] is None


@pytest.mark.parametrize(
    ("reply", "why", "times"),
    [
        ((500, {}), "asked 5 times.*status 500", TRIES),
        ((401, {"error": "no such key"}), "status 401.*no such key", 1),
        ((200, b"<html>"), "no JSON", 1),
        ((200, {}), "no list of vectors", 1),
        ((200, {"data": [{"index": 0, "embedding": [1.0, 2.0, 3.0]}]}), "shape.*2 dimensions", 1),
        ((200, {"data": []}), "shape", 1),
        ((200, {"data": [{"index": 0, "embedding": [1.0, "x"]}]}), "no list of vectors", 1),
        ((200, b'{"data": [{"index": 0, "embedding": [1.0, NaN]}]}'), "finite", 1),
    ],
)
def test_a_server_that_fails_is_named_with_the_reason(reply: tuple[int, Any], why: str, times: int) -> None:
    with serving(lambda body, n: reply) as (url, asked), pytest.raises(PipelineError, match=f"{url}, model m: .*{why}"):
        Remote(RemoteEncoder(url, "m", 2), "secret-key", pause=0).encode(["a"])

    assert len(asked) == times


def test_a_server_that_is_not_there_is_named_and_no_key_is_told() -> None:
    with pytest.raises(PipelineError, match=r"127\.0\.0\.1:9.*asked 5 times") as caught:
        Remote(RemoteEncoder("http://127.0.0.1:9/v1", "m", 2), "secret-key", pause=0).encode(["a"])

    assert "secret-key" not in str(caught.value)


def test_the_encoder_is_declared_and_a_mistake_is_named(tmp_path: Path, small: LocalEncoder) -> None:
    assert encoder(load_declarations().encoder, key="") is None

    declared = f"{{type: minilm_local, folder: {small.folder}, sha256: '{small.sha256}', heads: {HEADS}}}"
    (tmp_path / "knowledge.yaml").write_text(f"encoder: {declared}")
    assert load_declarations(tmp_path).encoder == small

    for wrong in (
        "{type: magic}",
        "{type: minilm_local}",
        "{type: openai_compatible, base_url: http://me:secret@x, model: m, dimensions: 2}",
    ):
        (tmp_path / "knowledge.yaml").write_text(f"encoder: {wrong}")
        with pytest.raises(DeclarationError, match=r"knowledge\.yaml: entry"):
            load_declarations(tmp_path)


def plainly(model: MiniLM, text: str) -> list[float]:
    """The vector of one text by loops over numbers, as the paper on BERT has it."""
    w = {name: values.tolist() for name, values in model._weights.items()}
    ids = model._framed(text)
    parts = [w[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")]
    x = [norm(add(add(parts[0][token], parts[1][n]), parts[2][0]), w, "embeddings.LayerNorm") for n, token in enumerate(ids)]
    for layer in range(LAYERS):
        name, size = f"encoder.layer.{layer}", WIDTH // HEADS
        q, k, v = ([linear(each, w, f"{name}.attention.self.{part}") for each in x] for part in ("query", "key", "value"))
        mixed = [[0.0] * WIDTH for _ in x]
        for head in range(HEADS):
            part = range(head * size, head * size + size)
            for n in range(len(x)):
                scores = [math.exp(sum(q[n][i] * k[m][i] for i in part) / math.sqrt(size)) for m in range(len(x))]
                for i in part:
                    mixed[n][i] = sum(score * v[m][i] for m, score in enumerate(scores)) / sum(scores)
        x = [
            norm(add(x[n], linear(mixed[n], w, f"{name}.attention.output.dense")), w, f"{name}.attention.output.LayerNorm")
            for n in range(len(x))
        ]
        for n in range(len(x)):
            inner = [each * 0.5 * (1 + math.erf(each / math.sqrt(2))) for each in linear(x[n], w, f"{name}.intermediate.dense")]
            assert len(inner) == INNER
            x[n] = norm(add(x[n], linear(inner, w, f"{name}.output.dense")), w, f"{name}.output.LayerNorm")
    mean = [sum(each[i] for each in x) / len(x) for i in range(WIDTH)]
    return [each / math.sqrt(sum(other * other for other in mean)) for each in mean]


def linear(x: list[float], w: dict[str, Any], name: str) -> list[float]:
    return [
        sum(a * b for a, b in zip(x, row, strict=True)) + bias
        for row, bias in zip(w[f"{name}.weight"], w[f"{name}.bias"], strict=True)
    ]


def norm(x: list[float], w: dict[str, Any], name: str) -> list[float]:
    mean = sum(x) / len(x)
    spread = math.sqrt(sum((each - mean) ** 2 for each in x) / len(x) + 1e-12)
    return [(each - mean) / spread * a + b for each, a, b in zip(x, w[f"{name}.weight"], w[f"{name}.bias"], strict=True)]


def add(a: list[float], b: list[float]) -> list[float]:
    return [x + y for x, y in zip(a, b, strict=True)]
