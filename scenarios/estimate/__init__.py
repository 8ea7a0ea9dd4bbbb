"""What a storm will come to, in milliseconds: closed forms and a Markov chain instead of a simulation."""
