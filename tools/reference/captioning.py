"""Writes captioning.safetensors: what the decoders of captions compute, forward and backward, by plain PyTorch modules
and loops written from the papers: vinyals2015 and xu2015, whose equations are named.

Every weight is a quarter of the tensor that stands for "input.MODEL.KEY" (the rule of models.py). Computed and kept in
float64. Entries are described in tests/reference/README.md.

Usage: python captioning.py OUTPUT.safetensors
Needs: torch, numpy and safetensors (requirements.txt beside this file).
"""

import sys

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from models import generated

PAD, BEGIN, END = 0, 2, 3
WORDS, PLACES, FEATURES, EMBEDDING, HIDDEN, ATTENTION = 9, 4, 6, 5, 7, 3
TARGETS = [[4, 5, END], [6, 7, 8, 4, END], [5, END]]
PENALTY = 0.5
# Where the hard model looks: one place for each step of each caption.
LOOKED_AT = [[0, 1, 2], [3, 2, 1], [1, 1, 0], [2, 0, 3], [0, 3, 1]]


def padded(sentences):
    return nn.utils.rnn.pad_sequence([torch.tensor(s) for s in sentences], padding_value=PAD)


def features():
    return torch.as_tensor(generated("input.features", (len(TARGETS), PLACES, FEATURES))).double()


class ShowTell(nn.Module):
    def __init__(self):
        super().__init__()
        self.image = nn.Linear(FEATURES, EMBEDDING)
        self.embedding = nn.Embedding(WORDS, EMBEDDING)
        self.lstm = nn.LSTM(EMBEDDING, HIDDEN)
        self.output = nn.Linear(HIDDEN, WORDS)

    def forward(self, a, inputs):
        image = self.image(a.mean(1))[None]  # x_{-1}, eq. 10
        y, _ = self.lstm(torch.cat([image, self.embedding(inputs)]))
        return self.output(y[1:]), None


class ShowAttendTell(nn.Module):
    def __init__(self, looked_at=None):
        super().__init__()
        self.looked_at = looked_at
        self.embedding = nn.Embedding(WORDS, EMBEDDING)
        self.first_h = nn.Linear(FEATURES, HIDDEN)
        self.first_c = nn.Linear(FEATURES, HIDDEN)
        self.attention = nn.ModuleDict({"query": nn.Linear(HIDDEN, ATTENTION, bias=False),
                                        "value": nn.Linear(FEATURES, ATTENTION, bias=False),
                                        "score": nn.Linear(ATTENTION, 1, bias=False)})
        self.gate = nn.Linear(HIDDEN, 1)
        self.lstm = nn.LSTM(EMBEDDING + FEATURES, HIDDEN)
        self.of_state = nn.Linear(HIDDEN, EMBEDDING)
        self.of_context = nn.Linear(FEATURES, EMBEDDING)
        self.output = nn.Linear(EMBEDDING, WORDS)

    def forward(self, a, inputs):
        h, c = torch.tanh(self.first_h(a.mean(1))), torch.tanh(self.first_c(a.mean(1)))
        logits, shares = [], []
        for t in range(len(inputs)):
            word = self.embedding(inputs[t])
            e = self.attention["score"](torch.tanh(self.attention["query"](h)[:, None] + self.attention["value"](a)))
            alpha = e[..., 0].softmax(1)  # eqs. 4 and 5
            looked = alpha if self.looked_at is None else F.one_hot(torch.tensor(self.looked_at[t]), PLACES).double()
            z = torch.sigmoid(self.gate(h)) * (looked[..., None] * a).sum(1)  # 4.2.1
            _, (h, c) = self.lstm(torch.cat([word, z], 1)[None], (h[None], c[None]))
            h, c = h[0], c[0]
            logits.append(self.output(word + self.of_state(h) + self.of_context(z)))  # eq. 7
            shares.append(alpha)
        return torch.stack(logits), torch.stack(shares)


def run(name, model):
    model.double()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            value = generated(f"input.{name}.{key}", parameter.shape)
            parameter.copy_(torch.as_tensor(value).double() / 4)
    targets = padded(TARGETS)
    inputs = padded([[BEGIN] + s[:-1] for s in TARGETS])
    mask = targets != PAD
    logits, shares = model(features(), inputs)
    log_words = (torch.log_softmax(logits, 2).gather(2, targets[..., None])[..., 0] * mask).sum(0)
    objective = log_words.sum()
    values = {"logits": logits, "log_words": log_words}
    if shares is not None:
        values["attention"] = shares
    if name == "show_attend_tell":
        penalty = ((1 - (shares * mask[..., None]).sum(0)) ** 2).sum(1)  # eq. 14
        values["penalty"] = penalty
        objective = objective - PENALTY * penalty.sum()
    if name == "show_attend_tell_hard":
        place = torch.tensor(LOOKED_AT)[..., None]
        log_places = (shares.gather(2, place)[..., 0].log() * mask).sum(0)
        values["log_places"] = log_places
        objective = objective + (log_words.detach() * log_places).sum()  # eq. 11, without a baseline
    objective.backward()
    values |= {f"grad/{key}": parameter.grad for key, parameter in model.named_parameters()}
    return {f"{name}/{key}": value.detach().contiguous() for key, value in values.items()}


def main():
    entries = run("show_tell", ShowTell())
    entries |= run("show_attend_tell", ShowAttendTell())
    entries |= run("show_attend_tell_hard", ShowAttendTell(LOOKED_AT))
    save_file(entries, sys.argv[1], metadata={"torch": torch.__version__})


main()
