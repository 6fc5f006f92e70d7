"""Amazon SQS: standard queues, messages as existing sidecars send and expect them."""
