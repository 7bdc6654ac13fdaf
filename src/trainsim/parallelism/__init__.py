"""HOW a step is laid out: degrees of parallelism, pipeline schedules, precision, optimizer, placement of layers."""
