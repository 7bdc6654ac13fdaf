"""Pictures of answers; needs the ``plots`` extra and is imported by nothing."""
