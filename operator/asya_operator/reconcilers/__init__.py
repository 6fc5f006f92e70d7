"""Acts on the cluster: compares its state with the one that `domain` decides on, and applies the difference."""
