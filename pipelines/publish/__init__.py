"""Warehouse tables -> one immutable snapshot: check against the contract, checksum, write, point."""
