"""What the pipelines and the serving API agree on: declarations in YAML and the contract of what is published."""
