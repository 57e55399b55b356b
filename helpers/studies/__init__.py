"""What is computed and recorded: one module for each kind of study, on one store."""
