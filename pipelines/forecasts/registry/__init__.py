"""Fits and their errors -> forecasts/model_type, model_run, model_card, and what people decided: model_alias, model_run_note."""
