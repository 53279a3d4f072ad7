"""What continuous integration does, each a make target: the workflows in .github/workflows only call these."""
