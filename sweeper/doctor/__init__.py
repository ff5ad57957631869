"""What is wrong on this machine, asked before a sweep finds out: a line each, with what to do."""
