"""An answer that is kept: its bytes, plain and compressed, its tag, and the snapshots that it holds for."""

import gzip
import hashlib
from datetime import UTC
from functools import lru_cache
from importlib.metadata import version

import msgspec
from msgspec import Struct

from serving.layers.depends import Dependence
from serving.snapshot import Snapshot

Headers = tuple[tuple[bytes, bytes], ...]
PUBLISHED_AT = b'"published_at":'
SMALLEST_COMPRESSED = 1024  # bytes; below it compression saves no packet
COMPRESSIBLE = (b"application/json", b"text/", b"image/svg+xml", b"application/vnd.apache.arrow.stream")
MOST_LEFT = 0.9  # what compression must at least bring the size down to
OVERHEAD = 2048  # bytes that an answer takes beside its bodies, about
_version = version("demandgraph").encode()


class Provenance(Struct, frozen=True):
    """What an answer's metadata says of the publish, as it stands in the body: three pieces of JSON, each there once."""

    snapshot: bytes
    run: bytes
    published: bytes

    def is_all_of(self, answer: "Answer") -> bool:
        """Whether this is all that an answer says of its publish: in the metadata of its body, and nowhere else."""
        pieces, whole = (self.snapshot, self.run, self.published), b"\n".join([answer.body, *(each for _, each in answer.headers)])
        mentions = whole.count(answer.snapshot_id.encode()) + whole.count(PUBLISHED_AT)
        return mentions == 2 and all(answer.body.count(piece) == 1 for piece in pieces)


class Answer(Struct, gc=False):
    """One answer of 200, ready to be sent.

    The garbage collector passes it over, and all that is made for it alone is such that it does so too: there are many, and
    looking at those that came since the last time would take tens of milliseconds.
    """

    snapshot_id: str
    stale: bool
    depends: Dependence
    asked: bytes  # path, query, media type and who asks
    headers: Headers  # without length, encoding and tag
    body: bytes
    said: Provenance  # what metadata says of the publish
    is_silent: bool  # it says nothing of it: its bytes are a function of what it depends on
    route: str
    dataset_id: str | None
    model_version: str | None
    tag: bytes = b""  # strong: equal tags are equal bytes
    gzipped: bytes | None = None
    is_pressed: bool = False
    size: int = 0  # bytes that it takes in memory, about

    def __post_init__(self) -> None:
        snapshot = b"" if self.is_silent else self.snapshot_id.encode()
        said = b"\n".join([_version, self.asked, b"1" if self.stale else b"0", self.depends.digest, snapshot])
        told = hashlib.blake2b(said, digest_size=16)
        self.tag, self.gzipped, self.is_pressed = b'"%b"' % told.hexdigest().encode(), None, False
        self.size = len(self.body) + len(self.asked) + OVERHEAD

    def press(self) -> None:
        """Make the body in gzip; once, when it is first asked for, and the same bytes whenever and wherever it is made.

        There is none of a small body, of one of a form that is compressed already, and where it would save little.
        """
        self.is_pressed = True
        if len(self.body) < SMALLEST_COMPRESSED or not dict(self.headers).get(b"content-type", b"").startswith(COMPRESSIBLE):
            return
        packed = gzip.compress(self.body, 6, mtime=0)
        if len(packed) < MOST_LEFT * len(self.body):
            self.gzipped = packed
            self.size += len(packed)

    def sent(self, *, takes_gzip: bool) -> tuple[Headers, bytes]:
        """What is sent to a client that can read gzip, or cannot; the tag is the last header, and each encoding has its own."""
        if self.gzipped is None or not takes_gzip:
            return (*self.headers, (b"content-length", b"%d" % len(self.body)), (b"etag", self.tag)), self.body
        length, tag = (b"content-length", b"%d" % len(self.gzipped)), (b"etag", self.tag[:-1] + b'-gzip"')
        return (*self.headers, length, (b"content-encoding", b"gzip"), tag), self.gzipped

    def is_of(self, snapshot: Snapshot) -> bool:
        return self.snapshot_id == snapshot.id and self.stale == snapshot.stale

    def of(self, snapshot: Snapshot) -> "Answer | None":
        """This answer as another snapshot gives it: the same, with that one's metadata. None where it has to be computed."""
        if self.stale or snapshot.stale or not self.depends.holds_for(snapshot):
            return None
        body, old, new = self.body, self.said, provenance(snapshot)
        if not self.is_silent:
            if not old.is_all_of(self):
                return None
            for before, after in ((old.snapshot, new.snapshot), (old.run, new.run), (old.published, new.published)):
                body = body.replace(before, after)
        return msgspec.structs.replace(self, snapshot_id=snapshot.id, body=body, said=new)


def keep(
    snapshot: Snapshot,
    depends: Dependence,
    headers: Headers,
    body: bytes,
    *,
    asked: bytes,
    route: str,
    dataset_id: str | None,
    model_version: str | None,
) -> Answer:
    """The answer of a handler, made ready."""
    identity = snapshot.id.encode()
    is_said = body.rfind(identity) >= 0 or body.rfind(PUBLISHED_AT) >= 0 or _are_said_by(identity, headers)
    return Answer(
        snapshot_id=snapshot.id,
        stale=snapshot.stale,
        depends=depends,
        asked=asked,
        headers=headers,
        body=body,
        said=provenance(snapshot),
        is_silent=not is_said,
        route=route,
        dataset_id=dataset_id,
        model_version=model_version,
    )


@lru_cache(maxsize=256)
def _are_said_by(identity: bytes, headers: Headers) -> bool:
    return any(identity in value for _, value in headers)


def provenance(snapshot: Snapshot) -> Provenance:
    """How the metadata of every answer of a snapshot tells where it came from; `serving.reply.Metadata` in JSON."""
    known: Provenance | None = snapshot.memo.get(snapshot.stale)
    if known is not None:
        return known
    manifest, encode = snapshot.manifest, msgspec.json.encode
    published = encode(manifest.published_at.astimezone(UTC))
    made = snapshot.memo[snapshot.stale] = Provenance(
        b'"metadata":{"snapshot_id":%b,"dataset_id":' % encode(manifest.id),
        b'"run_id":%b,"as_of":%b,"generated_at":' % (encode(manifest.dagster_run_id), encode(manifest.as_of)),
        b'"published_at":%b,"stale":%b}' % (published, encode(snapshot.stale)),
    )
    return made
