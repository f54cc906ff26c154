"""features/panel + models.yaml -> what every model type would have forecast at past cutoffs, and how wrong it was."""
