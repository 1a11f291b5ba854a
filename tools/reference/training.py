"""Writes training.json: losses of ten steps of small fixed trainings, judged by torch.optim.

Each run starts from generated weights (the rule of models.py) in training mode, takes step k on the
images "input.step<k>" and the labels (i + k) % 10, and records the loss before the update. Runs are
computed in float64; a float32 run beside each tells how closely float32 can follow.

Usage: python training.py OUTPUT.json
Needs: torch and numpy (requirements.txt beside this file).
"""

import json
import math
import sys

import numpy as np
import torch
from torch.nn import functional as F

from models import build, generated, lenet_loss

STEPS, BATCH, CLASSES = 10, 8, 10
RESNET = {"network": "resnet20", "image": [1, 28, 28], "loss": "cross_entropy"}
LENET = {"network": "lenet5@paper", "image": [1, 32, 32], "loss": "lecun1998_eq9", "j": 0.1}
SGD = {"optimizer": "sgd", "learning_rate": 0.05, "momentum": 0.9, "weight_decay": 5e-4}
ADAM = {"optimizer": "adam", "learning_rate": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8}
LENET_SGD = LENET | {"optimizer": "sgd", "learning_rate": 0.01}
# Tanh is smooth, so float32 follows these runs to the last step; in the others it does so until a
# ReLU flips. Decay is large enough to show in ten steps.
SMOOTH = LENET | SGD | {"learning_rate": 0.001, "weight_decay": 0.5}
COSINE = {
    "schedule": "cosine", "warmup_steps": 3, "total_steps": STEPS,
    "schedule_formula": "k < W: base * (k + 1) / W;"
                        " else base * (1 + cos(pi * (k - W) / (T - W))) / 2;"
                        " W = warmup_steps, T = total_steps, base = learning_rate",
}

RUNS = {
    "sgd_momentum": RESNET | SGD,
    "sgd_nesterov": RESNET | SGD | {"nesterov": True},
    "sgd_no_decay_on_biases_and_scales": RESNET | SGD | {"decay_only_more_than_one_axis": True},
    "adam_l2": RESNET | ADAM | {"weight_decay": 1e-4},
    "adamw": RESNET | ADAM | {"optimizer": "adamw", "weight_decay": 0.05},
    "label_smoothing_cosine_warmup": RESNET | SGD | COSINE | {"label_smoothing": 0.1},
    "gradient_clipping": RESNET | SGD | {"clip_norm": 1.0},
    "lenet5_paper_sgd": LENET_SGD | {"fixed": ["output.weight"]},
    "lenet5_paper_sgd_codes_trained": LENET_SGD,
    "lenet5_paper_sgd_j100": LENET_SGD | {"j": 100.0},
    "smooth_sgd_momentum": SMOOTH,
    "smooth_sgd_nesterov": SMOOTH | {"nesterov": True},
    "smooth_sgd_no_decay_on_biases_and_scales": SMOOTH | {"decay_only_more_than_one_axis": True},
    "smooth_adam_l2": LENET | ADAM | {"weight_decay": 0.5},
    "smooth_adamw": LENET | ADAM | {"optimizer": "adamw", "weight_decay": 0.5},
    "smooth_label_smoothing_cosine_warmup": SMOOTH | COSINE | {"loss": "cross_entropy",
                                                               "label_smoothing": 0.1},
    "smooth_gradient_clipping": SMOOTH | {"clip_norm": 50.0},
}

NOTES = {
    "images": "input.step<k>, k = 0 ... 9, shape (8, 1, H, W), by the rule of models.py",
    "labels": "(i + k) % 10 for image i of step k",
    "losses": "of step k in training mode, before its update; mean over the batch",
    "gradient_norms": "global norm over all trained parameters, before clipping and without decay",
    "weight_decay": "sgd and adam add decay * weight to the gradient after clipping;"
                    " adamw multiplies the weight by 1 - learning_rate * decay before its step",
    "sgd": "buffer = momentum * buffer + gradient, at first the gradient itself (no dampening);"
           " nesterov steps along gradient + momentum * buffer",
    "clip_norm": "gradients times min(1, clip_norm / (norm + 1e-6))",
    "j": "constant of Eq. 9; distances start near 100: only j = 100 shows the gradient of the sum",
    "label_smoothing": "target (1 - s) * one_hot + s / classes",
    "fixed": "parameters that no update touches",
    "float32_errors": "|loss in float32 - loss| / loss of each step, in PyTorch",
    "final_norms": "Euclidean norms after the ten steps",
}


