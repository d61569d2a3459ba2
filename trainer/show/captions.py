"""What each picture of a run shows, and how it is read: one sentence by the stem of its file. Imports no matplotlib."""

CAPTIONS = {
    "curves": "Loss, metrics and learning rate over the epochs, training and validation on the same axes: where "
    "they part the model learns by heart, and the marked epoch is the best one.",
    "confusion": "True classes (rows) by predicted ones (columns): what lies off the diagonal is mistaken, and the "
    "colour of a cell is its share of the true class.",
    "roc": "ROC and precision-recall curves: the closer to the upper left and the upper right corner, the better the "
    "model tells a class from all others, whatever threshold is chosen.",
    "reliability": "Accuracy by confidence: bars below the diagonal mean that the model is surer than it is right, and "
    "the expected calibration error is their mean distance from it.",
    "residuals": "Predicted against true values, and how far off they are: points on the line are right, and a band "
    "that bends or widens says where the model is not.",
    "predictions": "Images of the evaluated split, the most confident mistakes first and then the least confident "
    "right answers: what an image is, what it was taken for, how surely, and its file.",
    "samples": "The first training images as they are in the data, with the names of their classes: what is wrong "
    "here is wrong in the data.",
    "filters": "What the first layer looks for: each square holds the weights of one filter, and smooth shapes are "
    "learnt while noise is not.",
    "fit": "The samples, and what the model predicts for each value of its one feature.",
    "diverged": "The batch whose loss was not finite, as the model received it.",
}


def caption(stem: str) -> str:
    """What the picture `stem`.png shows and how it is read; "" for one that is not a run's."""
    return CAPTIONS.get(stem, "")
