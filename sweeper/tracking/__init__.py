"""What the tracking store is told, in order, whatever it does; and what it knows already."""
