"""``make doctor``: checks whether a stack works, and shows the commands that fix what does not."""
