"""What a task is and what may happen to it. Decides; imports no web framework, no driver, no queue system."""
