"""Which batches the tables are made of, and reading those that were not read yet."""

import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import duckdb
import msgspec

from assets_config.contract.cells import columns
from assets_config.contract.durable import locked, remove_leftovers, write_bytes
from assets_config.contract.kinds import KINDS
from assets_config.contract.landing import Batch, Landing
from assets_config.contract.seeds import BASE, ENRICHMENT, SEED_KIND, Seed, SeedAppendParams
from assets_config.declared import Declarations, Generator
from assets_config.mapping import FileSource
from pipelines.errors import SourceError
from pipelines.sources.audit import Audit, event
from pipelines.sources.batch import Batches, Loaded, read_batch, signature
from pipelines.sources.land import STILL, is_posted, land_folder, land_inbox, land_seed, waiting
from pipelines.sources.origin import LANDED, source
from pipelines.warehouse import Origin, Warehouse, quoted

LEFT_ALONE = 3600
"""Seconds after which a half-written batch in the landing zone is nobody's any more: whoever received it was killed."""
DAYS = {column.name for kind in KINDS.values() for column in columns(kind.rows) if column.type == "day"}
FACTS = ("sales-daily", "inventory", "prices", "promotions", "holidays", *ENRICHMENT)


class Ledger:
    """The batches of a warehouse: which there are, which are active, what became of them."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.landing = Landing(warehouse.root)
        self.audit = Audit(self.landing.audit)
        self.batches = Batches(warehouse)

    def active(self) -> list[Batch]:
        """The batches that the tables are made of, in the order that decides which of two rows holds."""
        states = self.audit.states()
        return [
            batch for batch in self.landing.batches() if batch.batch_id in states and states[batch.batch_id].state != "retracted"
        ]

    def take_in(self, run_id: str | None = None) -> dict[str, str]:
        """Make active what was posted or lies in the inbox; gives the files of the inbox that cannot be taken, and why."""
        for folder in self.landing.folder.glob("*/"):
            remove_leftovers(folder, older_than=LEFT_ALONE)
        dropped, refused = land_inbox(self.landing, waiting(self.landing))
        known = self.audit.states()
        came = [batch for batch in self.landing.batches() if is_posted(batch)] + dropped
        new = {batch.batch_id: batch for batch in came if batch.batch_id not in known}.values()
        again = [batch for batch in dropped if batch.batch_id in known and known[batch.batch_id].state == "retracted"]
        self.audit.append(event(batch, "received", run_id=run_id) for batch in [*new, *again])
        return refused

    def land(self, origin: Origin, declarations: Declarations) -> list[Batch]:
        """Keep the batches of a source; they are not active yet. Raises SourceError, when a file is missing."""
        if origin.name == LANDED:
            return []
        declared = source(declarations, origin)
        if isinstance(declared, Generator):
            return self.land_seed(_seed(declared), origin)
        assert origin.path is not None
        return land_folder(self.landing, declared, Path(origin.path))

    def look_again(self, origin: Origin, declarations: Declarations) -> list[Batch]:
        """Keep what the folder of the loaded source holds now, if it is there and nobody writes to it; none else.

        Raises SourceError, when a file is missing.
        """
        declared = declarations.sources.get(origin.name)
        if not isinstance(declared, FileSource) or origin.path is None or not Path(origin.path).is_dir():
            return []
        if any(time.time() - path.stat().st_mtime < STILL for path in Path(origin.path).iterdir()):
            return []
        return land_folder(self.landing, declared, Path(origin.path))

    def land_seed(self, seed: Seed, origin: Origin) -> list[Batch]:
        """Keep a generator's batch, beside what was appended to the same seed."""
        chosen = [land_seed(self.landing, seed, origin.name)]
        if self.warehouse.origin() == origin:
            chosen += [batch for batch in self.active() if batch.kind == SEED_KIND and _base(self._seed_of(batch)) == _base(seed)]
        return chosen

    def switch(self, chosen: Sequence[Batch], origin: Origin, *, run_id: str | None = None, anew: bool = False) -> None:
        """Make the batches of a source active; where it is another source than before, or `anew`, nothing else stays active.

        Of the same source, batches become inactive whose file is there no more, or has other content now.
        """
        same = self.warehouse.origin() == origin and not anew
        active, wanted = self.active(), {batch.batch_id for batch in chosen}
        if origin.name != LANDED:
            before = set(self._roster()) if same else {batch.batch_id for batch in active}
            left = [batch for batch in active if batch.batch_id in before - wanted]
            self.audit.append(event(batch, "retracted", detail=f"source {origin.name} was loaded", run_id=run_id) for batch in left)
        known = {batch.batch_id for batch in active}
        new = [batch for batch in chosen if batch.batch_id not in known]
        self.audit.append(event(batch, "received", detail=f"source {origin.name}", run_id=run_id) for batch in new)
        self.warehouse.set_origin(origin)
        write_bytes(self._roster_file, msgspec.json.encode(sorted(wanted)))

    def _roster(self) -> list[str]:
        """The batches that the loaded source gave last, beside which posted ones count."""
        try:
            return msgspec.json.decode(self._roster_file.read_bytes(), type=list[str])
        except FileNotFoundError:
            return []

    @property
    def _roster_file(self) -> Path:
        return self.warehouse.folder / "sources" / "roster.json"

    def append(self, params: SeedAppendParams, *, run_id: str | None = None) -> Batch:
        """Generate the days that follow. Raises SourceError where nothing was generated, or the days do not follow."""
        newest = max(self._seeds(), key=lambda seed: seed.end)
        following = newest.end + timedelta(days=1)
        if params.start_date != following or params.end_date < params.start_date:
            raise SourceError(
                f"generated days end on {newest.end}: append from {following} on, not {params.start_date} to {params.end_date}"
            )
        seed = msgspec.structs.replace(newest, end=params.end_date, since=params.start_date, noise_seed=params.seed)
        return self._activate(land_seed(self.landing, seed, f"{seed.preset}_append"), run_id)

    def enrich(self, *, run_id: str | None = None) -> list[Batch]:
        """Generate the enrichment tables of every generated batch. Raises SourceError where nothing was generated."""
        plain = [seed for seed in self._seeds() if not set(ENRICHMENT) & set(seed.tables)]
        return [
            self._activate(
                land_seed(self.landing, msgspec.structs.replace(seed, tables=ENRICHMENT), f"{seed.preset}_enrich"), run_id
            )
            for seed in plain
        ]

    def delete(self, scope: str, *, run_id: str | None = None) -> int:
        """Take generated rows out: all of them, or the facts only. Gives the number of batches that went.

        Raises SourceError, when no sales would be left; nothing is taken out then.
        """
        active = self.active()
        generated = [batch for batch in active if batch.kind == SEED_KIND]
        if not any(self._has_sales(batch) for batch in active if batch.kind != SEED_KIND):
            raise SourceError("no sales would be left to serve: bring your own in first, or generate others in their place")
        for batch in generated:
            seed = self._seed_of(batch)
            left = tuple(table for table in seed.tables if table not in FACTS) if scope == "facts" else ()
            if left:
                self._activate(
                    land_seed(self.landing, msgspec.structs.replace(seed, tables=left), f"{seed.preset}_dimensions"), run_id
                )
        self.audit.append(event(batch, "retracted", detail=f"deleted: {scope}", run_id=run_id) for batch in generated)
        return len(generated)

    def _has_sales(self, batch: Batch) -> bool:
        loaded = self.batches.loaded(batch.batch_id)
        return loaded is not None and any(piece.table in ("sales-daily", "historical-sales") for piece in loaded.pieces)

    def reactivate(self, batch_id: str, *, run_id: str | None = None) -> Batch:
        """A batch that is to be read again, active. Raises SourceError, when there is none."""
        batch = self.landing.find(batch_id)
        if batch is None:
            raise SourceError(f"no batch has the id {batch_id}")
        if batch_id not in {each.batch_id for each in self.active()}:
            self._activate(batch, run_id)
        return batch

    def read(
        self,
        wanted: Sequence[Batch],
        declarations: Declarations,
        connection: duckdb.DuckDBPyConnection,
        *,
        again: Sequence[str] = (),
        run_id: str | None = None,
    ) -> list[Loaded]:
        """Read those batches that were not read yet, whose mapping changed, or that are to be read `again`."""
        with locked(self.batches.folder / ".lock"):
            return self._read(wanted, declarations, connection, again, run_id)

    def _read(
        self,
        wanted: Sequence[Batch],
        declarations: Declarations,
        connection: duckdb.DuckDBPyConnection,
        again: Sequence[str],
        run_id: str | None,
    ) -> list[Loaded]:
        remove_leftovers(self.batches.folder)
        made, told = [], self.audit.states()
        for batch in wanted:
            known = self.batches.loaded(batch.batch_id)
            if known is not None and known.signature == signature(batch, declarations) and batch.batch_id not in again:
                continue
            if batch.batch_id in told and told[batch.batch_id].state != "retracted":
                self.audit.append([event(batch, "validating", run_id=run_id)])
            made.append(read_batch(self.batches, batch, declarations, connection, run_id=run_id, replay=batch.batch_id in again))
        return made

    def check(self, chosen: Sequence[Batch]) -> None:
        """Raises SourceError, when a batch of the chosen source cannot be used at all, or not one row of it can."""
        for batch in chosen:
            loaded = self.batches.loaded(batch.batch_id)
            if loaded is not None and loaded.failure:
                raise SourceError(loaded.failure)
            if loaded is not None and not loaded.pieces and loaded.rejected:
                raise SourceError(self._hopeless(batch, loaded))

    def _hopeless(self, batch: Batch, loaded: Loaded) -> str:
        with duckdb.connect() as connection:
            path = quoted(self.batches.path(batch.batch_id) / "rejects.parquet")
            found = connection.execute(f"FROM read_parquet('{path}') ORDER BY row LIMIT 1").fetchall()[0]
        file, row, code, field, value, _ = found
        said = (
            f"not one of {sum(loaded.rejected.values())} rows of {file} is usable; the first, row {row}: {code} in "
            f"{field or 'the line'} (value {value!r})"
        )
        if code == "INVALID_TYPE" and field in DAYS:
            said += f"; days are 2024-01-31 unless sources.yaml says otherwise, as in {field}: {{formats: ['%d.%m.%Y']}}"
        return said

    def _activate(self, batch: Batch, run_id: str | None) -> Batch:
        if batch.batch_id not in {each.batch_id for each in self.active()}:
            self.audit.append([event(batch, "received", run_id=run_id)])
        return batch

    def _seeds(self) -> list[Seed]:
        found = [self._seed_of(batch) for batch in self.active() if batch.kind == SEED_KIND]
        if not any(set(BASE) & set(seed.tables) for seed in found):
            raise SourceError("nothing was generated here: start with a seed job, or `demandgraph materialize --preset NAME`")
        return found

    def _seed_of(self, batch: Batch) -> Seed:
        return msgspec.json.decode(self.landing.files(batch)[0].read_bytes(), type=Seed)


def _seed(declared: Generator) -> Seed:
    return Seed(**{name: getattr(declared, name) for name in Seed.__struct_fields__})


def _base(seed: Seed) -> Seed:
    """A seed without what append and enrichment change of it."""
    first = {"end": seed.start, "since": None, "tables": BASE, "noise_seed": None}
    return msgspec.structs.replace(seed, **first)
