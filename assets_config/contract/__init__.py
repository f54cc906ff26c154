"""The contract between the pipelines, which publish, and serving, which reads.

Imports the standard library and msgspec only, so that both sides load it in a blink:

names       stages, states and other closed lists of words
graph       the assets by key, and the sets of them that jobs make
kinds       the rows that may be brought in; landing keeps their bytes
tables      which published table is which Struct, and in which part; the Structs stand in a module a subject, such as forecasts
manifest    what a snapshot says of itself, and the axes of its KPI cubes; pointer moves to it, integrity looks after its files
expressions the arithmetic that a KPI may be written in
jobs        what may be launched over the API, with the Struct of each job's parameters; launch says what run that is
layout      where things lie under the data root; durable writes them whole or not at all
"""
