"""The command `demandgraph`: starts the pipelines and the API as processes of their own, and imports neither."""
