"""The commands around the program: one file for each make target, and what they share in ``lib``."""
