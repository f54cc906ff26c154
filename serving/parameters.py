"""Parameters that many routes have, each described once."""

from datetime import date
from typing import Annotated

from litestar.params import PathParameter, QueryParameter

from assets_config.contract.names import Segment

OfStore = Annotated[str | None, QueryParameter(description="Only this store: code, id or external id; see /dimensions/stores.")]
OfProduct = Annotated[
    str | None, QueryParameter(description="Only this product: SKU, id or external id; see /dimensions/products.")
]
OfCategory = Annotated[str | None, QueryParameter(description="Only this category; see /dimensions/categories.")]
OfModelType = Annotated[str | None, QueryParameter(description="Only this type of model; see /registry/model-types.")]
OfSegment = Annotated[
    Segment | None, QueryParameter(description="Only series with this demand pattern; `all` is of all series together.")
]
FromDay = Annotated[date | None, QueryParameter(description="First day, inclusive, ISO 8601; left out: from the first there is.")]
ToDay = Annotated[date | None, QueryParameter(description="Last day, inclusive, ISO 8601; left out: to the last there is.")]

StorePath = Annotated[str, PathParameter(description="A store: code (S001), id (1) or external id; see /dimensions/stores.")]
ProductPath = Annotated[
    str, PathParameter(description="A product: SKU (SKU-0001), id (1) or external id; see /dimensions/products.")
]
RunPath = Annotated[str, PathParameter(description="run_id of a model run; see /registry/runs. Forecasts call it model_version.")]
SetPath = Annotated[str, PathParameter(description="set_id of a set of forecasts; see /forecasts.")]
JobPath = Annotated[str, PathParameter(description="job_id of a job; see /jobs. Every write answers with one.")]
