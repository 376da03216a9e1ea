"""A network as a document, and on disk."""
