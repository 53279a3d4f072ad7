"""The messages about wrong settings: what is wrong, what is allowed, and the command that writes it."""
