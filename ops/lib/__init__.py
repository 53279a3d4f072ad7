"""Code that the commands share: kubectl, Pulumi, port-forwards, the client of a stack, recordings of the program."""
