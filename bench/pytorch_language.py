#!/usr/bin/env python3
"""Times training steps of a language model in PyTorch, as `striate bench train` of one; prints a line
of JSON. The model is that of PyTorch's example word_language_model."""

import argparse
import json

import torch
from torch import nn

from measured import ROOT, print_steps

CELLS = {"char_rnn": nn.RNN, "char_lstm": nn.LSTM, "char_gru": nn.GRU, "word_lstm": nn.LSTM}
RECIPES = {"char_rnn": "char-rnn", "char_lstm": "char-lstm", "char_gru": "char-gru",
           "word_lstm": "word-lstm-small"}


class LanguageModel(nn.Module):
    def __init__(self, cell, vocabulary, sizes):
        super().__init__()
        self.drop = nn.Dropout(sizes["dropout"])
        self.encoder = nn.Embedding(vocabulary, sizes["embedding_size"])
        self.rnn = cell(sizes["embedding_size"], sizes["hidden_size"], sizes["layers"],
                        dropout=sizes["dropout"])
        self.decoder = nn.Linear(sizes["hidden_size"], vocabulary)

    def forward(self, tokens, state):
        y, state = self.rnn(self.drop(self.encoder(tokens)), state)
        return self.decoder(self.drop(y)), state


def detached(state):
    return tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", choices=CELLS)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warmup-steps", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="torch.compile")
    parser.add_argument("--fused", action="store_true", help="the optimiser in one pass")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    recipe = json.loads((ROOT / "recipes" / f"{RECIPES[options.model]}.json").read_text())
    sizes = recipe["task"]
    vocabulary = 10000 if options.model.startswith("word") else 65
    model = LanguageModel(CELLS[options.model], vocabulary, sizes)
    run = torch.compile(model) if options.compile else model
    rate = recipe["optimizer"]["learning_rate"]
    kind = torch.optim.Adam if recipe["optimizer"]["kind"] == "adam" else torch.optim.SGD
    optimizer = kind(model.parameters(), rate, fused=options.fused or None)
    tokens = torch.randint(vocabulary, (sizes["chunk"] + 1, options.batch_size))
    loss_of = nn.CrossEntropyLoss()
    state = None

    def step():
        nonlocal state
        logits, state = run(tokens[:-1], state)
        state = detached(state)
        loss = loss_of(logits.flatten(0, 1), tokens[1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), recipe["clip_gradient_norm"])
        optimizer.step()

    print_steps(step, options)


if __name__ == "__main__":
    main()
