"""Projector, budget and optimiser of language model training and of the two stages, and lists of trainings."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from revision.config.base import Count, Fraction, Natural, NonNegative, Positive, Settings

Schedule = Literal["cosine", "constant"]


class ProjectorSettings(Settings):
    """Visual tokens that the projector makes of one embedding.

    Attributes
    ----------
    tokens : int
        Different visual tokens; the projector's second layer has this many outputs.
    copies : int
        How often these tokens are repeated. The authors' code repeats one token 576 times; the paper does not say so.
    """

    tokens: Count = 1
    copies: Count = 1


class LoopSettings(Settings):
    """Budget and optimiser of one training, the same for all methods that a table compares (Appendix H).

    Attributes
    ----------
    epochs : int
        Passes over the data.
    batch_size : int
        Rows of a step, over all processes.
    learning_rate, weight_decay : float
        Peak learning rate and weight decay of AdamW.
    warmup_ratio : float
        Fraction of the steps that warm up linearly.
    schedule : {"cosine", "constant"}
        Learning rate after the warm-up: cosine decay to zero, or constant, so that a step does not depend on how many
        follow.
    clip_norm : float
        Largest norm of the gradient.
    checkpoint_every, validate_every : int
        Steps between stored states, and between validations.
    precision : {"no", "bf16", "fp16"}
        Mixed precision of accelerate; "no" is float32.
    fused : bool
        Whether to use torch's fused AdamW.
    micro_batch_size : int, optional
        Rows of one forward pass of one process; saves memory and does not change the result.
    """

    epochs: Count
    batch_size: Count
    learning_rate: Positive
    weight_decay: NonNegative = 0.0
    warmup_ratio: Fraction = 0.03
    schedule: Schedule = "cosine"
    clip_norm: Positive = 1.0
    checkpoint_every: Count = 500
    validate_every: Count = 200
    precision: Literal["no", "bf16", "fp16"] = "no"
    fused: bool = False
    micro_batch_size: Count | None = None


class Stage1Training(Settings):
    """One training of Stage 1, modality substitution pretraining; all paths are relative to the working directory.

    Attributes
    ----------
    llm : str
        Folder of the language model.
    embeddings : str
        Embedding set of the captions: aligned text embeddings, or image embeddings of the paired baseline.
    captions : str
        Corpus table of the captions.
    validation_embeddings, validation_captions : str
        Embeddings of held-out images, and the corpus table with their captions.
    out : str
        Folder of the checkpoint.
    column : {"short", "long"}
        Column of the captions.
    rows : int, optional
        Number of captions to use, from the first row.
    seed : int
        Seed of the projector's initial weights, of the batches and of the noise.
    noise : float
        Standard deviation of the Gaussian noise of each coordinate of `embeddings`, drawn anew at every step.
    reference : str, optional
        Embedding set of unpaired images. If given, the bias of the projector's first layer is corrected after training
        by the difference between the mean of `embeddings` and that of this set.
    """

    llm: str
    embeddings: str
    captions: str
    validation_embeddings: str
    validation_captions: str
    out: str
    column: Literal["short", "long"] = "short"
    rows: Count | None = None
    seed: Natural = 0
    noise: NonNegative = 0.0
    reference: str | None = None

    def reads(self) -> list[str]:
        """Return the paths that the training reads."""
        validation = [self.validation_embeddings, self.validation_captions]
        return [self.llm, self.embeddings, self.captions, *validation, *filter(None, [self.reference])]


class Stage2Training(Settings):
    """One training of Stage 2, visual instruction tuning; all paths are relative to the working directory.

    Attributes
    ----------
    start : str
        Stage-1 checkpoint, or a language model, which then gets a new projector.
    instructions, validation_instructions : str
        Corpus tables with the columns id, question and answer; the second is held out.
    out : str
        Folder of the checkpoint.
    embeddings : str, optional
        Image embeddings of the instructions.
    texts : str, optional
        Text embeddings of the same rows, for those that have no image. With neither this nor `embeddings`, a language
        model becomes the text-only row (Blind).
    images : float
        Fraction of the instructions that have their image, if both are given.
    validation_embeddings : str, optional
        Image embeddings of the held-out instructions; None only for a text-only model.
    share : float
        Fraction of the instructions to use, from the first row.
    seed : int
        Seed of a new projector and of the batches.
    """

    start: str
    instructions: str
    validation_instructions: str
    out: str
    embeddings: str | None = None
    texts: str | None = None
    images: Fraction = 1.0
    validation_embeddings: str | None = None
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: Natural = 0

    def reads(self) -> list[str]:
        """Return the paths that the training reads."""
        visual = filter(None, [self.embeddings, self.texts, self.validation_embeddings])
        return [self.start, self.instructions, self.validation_instructions, *visual]


def _require_separate(trainings: list) -> list:
    folders = [training.out for training in trainings]
    repeated = sorted({folder for folder in folders if folders.count(folder) > 1})
    if repeated:
        raise ValueError(f"out: {', '.join(repeated)} is given twice; each training needs a folder of its own")
    return trainings


_Trainings = (Field(min_length=1), AfterValidator(_require_separate))


class PretrainSections(Settings):
    """Settings of `revision pretrain`."""

    loop: LoopSettings
    projector: ProjectorSettings = ProjectorSettings()
    trainings: Annotated[list[Stage1Training], *_Trainings]


class FinetuneSections(Settings):
    """Settings of `revision finetune`; `projector` is that of trainings that start from a language model."""

    loop: LoopSettings
    projector: ProjectorSettings = ProjectorSettings()
    trainings: Annotated[list[Stage2Training], *_Trainings]
