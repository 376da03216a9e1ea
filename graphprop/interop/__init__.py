"""Doors to other libraries: networks from what they hold, and back; each is imported when it is called."""
