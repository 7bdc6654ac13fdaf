"""Which layout is fastest or cheapest, and what a budget and a deadline allow."""
