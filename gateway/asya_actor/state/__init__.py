"""A handler's files that are kept in a store: paths below a mount go over HTTP to a connector beside the worker."""
