"""What people run around the program; the program imports nothing from here."""
