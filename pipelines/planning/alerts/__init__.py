"""What planning, accuracy, batches and the registry say -> planning/alert_rule, alert_signal, alert."""
