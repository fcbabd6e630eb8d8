"""What is kept of a run: the journal, its rows, the files, the budget."""
