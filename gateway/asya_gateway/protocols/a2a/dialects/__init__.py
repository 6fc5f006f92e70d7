"""One codec for each dialect of A2A: pure functions between the wire's JSON and the model."""
