"""What the commands of continuous integration share."""
