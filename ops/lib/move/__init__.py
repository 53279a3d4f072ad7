"""A move of the database or of the object store from one mode to another."""
