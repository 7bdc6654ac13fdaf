"""Quantiles by randomised quasi-Monte Carlo, each with its standard error."""
