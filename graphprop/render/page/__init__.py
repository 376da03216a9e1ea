"""The page: a picture that plays its passes and tells its numbers."""
