"""planning/alert -> planning/notification_preference, notification_template, notification, notification_delivery."""
