"""Learning rate and distributed processes, for contrastive training and for training of the MLLM."""
