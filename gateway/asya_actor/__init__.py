"""The worker, which runs one Python handler behind its queue, and the crew, which ends, pauses and resumes tasks."""
