"""Compare predictions with published runs, steps and rents."""
