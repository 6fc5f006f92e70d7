"""The one checker of JSON Schema (2020-12): whether a schema can be used, and where a value breaks it.

Gateway and operator both ask it, so that what one accepts the other serves. It needs jsonschema-rs beside the
contract.
"""
