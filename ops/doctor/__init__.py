"""``make doctor``: check whether a stack works, and show the command that fixes what does not."""
