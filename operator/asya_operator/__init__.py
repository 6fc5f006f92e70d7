"""The operator: from ConfigMap, Flow and AsyncActor resources to a registry that gateways serve."""
