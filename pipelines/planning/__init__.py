"""Facts and forecasts -> stock policies, risks and orders; store clusters; alerts; season plans; what if."""
