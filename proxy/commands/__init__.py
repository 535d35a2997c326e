"""What do the commands of the command line do that talk to a running proxy, or show much?"""
