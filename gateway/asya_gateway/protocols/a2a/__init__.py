"""A2A: flows as skills of an agent. One model, and a codec for each dialect of the protocol."""
