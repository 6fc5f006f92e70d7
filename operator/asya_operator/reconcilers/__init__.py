"""What acts on the cluster: compares what is with what `domain` decides there should be, and brings it there."""
