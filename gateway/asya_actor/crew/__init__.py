"""The crew: the four actors that end, pause and resume tasks, and the consumer of dead letters."""
