"""Code that the commands of continuous integration share."""
