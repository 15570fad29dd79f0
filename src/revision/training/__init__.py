"""What contrastive training and the training of the MLLM share: the learning rate and the processes of one batch."""
