"""``trainsim app``: a page on this machine that answers typed questions about a run."""
