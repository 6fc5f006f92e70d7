"""Benchmarks: the gateway compared with the machine's own programs in the same run."""
