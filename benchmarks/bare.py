"""The peer of benchmarks/api.py: a bare Litestar handler that answers a constant Struct, behind nothing."""

from litestar import Litestar, get
from msgspec import Struct


class Constant(Struct, frozen=True):
    """About as large as a KPI answer."""

    total_revenue: float = 46345486.99
    total_units: int = 1795979
    total_transactions: int = 124000
    note: str = "x" * 500


@get("/")
async def constant() -> Constant:
    return Constant()


app = Litestar([constant], openapi_config=None, logging_config=None)
