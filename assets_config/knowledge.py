"""What knowledge.yaml declares: which encoder makes the vectors of the knowledge base."""

from typing import Annotated

from msgspec import Meta, Struct


class NoEncoder(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="none"):
    """No vectors: documents are searched by their words."""


class LocalEncoder(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="minilm_local"):
    """A small BERT of sentences in a folder, computed with numpy."""

    folder: Annotated[str, Meta(min_length=1)]  # with model.safetensors and vocab.txt
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]  # of model.safetensors: other weights are refused
    heads: Annotated[int, Meta(ge=1, le=64)] = 12


class RemoteEncoder(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="openai_compatible"):
    """A server that speaks the embeddings API of OpenAI. Its key stands in the environment, never here."""

    base_url: Annotated[str, Meta(pattern=r"^https?://[^\s/@]+(/[^\s@]*)?$")]
    model: Annotated[str, Meta(min_length=1, max_length=200)]
    dimensions: Annotated[int, Meta(ge=1, le=8192)]  # what it must give
    batch: Annotated[int, Meta(ge=1, le=2048)] = 64  # texts a request
    timeout: Annotated[float, Meta(gt=0, le=600)] = 60  # seconds a request


Encoder = NoEncoder | LocalEncoder | RemoteEncoder
