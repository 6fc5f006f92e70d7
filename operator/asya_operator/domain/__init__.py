"""The operator's decisions, without kopf, a Kubernetes client or an HTTP library."""
