"""Queues: publish with confirmation, receive, acknowledge, declare. A leaf: it imports none of the programs.

`port.py` states the promise, each folder or module beside it keeps it for one queue system, and
tests/contract/test_transports.py holds every one of them to the same sentences.
"""
