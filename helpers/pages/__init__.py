"""What only the book needs: figures, phrases, the ledger, and how pages are run and published."""
