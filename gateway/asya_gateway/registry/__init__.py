"""What this pod serves: flows.yaml and the pushed registry document, compiled and swapped in whole."""
