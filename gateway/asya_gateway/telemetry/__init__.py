"""What the layers tell of what they do: the words, and nothing that shows them. Standard library only."""
