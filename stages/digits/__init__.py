"""What we know about digits: shared by the stages, imports none of them."""
