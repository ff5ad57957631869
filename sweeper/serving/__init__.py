"""Pages that a child process serves on this machine: started, waited for, and ended whole."""
