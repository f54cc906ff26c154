"""A command, features/panel and models/fit -> trials/trial_run, trial_backtest with its folds and metrics, trial_forecast."""
