"""The four actors at a flow's ends and pauses, and the keeper of dead letters: the programs that end tasks."""
