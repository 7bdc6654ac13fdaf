"""Search for the fastest or cheapest layout, and solve for what a budget and a deadline allow."""
