"""What runs lean on outside of Dagster, as far as the snapshot tells: the encoder of documents, and channels of notifications.

Nobody is asked: what the last run found there is what is known of it.
"""

from datetime import UTC, datetime
from typing import get_args

import msgspec
from msgspec import Struct

from assets_config.contract.knowledge import KNOWLEDGE, Index
from assets_config.contract.notifications import Channel
from serving.layers.reads import note
from serving.snapshot import Snapshot

ENCODER = "encoder"
CHANNELS = get_args(Channel)
LAST = """SELECT channel, outcome, detail, coalesce(ended_at, began_at)
FROM notifications.notification_delivery JOIN notifications.notification USING (notification_id)
QUALIFY row_number() OVER (PARTITION BY channel ORDER BY began_at DESC, attempt DESC) = 1 ORDER BY channel"""


class Seen(Struct, frozen=True):
    """One of them, when it was last used."""

    name: str
    is_ok: bool
    detail: str | None  # what is wrong
    at: datetime


async def outward(lease: Snapshot) -> list[Seen]:
    """The encoder, where there is one, and each channel that something was sent by."""
    found = []
    index = index_of(lease)
    if index is not None and index.encoder is not None:
        found.append(Seen(ENCODER, True, None, lease.manifest.parts[KNOWLEDGE].made_at))
    if "notifications" in lease.manifest.parts:
        for channel, outcome, detail, at in await lease.query(LAST):
            is_ok = outcome == "delivered"
            found.append(Seen(channel, is_ok, None if is_ok else f"The last attempt: {detail}", at.replace(tzinfo=UTC)))
        note("notifications")
    return found


def index_of(lease: Snapshot) -> Index | None:
    """How the documents are indexed; None where none are published."""
    note(KNOWLEDGE)
    if KNOWLEDGE not in lease.manifest.parts:
        return None
    try:
        return msgspec.json.decode((lease.folder(KNOWLEDGE) / "index.json").read_bytes(), type=Index)
    except FileNotFoundError:  # a damaged part: reads of it say so
        return None
