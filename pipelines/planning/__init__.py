"""Stock policies, risks and orders, store clusters, alerts and what is sent of them: from forecasts, stock and sales."""
