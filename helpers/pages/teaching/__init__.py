"""Pages as a course: exercises with their checks, statements with their proofs, student notebooks, slides."""
