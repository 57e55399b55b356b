"""What only the book needs: figures, phrases, claims and verdicts, and how pages are run and published."""
