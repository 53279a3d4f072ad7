"""What is built from the settings: a folder for each part of the stack."""
