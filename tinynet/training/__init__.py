"""Training: losses, optimizers, schedules, callbacks, checkpoints and the loop that runs them."""

from .callbacks import Callback, EarlyStopping
from .fitting import evaluate, fit
from .history import History
from .loop import DivergedError
from .losses import LOSSES, CrossEntropy, FunctionLoss, Huber, Loss
from .optimizers import OPTIMIZERS, SGD, Adam, AdamW, Optimizer, RMSprop
from .schedules import CosineDecay, OneCycle, ReduceOnPlateau, Schedule, StepDecay, WarmUp
from .state import Training

__all__ = [
    "LOSSES",
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "AdamW",
    "Callback",
    "CosineDecay",
    "CrossEntropy",
    "DivergedError",
    "EarlyStopping",
    "FunctionLoss",
    "History",
    "Huber",
    "Loss",
    "OneCycle",
    "Optimizer",
    "RMSprop",
    "ReduceOnPlateau",
    "Schedule",
    "StepDecay",
    "Training",
    "WarmUp",
    "evaluate",
    "fit",
]
