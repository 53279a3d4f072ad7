"""``make doctor``: whether a stack works, as seen from the laptop, and what mends what does not."""
