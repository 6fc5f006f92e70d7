"""The gateway: protocols at the edge, tasks and their log in the middle, Postgres and queues behind them."""
