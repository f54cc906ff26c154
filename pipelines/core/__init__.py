"""Typed lines -> one clean table a fact or dimension, and what became of each batch.

lines     the lines of the batches that count, in the order that decides which of two holds
entities  stores and products: where they come from; history keeps every version of them; ids what sources call them
tables    the fact tables, declared; facts makes them, month by month; stockouts what would have been sold
ledger    batches, rejected lines and the audit trail as they are published; quality expectations about the data
"""
