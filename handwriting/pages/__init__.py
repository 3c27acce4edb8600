"""How a page is read: a picture -> its ruling, marks and digits, and what is told of them."""
