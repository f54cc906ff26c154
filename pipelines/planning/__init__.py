"""Facts and forecasts -> what to buy, where it goes and what it costs: plans, and what if."""