def learning_rate(run, k):
    base, warmup = run["learning_rate"], run.get("warmup_steps", 0)
    if "schedule" not in run:
        return base
    if k < warmup:
        return base * (k + 1) / warmup
    return base * (1 + math.cos(math.pi * (k - warmup) / (run["total_steps"] - warmup))) / 2


def parameter_groups(network, run):
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if not run.get("decay_only_more_than_one_axis"):
        return [{"params": trained}]
    matrices = [parameter for parameter in trained if parameter.dim() > 1]
    vectors = [parameter for parameter in trained if parameter.dim() <= 1]
    return [{"params": matrices}, {"params": vectors, "weight_decay": 0}]


def make_optimizer(network, run):
    groups = parameter_groups(network, run)
    rate, decay = run["learning_rate"], run.get("weight_decay", 0)
    if run["optimizer"] == "sgd":
        return torch.optim.SGD(groups, rate, run.get("momentum", 0), weight_decay=decay,
                               nesterov=run.get("nesterov", False))
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[run["optimizer"]]
    return kind(groups, rate, tuple(run["betas"]), run["eps"], decay)


def batch_loss(network, run, k, dtype):
    images = generated(f"input.step{k}", (BATCH, *run["image"]), dtype)
    labels = (torch.arange(BATCH) + k) % CLASSES
    if run["loss"] == "lecun1998_eq9":
        return lenet_loss(network(images), labels, run["j"])
    return F.cross_entropy(network(images), labels, label_smoothing=run.get("label_smoothing", 0))


def train(run, dtype):
    """Ten steps: the losses, rates and gradient norms of each, and what the weights have become."""
    options = {"in_channels": 1} if run["network"] == "resnet20" else {}
    network = build(run["network"], dtype, **options).train()
    for name in run.get("fixed", []):
        network.get_parameter(name).requires_grad_(False)
    optimizer = make_optimizer(network, run)
    result = {"losses": [], "learning_rates": [], "gradient_norms": []}
    for k in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(run, k)
        loss = batch_loss(network, run, k, dtype)
        optimizer.zero_grad()
        loss.backward()
        limit = run.get("clip_norm", math.inf)
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), limit)
        optimizer.step()
        result["losses"].append(loss.item())
        result["learning_rates"].append(learning_rate(run, k))
        result["gradient_norms"].append(norm.item())
    # The norm of c3.weight would depend on what an implementation keeps where Table I has nothing.
    kept = [name for name, _ in network.named_parameters() if name != "c3.weight"]
    if run["network"] == "resnet20":
        kept = ["conv1.weight", "bn1.weight", "bn1.bias", "linear.weight", "linear.bias"]
    result["final_norms"] = {name: network.get_parameter(name).norm().item() for name in kept}
    return result


def main():
    torch.set_num_threads(1)
    runs = {}
    for name, run in RUNS.items():
        exact, single = train(run, torch.float64), train(run, torch.float32)
        errors = [abs(a / b - 1) for a, b in zip(single["losses"], exact["losses"])]
        runs[name] = run | exact | {"float32_errors": [float(f"{error:.1e}") for error in errors]}
        print(name, [f"{loss:.4f}" for loss in exact["losses"]])
        print("  float32 differs by", [f"{error:.0e}" for error in errors], flush=True)
    versions = {"torch": torch.__version__, "numpy": np.__version__}
    document = {"versions": versions, "precision": "float64", "steps": STEPS, "batch": BATCH,
                "notes": NOTES, "runs": runs}
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
