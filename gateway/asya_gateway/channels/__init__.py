"""Delivers the changes of tasks to where their callers want them: one host for every channel."""
