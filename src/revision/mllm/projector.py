"""The projector T_phi: one embedding becomes one visual token (section 5, appendix H)."""

from torch import Tensor, nn


class Projector(nn.Module):
    """Two-layer MLP with GELU from the encoder's space R^d into the LLM's embedding space R^h.

    The incoming unit-norm rows are scaled by sqrt(d), so that a coordinate has unit order at any d.
    """

    def __init__(self, dim: int, hidden_size: int) -> None:
        super().__init__()
        self.scale = dim**0.5
        self.layers = nn.Sequential(nn.Linear(dim, hidden_size), nn.GELU(), nn.Linear(hidden_size, hidden_size))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Map embeddings [n, d] to visual tokens [n, h]."""
        return self.layers(embeddings * self.scale)
