"""Sessions that end at the server's side, in virtual time: one by one, or all that an old worker has."""
