"""The plain task API: call a tool, read, list, cancel, resume and stream tasks."""
