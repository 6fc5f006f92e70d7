"""Proves who calls: keys, tokens of other issuers and our own, identity services."""
