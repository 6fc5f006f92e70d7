"""How cost grows with rows, open tasks, streams, updates, flows and pods (`python -m bench.scale`)."""
