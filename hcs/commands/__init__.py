"""One module a command, by the name that the command line gives it: what a command does, without its options' words."""
