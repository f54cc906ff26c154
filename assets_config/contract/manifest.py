"""What a snapshot says of itself.

published/current.json            Pointer: which snapshot is served
published/turn                    changes whenever the pointer is moved
published/snapshots/<id>.json     Manifest: written once
published/parts/<key>/            the files of a part: tables.duckdb; for `facts_<year>` cubes.json with cube_<grain>.npy too,
                                  for `kpis` cubes.json alone, for `registry` artifacts/<run_id>.<suffix>
"""

from datetime import date, datetime

from msgspec import Struct

from assets_config.contract.names import Unit


class File(Struct, frozen=True):
    """One file of a part."""

    bytes: int
    sha256: str


class Part(Struct, frozen=True):
    """One immutable folder under `published/parts/`, shared by every snapshot whose inputs are the same."""

    key: str
    files: dict[str, File]  # path within the part -> size and checksum
    tables: dict[str, int]  # table -> rows
    dataset_id: str
    made_at: datetime


class Measure(Struct, frozen=True):
    """An additive measure: a column of kpi_daily and the last axis of every cube. Money is counted in cents there."""

    name: str
    unit: Unit
    meaning: str


class Kpi(Struct, frozen=True):
    """A KPI: arithmetic over sums of measures, in the language of `contract.expressions`."""

    name: str
    expression: str
    unit: Unit
    direction: str  # up, down or none: which way is good
    meaning: str


class Check(Struct, frozen=True):
    """What an asset check last found before the snapshot was published."""

    asset: str
    name: str
    passed: bool
    severity: str  # error or warn
    at: datetime
    dagster_run_id: str


class Manifest(Struct, frozen=True):
    """A snapshot: what it is made of, from which data, by which run."""

    id: str  # sorts by time: 20260102T030405Z-1a2b3c4d
    schema_version: str
    package_version: str
    published_at: datetime
    dagster_run_id: str | None
    source: str  # entry of sources.yaml
    dataset_id: str
    first_day: date  # first and last day of sales
    as_of: date
    parts: dict[str, Part]
    measures: list[Measure]
    kpis: list[Kpi]
    omitted: dict[str, str]  # part that could not be published -> why
    checks: list[Check] = []  # the newest result of each asset check, up to the moment of publishing


class Pointer(Struct, frozen=True):
    """The content of current.json."""

    snapshot: str
    published_at: datetime


class Grain(Struct, frozen=True):
    """One cube: an int64 array of shape [len(axis) for axis in axes] + [days, measures].

    Cell [..., d, m] is the sum of measure m on day d.
    """

    axes: list[str]
    file: str
    bytes: int


class Cubes(Struct, frozen=True):
    """The content of cubes.json: which cubes exist and what their axes mean.

    That of the part `kpis` spans all years and names every store and product; that of a part `facts_<year>` has the days
    and members with rows in that year only, and the arrays.
    """

    first_day: date
    days: int
    measures: list[str]
    axes: dict[str, list[str | int]]  # store and product: ids; category, department, region: names, UNKNOWN for null
    grains: dict[str, Grain]
