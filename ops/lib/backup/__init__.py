"""Backup and restore, as the commands of the Makefile use them."""
