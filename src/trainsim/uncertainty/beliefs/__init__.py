"""Distributions laid over the paths of a spec, their correlations, and the files that hold them."""
