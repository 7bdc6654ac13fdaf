"""Pictures and tables of answers; needs the ``plots`` extra and is imported by no other package."""
