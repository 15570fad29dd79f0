"""The model `revision` of lmms-eval: one visual token per question, greedy decoding."""

from pathlib import Path
from typing import Any, NoReturn

from lmms_eval.api.instance import Instance
from lmms_eval.api.model import lmms

from revision.errors import ConfigError
from revision.evaluation.images import ImageEmbeddings

NEW_TOKENS = 1024
"""Longest answer if a task does not set one (MMStar): the default of most models in lmms-eval."""


class ReVisionLmms(lmms):
    """A checkpoint as a model of lmms-eval. Each question must have exactly one image, which becomes the visual token.

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
        """Answer requests by greedy decoding, in batches of similar length.

        Parameters
        ----------
        requests : list of Instance
            lmms-eval's requests, whose generation settings may limit the answer (max_new_tokens, until).

        Returns
        -------
        list of str
            Answers in the order of the requests.

        Raises
        ------
        ConfigError
            If a question does not have exactly one image, or a task asks for sampling or beam search.
        DataError
            If an image is not readable.
        """
        if self.images is not None:
            self.images.add(self._images(requests))
        answers = [""] * len(requests)
        order = sorted(range(len(requests)), key=lambda row: _length(requests[row]))
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            by_limit: dict[int, list[int]] = {}
            for row in batch:
                by_limit.setdefault(_new_tokens(requests[row]), []).append(row)
            for new_tokens, rows in by_limit.items():
                texts = self._generate([requests[row] for row in rows], new_tokens)
                for row, text in zip(rows, texts, strict=True):
                    answers[row] = _cut(text, requests[row].args[1].get("until") or ())
        return answers

    def _generate(self, requests: list[Instance], new_tokens: int) -> list[str]:
        prompts = [request.args[0] for request in requests]
        if self.images is not None:
            embeddings = self.images.take([_key(request) for request in requests])
            return self._model.generate(prompts, embeddings, max_new_tokens=new_tokens)
        # Without images, many prompts are equal; each is answered once.
        distinct = list(dict.fromkeys(prompts))
        texts = self._model.generate(distinct, None, max_new_tokens=new_tokens)
        answer = dict(zip(distinct, texts, strict=True))
        return [answer[prompt] for prompt in prompts]

    def loglikelihood(self, requests: list[Instance]) -> NoReturn:
        """Raise NotImplementedError: the tasks of this package are generative."""
        raise NotImplementedError("model revision answers generate_until tasks only")

    def generate_until_multi_round(self, requests: list[Instance]) -> NoReturn:
        """Raise NotImplementedError: the tasks of this package have one round."""
        raise NotImplementedError("model revision answers generate_until tasks only")

    def clean(self) -> None:
        """Release the weights; lmms-eval calls this after all answers, before it scores them."""
        self._model = None

    def _images(self, requests: list[Instance]) -> Any:
        for request in requests:
            key = _key(request)
            if self.images is not None and key in self.images:
                continue
            _, _, doc_to_visual, doc_id, task, split = request.args
            visuals = doc_to_visual(self.task_dict[task][split][doc_id])
            if len(visuals) != 1:
                raise ConfigError(
                    f"{task} {doc_id}: {len(visuals)} images; the model takes exactly one: leave the question out"
                )
            yield key, visuals[0]


def _key(request: Instance) -> tuple[str, str, int]:
    _, _, _, doc_id, task, split = request.args
    return task, split, doc_id


def _length(request: Instance) -> tuple[int, str]:
    prompt = request.args[0]
    return len(prompt.split()), prompt


def _new_tokens(request: Instance) -> int:
    settings = request.args[1]
    if settings.get("do_sample") or settings.get("num_beams", 1) != 1:
        raise ConfigError(f"{request.task_name}: model revision decodes greedily; set do_sample false and num_beams 1")
    return int(settings.get("max_new_tokens", NEW_TOKENS))


def _cut(text: str, stops: Any) -> str:
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.split(stop, 1)[0]
    return text.strip()
