"""The commands around the program: one file for each make target, and the code that they share in ``lib``."""
