"""An outage played live, with a person who decides what is done about it."""
