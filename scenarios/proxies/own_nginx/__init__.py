"""An nginx configuration of the user's own in front of the pods."""
