"""What a task is and what may happen to it. No web framework, driver or queue system is imported here."""
