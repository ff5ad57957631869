"""What jobs will take: memory, time and disk, guessed, probed and measured."""
