"""The projector T_phi, which maps an embedding to visual tokens (Section 5, Appendix H)."""

import torch
from torch import Tensor, nn

from revision.config.training import ProjectorSettings


class Projector(nn.Module):
    """Two-layer MLP with GELU from the encoder's space R^d to one or more visual tokens in R^h.

    Embeddings have unit norm; they are multiplied by sqrt(d), so that coordinates are of order 1 for any d.

    Parameters
    ----------
    dim : int
        Dimension d of the embeddings.
    hidden_size : int
        Dimension h of the LLM's token embeddings.
    settings : ProjectorSettings
        Number of visual tokens and of their copies.
    """

    copies: Tensor

    def __init__(self, dim: int, hidden_size: int, settings: ProjectorSettings) -> None:
        super().__init__()
        self.scale = dim**0.5
        self.settings = settings
        width = hidden_size * settings.tokens
        self.layers = nn.Sequential(nn.Linear(dim, hidden_size), nn.GELU(), nn.Linear(hidden_size, width))
        # Stored with the weights, whose shapes do not determine it.
        self.register_buffer("copies", torch.tensor(settings.copies))

    @property
    def length(self) -> int:
        """Number of visual tokens in the sequence, with copies."""
        return self.settings.tokens * self.settings.copies

    def forward(self, embeddings: Tensor) -> Tensor:
        """Map embeddings of shape (n, d) to visual tokens of shape (n, length, h)."""
        tokens = self.layers(embeddings * self.scale)
        return tokens.unflatten(1, (self.settings.tokens, -1)).repeat(1, self.settings.copies, 1)
