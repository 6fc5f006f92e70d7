"""The gateway: protocols at the edge, one door and one log in the middle, Postgres and queues behind."""
