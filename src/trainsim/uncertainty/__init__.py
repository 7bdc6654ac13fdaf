"""HOW SURE we are: distributions over the numbers of any spec, and the quantiles of a function of it."""
