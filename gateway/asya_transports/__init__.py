"""Queues: publish with confirmation, receive, acknowledge, declare. This package imports none of the programs.

`port.py` defines the interface, each folder implements it for one queue system, and tests/contract/test_transports.py
tests all of them in the same way.
"""
