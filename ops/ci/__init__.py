"""The commands of continuous integration: one file for each make target. The workflows only call these."""
