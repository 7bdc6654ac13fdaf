"""A run, and what is asked of it: estimate, compare, explain."""
