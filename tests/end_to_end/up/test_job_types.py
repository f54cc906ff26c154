"""Every job type that is not of a season was taken to its end by the files before this one; a new one is named by what fails."""

import pytest

from tests.end_to_end.job_types import OF_A_SEASON, OF_UP, check_that_it_ended
from tests.end_to_end.running import Running


@pytest.mark.parametrize("job_type", OF_UP)
def test_a_job_of_each_type_ended_with_the_result_that_its_type_says(up: Running, job_type: str) -> None:
    check_that_it_ended(up, job_type)


def test_no_other_types_are_offered(up: Running) -> None:
    assert {each["name"] for each in up.read("/jobs/types")["items"]} == {*OF_UP, *OF_A_SEASON}
