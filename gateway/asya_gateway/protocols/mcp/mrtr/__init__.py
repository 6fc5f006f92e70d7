"""Inputs that a flow needs before it starts (2026-07-28, patterns/mrtr, "Multi Round-Trip Requests")."""
