"""The model `revision` of lmms-eval: one image per question, greedy decoding."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from lmms_eval.api.instance import Instance
from lmms_eval.api.model import lmms

from revision.errors import ConfigError
from revision.evaluation.captioning import VISUAL
from revision.evaluation.images import ImageEmbeddings

NEW_TOKENS = 1024
"""Longest answer if a task does not set one (MMStar): the default of most models in lmms-eval."""
UNUSED = ("temperature", "top_p", "image_aspect_ratio")  # of sampling, and of models that cut images into parts
GENERATION = ("max_new_tokens", "until", "do_sample", "num_beams", "visual", *UNUSED)


class _Question(NamedTuple):
    """What determines an answer; `images` has the rows of the embeddings of which the model reads the mean."""

    prompt: str
    new_tokens: int
    images: tuple[int, ...]


class ReVisionLmms(lmms):
    """A checkpoint as a model of lmms-eval. Each question must have exactly one image.

    Parameters
    ----------
    checkpoint : str or Path
        Folder of a `ReVisionModel`.
    encoder : str or Path, optional
        Folder of the encoder whose embeddings the projector was trained on; not used by a text-only model.
    batch_size : int or str, default 512
        Questions per batch; lmms-eval passes strings.
    device : str, optional
        A torch device; by default all accelerators, else the CPU.
    precision : {"no", "bf16"}
        "bf16" loads the LLM in bfloat16.
    images : ImageEmbeddings, optional
        Embeddings shared by the checkpoints of one process, in place of `encoder`.
    **unknown
        Other arguments of lmms-eval, of which only max_batch_size is accepted (and ignored).

    Raises
    ------
    ConfigError
        For an unknown argument or precision, or if a model with a projector gets neither `encoder` nor `images`.
    DataError
        If the checkpoint is not readable.
    """

    is_simple = True

    def __init__(
        self,
        checkpoint: str | Path,
        encoder: str | Path | None = None,
        batch_size: int | str = 512,
        device: str | None = None,
        precision: str = "no",
        images: ImageEmbeddings | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__()
        unknown.pop("max_batch_size", None)
        if unknown:
            known = "checkpoint, encoder, batch_size, device, precision"
            raise ConfigError(f"model revision: unknown {', '.join(sorted(unknown))}; the arguments are {known}")
        from revision.mllm.model import DTYPES, ReVisionModel, whole_model_device

        if precision not in DTYPES:
            raise ConfigError(f"model revision: precision {precision!r} does not exist; there are {', '.join(DTYPES)}")
        self.batch_size = int(batch_size)
        self._model: Any = ReVisionModel.load(checkpoint, device or whole_model_device(), DTYPES[precision])
        if images is None and encoder is not None:
            images = ImageEmbeddings(encoder)
        if images is None and self._model.projector is not None:
            raise ConfigError(f"model revision: {checkpoint} reads images; give encoder=<folder>")
        self.images = None if self._model.projector is None else images

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """Answer requests by greedy decoding, in batches of similar length; equal requests are answered once.

        Parameters
        ----------
        requests : list of Instance
            lmms-eval's requests, whose generation settings may limit the answer (max_new_tokens, until) and replace the
            image (visual, one of `captioning.VISUAL`). A text-only model never reads an image. An empty prompt asks for
            a caption.

        Returns
        -------
        list of str
            Answers in the order of the requests.

        Raises
        ------
        ConfigError
            If a question does not have exactly one image, or a generation setting is unknown or cannot be met, such as
            sampling.
        DataError
            If an image is not readable.
        """
        questions = self._questions(requests)
        groups: dict[tuple[int, bool], list[_Question]] = {}
        for question in sorted(dict.fromkeys(questions), key=lambda one: (len(one.prompt.split()), one.prompt)):
            groups.setdefault((question.new_tokens, bool(question.images)), []).append(question)
        answers: dict[_Question, str] = {}
        for (new_tokens, reads), group in groups.items():
            for start in range(0, len(group), self.batch_size):
                batch = group[start : start + self.batch_size]
                embeddings = self._embeddings(batch) if reads else None
                texts = self._model.generate([one.prompt for one in batch], embeddings, max_new_tokens=new_tokens)
                answers |= zip(batch, texts, strict=True)
        pairs = zip(requests, questions, strict=True)
        return [_cut(answers[question], request.args[1].get("until") or ()) for request, question in pairs]

    def _questions(self, requests: Sequence[Instance]) -> list[_Question]:
        limits = [_new_tokens(request) for request in requests]
        rows: list[tuple[int, ...]] = [()] * len(requests)
        if self.images is not None:
            keys = [self._key(request) for request in requests]
            self.images.add(self._images(requests, keys))
            rows = [() if key is None else (self.images.row(key),) for key in keys]
            averaged: dict[str, list[int]] = {}
            tasks = [request.args[4] if _visual(request) == "mean" else None for request in requests]
            for task, row in zip(tasks, rows, strict=True):
                if task is not None:
                    averaged.setdefault(task, []).extend(row)
            rows = [row if task is None else tuple(averaged[task]) for task, row in zip(tasks, rows, strict=True)]
        prompts = [request.args[0] for request in requests]
        return [_Question(*parts) for parts in zip(prompts, limits, rows, strict=True)]

    def _embeddings(self, questions: Sequence[_Question]) -> Any:
        import torch

        assert self.images is not None
        return torch.stack([self.images.take(question.images).mean(dim=0) for question in questions])

    def loglikelihood(self, requests: list[Instance]) -> NoReturn:
        """Raise NotImplementedError: the tasks of this package are generative."""
        raise NotImplementedError("model revision answers generate_until tasks only")

    def generate_until_multi_round(self, requests: list[Instance]) -> NoReturn:
        """Raise NotImplementedError: the tasks of this package have one round."""
        raise NotImplementedError("model revision answers generate_until tasks only")

    def clean(self) -> None:
        """Release the weights; lmms-eval calls this after all answers, before it scores them."""
        self._model = None

    def _key(self, request: Instance) -> tuple[str, str, int] | None:
        """Return task, split and row of the image that a request is answered from; None for no image."""
        _, _, _, doc_id, task, split = request.args
        visual = _visual(request)
        if visual == "none":
            return None
        if visual == "other":
            # Neighbours are drawn independently, so that a shift by one is as good as a random derangement.
            doc_id = (doc_id + 1) % len(self.task_dict[task][split])
        return task, split, doc_id

    def _images(self, requests: Sequence[Instance], keys: Sequence[tuple[str, str, int] | None]) -> Iterator[Any]:
        for request, key in zip(requests, keys, strict=True):
            if key is None or (self.images is not None and key in self.images):
                continue
            task, split, doc_id = key
            visuals = request.args[2](self.task_dict[task][split][doc_id])
            if len(visuals) != 1:
                raise ConfigError(
                    f"{task} {doc_id}: {len(visuals)} images; the model takes exactly one: leave the question out"
                )
            yield key, visuals[0]


def _visual(request: Instance) -> str:
    visual = request.args[1].get("visual", VISUAL[0])
    if visual not in VISUAL:
        raise ConfigError(f"{request.task_name}: visual {visual!r} does not exist; there are {', '.join(VISUAL)}")
    return visual


def _new_tokens(request: Instance) -> int:
    settings = request.args[1]
    unknown = sorted(set(settings) - set(GENERATION))
    if unknown:
        raise ConfigError(
            f"{request.task_name}: model revision does not know the generation setting {', '.join(unknown)}; "
            f"it knows {', '.join(GENERATION)}"
        )
    if settings.get("do_sample") or settings.get("num_beams", 1) != 1:
        raise ConfigError(f"{request.task_name}: model revision decodes greedily; set do_sample false and num_beams 1")
    return int(settings.get("max_new_tokens", NEW_TOKENS))


def _cut(text: str, stops: Any) -> str:
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.split(stop, 1)[0]
    return text.strip()
