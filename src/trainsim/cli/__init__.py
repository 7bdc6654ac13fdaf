"""The command line; needs no other package than the library's own."""
