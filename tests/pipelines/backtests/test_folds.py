import itertools

from hypothesis import given
from hypothesis import strategies as st

from assets_config.declared import Evaluation
from pipelines.backtests.folds import folds


@given(
    days=st.integers(1, 400),
    horizon=st.integers(1, 90),
    n_splits=st.integers(1, 20),
    gap=st.integers(0, 30),
    strategy=st.sampled_from(["expanding", "sliding"]),
)
def test_folds_end_with_the_data_and_never_overlap(days: int, horizon: int, n_splits: int, gap: int, strategy: str) -> None:
    evaluation = Evaluation(horizon=horizon, n_splits=n_splits, gap=gap, strategy=strategy, min_train_size=30)  # type: ignore[arg-type]

    found = folds(days, evaluation)

    assert len(found) <= n_splits
    assert [fold.number for fold in found] == list(range(len(found)))
    for fold in found:
        assert fold.train_end - fold.train_start >= 30
        assert fold.test_start - fold.train_end == gap
        assert fold.test_end - fold.test_start == horizon
    assert not found or found[-1].test_end == days
    for earlier, later in itertools.pairwise(found):
        assert earlier.test_end == later.test_start
