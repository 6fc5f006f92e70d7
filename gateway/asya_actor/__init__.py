"""The worker: runs one Python handler behind its queue; and the crew that ends, pauses and resumes tasks."""
