"""The contract: what users write and what travels between programs, as pydantic models and plain data.

Everything here is pure computation; it imports pydantic and the standard library alone, so that every
program (gateway, operator, worker, CLI) may import it.
"""
