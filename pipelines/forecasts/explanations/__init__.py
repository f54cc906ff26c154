"""forecasts/forecast and the fits behind it -> forecasts/forecast_explanation: parts that add up, caveats, confidence."""
