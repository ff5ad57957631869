"""What a data set holds, counted, and what in it looks wrong."""
