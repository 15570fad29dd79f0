"""The projector T_phi, which maps an embedding to a visual token (Section 5, Appendix H)."""

from torch import Tensor, nn


class Projector(nn.Module):
    """Two-layer MLP with GELU from the encoder's space R^d to the LLM's embedding space R^h.

    Embeddings have unit norm; they are multiplied by sqrt(d), so that coordinates are of order 1 for any d.

    Parameters
    ----------
    dim : int
        Dimension d of the embeddings.
    hidden_size : int
        Dimension h of the LLM's token embeddings.
    """

    def __init__(self, dim: int, hidden_size: int) -> None:
        super().__init__()
        self.scale = dim**0.5
        self.layers = nn.Sequential(nn.Linear(dim, hidden_size), nn.GELU(), nn.Linear(hidden_size, hidden_size))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Map embeddings of shape (n, d) to visual tokens of shape (n, h)."""
        return self.layers(embeddings * self.scale)
