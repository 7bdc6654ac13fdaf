"""Claims: a published figure, and the scope of costs that it covers."""
