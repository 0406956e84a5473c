"""Train and quantise the agent's autoencoders; needs the extra `train`."""
