"""When and up to what is ordered: safety stock, reorder point, order-up-to level. Plain arithmetic on arrays, one entry a series.

The reorder point covers the demand of the lead time, the undershoot (what demand takes the position below it before a review
sees it; none where every sale is looked at) and the safety stock, z times the root of (lead time + review) x variance a day
+ (mean a day x deviation of the lead time)^2. The variance of the undershoot counts where it passes that of a review's demand.
"""

import math
from statistics import NormalDist

import msgspec
import numpy as np

NORMAL = NormalDist()
TAIL = 1.5**0.5  # three lead times, the mean and this many standard deviations off, have that standard deviation


class Supply(msgspec.Struct, frozen=True):
    """How S series are supplied."""

    service_level: np.ndarray  # [S] ratio
    lead_time: np.ndarray  # [S] int, days
    lead_time_sd: np.ndarray  # [S] days
    moq: np.ndarray  # [S] int, units, at least 1
    pack: np.ndarray  # [S] int, units, at least 1
    cycle: np.ndarray  # [S] units that an order brings at least


def z_of(service_level: np.ndarray) -> np.ndarray:
    """How many standard deviations a service level asks for."""
    levels, places = np.unique(service_level, return_inverse=True)
    return np.array([NORMAL.inv_cdf(float(level)) for level in levels])[places]


def normal_cdf(x: np.ndarray) -> np.ndarray:
    """Probability that a standard normal is at most x, of the shape of x."""
    return np.array([0.5 * math.erfc(-each / 2**0.5) for each in np.ravel(x).tolist()]).reshape(np.shape(x))


def normal_loss(x: np.ndarray) -> np.ndarray:
    """Expected excess of a standard normal over x."""
    density = np.exp(-np.square(x) / 2) / (2 * np.pi) ** 0.5
    return np.maximum(density - x * (1 - normal_cdf(x)), 0)


def lead_time_sigma(demand_sd: np.ndarray, mean: np.ndarray, lead_time_sd: np.ndarray) -> np.ndarray:
    """Standard deviation of demand over a lead time that varies; `demand_sd` is that over lead time and review, in units."""
    return np.sqrt(np.square(demand_sd) + np.square(mean * lead_time_sd))


def daily_deviation(sigma: np.ndarray, mean: np.ndarray, lead_time_sd: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Standard deviation of one day's demand, where `lead_time_sigma` made `sigma` of that over `days`, lead time and review."""
    return np.sqrt(np.maximum(np.square(sigma) - np.square(mean * lead_time_sd), 0) / days)


def safety_stock(service_level: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Units kept beyond the mean demand until the next order arrives, of which `sigma` is the standard deviation."""
    return z_of(service_level) * sigma


def undershoot(mean: np.ndarray, daily_sd: np.ndarray, review_days: int) -> tuple[np.ndarray, np.ndarray]:
    """Units that the position lies below the reorder point when a review finds it there: their mean, and their variance.

    Those of the excess of a renewal process whose steps are the demand D between reviews: E[D^2] / 2E[D], and
    E[D^3] / 3E[D] less its square, with the moments of a normal D.
    """
    demand, variance = mean * review_days, np.square(daily_sd) * review_days
    mean_below = np.divide(np.square(demand) + variance, 2 * demand, out=np.zeros_like(mean), where=demand > 0)
    return mean_below, np.maximum((np.square(demand) + 3 * variance) / 3 - np.square(mean_below), 0)


def upper_quantile(samples: np.ndarray, level: np.ndarray) -> np.ndarray:
    """The ceil((n + 1) level)-th smallest of each row, of those that are not NaN; the largest where there is none so high."""
    ordered = np.sort(samples, axis=1)  # NaN goes last
    count = (~np.isnan(samples)).sum(axis=1)
    rank = np.clip(np.ceil((count + 1) * level).astype(int), 1, np.maximum(count, 1))
    return ordered[np.arange(len(samples)), rank - 1]


def fill_rate(service_stock: np.ndarray, sigma: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Share of demand served from the shelf, where an order of that many units is a cycle."""
    ratio = np.divide(service_stock, sigma, out=np.zeros_like(sigma), where=sigma > 0)
    missed = sigma * normal_loss(ratio)
    return np.clip(1 - np.divide(missed, order, out=np.zeros_like(sigma), where=order > 0), 0, 1)


def economic_quantity(yearly: np.ndarray, order_cost: float, holding: np.ndarray) -> np.ndarray:
    """The order that costs least, at a cost an order and a cost a unit and year of holding; 0 where holding costs nothing."""
    return np.sqrt(np.divide(2 * order_cost * yearly, holding, out=np.zeros_like(yearly), where=holding > 0))


def newsvendor(mean: float, sd: float, *, price: float, cost: float, salvage: float) -> float:
    """The one order for a normal demand that costs least; 0 where nothing is earned, without a bound where nothing is lost.

    >>> round(newsvendor(120, 10, price=30, cost=12, salvage=10), 4)  # under-age 18, over-age 2
    132.8155
    """
    under, over = price - cost, cost - salvage
    if under <= 0:
        return 0.0
    return max(mean + sd * NORMAL.inv_cdf(under / (under + over)), 0.0) if over > 0 else math.inf


def packs_of(units: np.ndarray, pack: np.ndarray) -> np.ndarray:
    """Whole packs that hold these units, in units."""
    return np.ceil(np.maximum(units, 0) / pack).astype(np.int64) * pack


def order_quantity(
    position: np.ndarray,
    reorder_point: np.ndarray,
    order_up_to: np.ndarray,
    max_stock: np.ndarray,
    moq: np.ndarray,
    pack: np.ndarray,
) -> np.ndarray:
    """Units to order now: whole packs, at least `moq`, up to the target; 0 above the reorder point.

    Never brings the position above `max_stock` by a whole pack.
    """
    wanted = packs_of(np.maximum(moq, order_up_to - position), pack)
    return np.where(position <= reorder_point, np.minimum(wanted, packs_of(max_stock - position, pack)), 0)
