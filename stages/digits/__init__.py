"""Code that the stages share; it imports none of them."""
