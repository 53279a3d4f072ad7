"""The component resources of the stack, one concept a file."""
