"""Rolling origins, anchored at the end of the data: the last fold ends on the last day."""

import msgspec

from assets_config.declared import Evaluation


class Fold(msgspec.Struct, frozen=True):
    """One cutoff with its test window, as half-open ranges of day columns."""

    number: int  # 0 is the oldest
    train_start: int
    train_end: int  # the cutoff is day train_end - 1
    test_start: int
    test_end: int


def folds(days: int, evaluation: Evaluation) -> list[Fold]:
    """As many folds as were asked for and the data allow, oldest first; empty when not one fits.

    Test windows have `horizon` days and do not overlap; training ends `gap` days before each.

    >>> [(f.train_end, f.test_end) for f in folds(100, Evaluation(horizon=14, n_splits=2, min_train_size=30))]
    [(72, 86), (86, 100)]
    """
    found = []
    for n in range(evaluation.n_splits):
        test_end = days - n * evaluation.horizon
        test_start = test_end - evaluation.horizon
        train_end = test_start - evaluation.gap
        if train_end < evaluation.min_train_size:
            break
        train_start = train_end - evaluation.min_train_size if evaluation.strategy == "sliding" else 0
        found.append((train_start, train_end, test_start, test_end))
    return [Fold(number, *bounds) for number, bounds in enumerate(reversed(found))]
