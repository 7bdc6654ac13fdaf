"""Token mixers other than attention: recurrences over a state, and short convolutions; one kind per file."""
