"""The contract between the pipelines, which publish, and serving, which reads.

Imports the standard library and msgspec only, so that both sides load it in a blink:

names       stages, asset keys, states and other closed lists of words
tables      one Struct a published table, in column order
manifest    what a snapshot says of itself, and the axes of its KPI cubes
expressions the arithmetic that a KPI may be written in
jobs        what may be launched over the API, with the Struct of each job's parameters
layout      where things lie under the data root
"""
