"""Batches of the landing zone (a folder, the inbox, posts, a generator's knobs) -> typed lines of each kind, month by month.

land      what gets into the landing zone from this side
audit     what happened to each batch, and so which of them count
load      the ledger over both: taking in, switching source, reading what was not read
batch     one batch read: relation (a file as text) -> shape (wide, lookups) -> typed (columns, faults) -> pieces
synthetic the generator
"""
