"""Distributions of one number: parametric, composed, intervals."""
