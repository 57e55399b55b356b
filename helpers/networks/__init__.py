"""Data, architectures, training, checkpoints, and the activations that networks give."""
