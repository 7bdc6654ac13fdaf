"""HOW MUCH: takes hours, watts, counts; knows no model."""
