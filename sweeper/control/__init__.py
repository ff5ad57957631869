"""What runs next, and the loop that carries it out."""
