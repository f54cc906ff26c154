"""What runs by itself: schedules, sensors, what follows what, and what is said of runs that failed."""
