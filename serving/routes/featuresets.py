"""What do the pooled models see of a series?"""

import datetime
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import Meta, Struct

from assets_config.contract.names import Leak
from serving.filters import product_of, store_of
from serving.formats import table
from serving.paging import Listed, Page, PageSize, page_of
from serving.problems import NotFound
from serving.reply import Metadata, metadata
from serving.snapshot import Snapshot

Rows = Annotated[int, QueryParameter(ge=1, le=100, description="Newest target days of each series.")]


class FeatureSetSaid(Struct, frozen=True):
    """One feature set."""

    name: Annotated[str, Meta(description="Use it in /featuresets/{name}.")]
    hash: Annotated[str, Meta(description="Differs when the features do.")]
    about: str
    features: Annotated[int, Meta(description="Number of features.")]


class FeatureSaid(Struct, frozen=True):
    """One feature."""

    name: str
    group: Annotated[str, Meta(description="Field of features.yaml that makes it.")]
    leak: Annotated[Leak, Meta(description="What it may know; known_ahead may lie after the origin.")]
    meaning: str


class FeatureSetAnswer(Struct, frozen=True):
    """One feature set with its features, in the order of their columns."""

    name: str
    hash: str
    about: str
    features: list[FeatureSaid]
    feature_groups: Annotated[dict[str, list[str]], Meta(description="Names of the features by group.")]
    metadata: Metadata


class PreviewRow(Struct, frozen=True):
    """The features of one series on one target day."""

    store_id: int
    product_id: int
    date: Annotated[datetime.date, Meta(description="Target day.")]
    origin: Annotated[datetime.date, Meta(description="Last day that was known.")]
    features: dict[str, float | None]


@table("/featuresets", operation_id="list_feature_sets", tags=["featuresets"])
async def list_feature_sets(lease: NamedDependency[Snapshot], page: Page = 1, page_size: PageSize = 20) -> Listed[FeatureSetSaid]:
    """The feature sets that models may learn from, by name.

    /featuresets/{name}/preview has sample rows.
    """
    rows = await lease.rows("features", "feature_catalog", "true ORDER BY feature_set, position")
    counts: dict[tuple[str, str, str], int] = {}
    for row in rows:
        key = row["feature_set"], row["hash"], row["about"]
        counts[key] = counts.get(key, 0) + 1
    found = [FeatureSetSaid(*key, count) for key, count in counts.items()]
    return page_of(found, page, page_size, metadata(lease, "features"))


@get("/featuresets/{name:str}", operation_id="get_feature_set", tags=["featuresets"])
async def get_feature_set(lease: NamedDependency[Snapshot], name: FromPath[str]) -> FeatureSetAnswer:
    """One feature set: each feature with its meaning and what it may know."""
    rows = await _rows(lease, name)
    groups: dict[str, list[str]] = {}
    for row in rows:
        groups.setdefault(row["feature_group"], []).append(row["feature"])
    features = [FeatureSaid(row["feature"], row["feature_group"], row["leak"], row["meaning"]) for row in rows]
    return FeatureSetAnswer(name, rows[0]["hash"], rows[0]["about"], features, groups, metadata(lease, "features"))


@table("/featuresets/{name:str}/preview", operation_id="preview_feature_set", tags=["featuresets"])
async def preview_feature_set(
    lease: NamedDependency[Snapshot],
    name: FromPath[str],
    store: FromQuery[str | None] = None,
    product: FromQuery[str | None] = None,
    rows: Rows = 10,
    page: Page = 1,
    page_size: PageSize = 20,
) -> Listed[PreviewRow]:
    """Sample rows, as of the day before each target day, of the series that sold most; oldest first within a series."""
    await _rows(lease, name)
    where = ["feature_set = ?"]
    values: list[Any] = [name]
    for text, find, column in ((store, store_of, "store_id"), (product, product_of, "product_id")):
        if text is not None:
            where.append(f"{column} = ?")
            values.append(find(lease, text))
    newest = "row_number() OVER (PARTITION BY store_id, product_id ORDER BY date DESC) <= ?"
    condition = f"{' AND '.join(where)} QUALIFY {newest} ORDER BY store_id, product_id, date"
    found: list[dict[str, Any]] = await lease.rows("features", "feature_preview", condition, [*values, rows])
    said = [
        PreviewRow(row["store_id"], row["product_id"], row["date"], row["origin"], msgspec.json.decode(row["features"]))
        for row in found
    ]
    return page_of(said, page, page_size, metadata(lease, "features"))


async def _rows(lease: Snapshot, name: str) -> list[dict[str, Any]]:
    rows = await lease.rows("features", "feature_catalog", "feature_set = ? ORDER BY position", [name])
    if not rows:
        raise NotFound(f"No feature set is called '{name}'; /api/v1/featuresets lists them.")
    return rows
