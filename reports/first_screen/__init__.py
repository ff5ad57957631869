"""What a lead decides from: decision, questions, reasons, what is not true yet, and what to run next, on one screen."""
