"""The JSON Schema (2020-12) checker: whether a schema can be used, and where a value breaks it.

Gateway and operator both use it, so that the gateway serves every flow that the operator accepts. It needs
jsonschema-rs in addition to the contract.
"""
