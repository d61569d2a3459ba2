"""Quick models, fitted and asked on samples that they have not seen, and how sure it is that they know anything."""

from dataclasses import dataclass
from typing import Any

import numpy as np

FOLDS = 3
SURE = 3.5  # deviations from chance: one in two thousand by chance
LEVELS = 16  # of a column that is looked at by itself
DRAWN = 0  # seed of what is drawn


@dataclass(frozen=True)
class Signal:
    """What quick models know of the targets: `value` is 0 by chance and 1 at best, `deviation` that by chance.

    For classes it is Gini's coefficient (2 AUC - 1), averaged over the samples' classes; for values the rank
    correlation, of the column that is known best.
    """

    value: float
    deviation: float

    @property
    def sure(self) -> bool:
        """Whether they know more than chance."""
        return self.value > SURE * self.deviation

    @property
    def most(self) -> float:
        """So much at most do they know, by what these samples say."""
        return self.value + SURE * self.deviation

    def said(self, classes: bool) -> str:
        """It and chance in the words of the field."""
        if not classes:
            return f"rank correlation {self.value:.2f} (by chance 0.00 ± {SURE * self.deviation:.2f})"
        return f"AUC {(1 + self.value) / 2:.2f} (by chance 0.50 ± {SURE * self.deviation / 2:.2f})"


def signal(rows: np.ndarray, targets: np.ndarray, classes: bool) -> Signal:
    """What a linear model and a forest know of samples (n, F) that they were not fitted to."""
    found = [_of_classes(rows, targets, linear) if classes else _of_values(rows, targets, linear) for linear in (1, 0)]
    return max(found, key=lambda one: one.value / one.deviation)


def _of_classes(rows: np.ndarray, targets: np.ndarray, linear: int) -> Signal:
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    rows, targets, present = _frequent(rows, targets)
    if len(present) < 2:
        return Signal(0.0, 1.0)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=DRAWN)
    model = _linear_classifier() if linear else _forest_classifier()
    method = "decision_function" if linear else "predict_proba"
    scores = cross_val_predict(model, rows, targets, cv=folds, method=method)
    scores = scores[:, None] if scores.ndim == 1 else scores[:, 1:] if len(present) == 2 else scores
    values, variances = [], []
    for place, one in enumerate(present[1:] if len(present) == 2 else present):
        is_one = targets == one
        inside, outside = int(is_one.sum()), int((~is_one).sum())
        values.append(2 * float(roc_auc_score(is_one, scores[:, place])) - 1)
        variances.append((inside + outside + 1) / (3 * inside * outside))  # of Mann and Whitney, by chance
    weights = np.ones(1) if len(present) == 2 else np.array([(targets == one).mean() for one in present])
    return Signal(float(weights @ values), float(np.sqrt(weights**2 @ variances)))


def _of_values(rows: np.ndarray, targets: np.ndarray, linear: int) -> Signal:
    from scipy.stats import rankdata
    from sklearn.model_selection import KFold, cross_val_predict

    if len(rows) < 2 * FOLDS:
        return Signal(0.0, 1.0)
    folds = KFold(FOLDS, shuffle=True, random_state=DRAWN)
    model = _linear_regressor() if linear else _forest_regressor()
    guesses = cross_val_predict(model, rows, _flat(targets), cv=folds).reshape(len(rows), -1)
    found = []
    for column in range(targets.shape[1]):
        if len(np.unique(targets[:, column])) < 2 or len(np.unique(guesses[:, column])) < 2:
            continue
        value = np.corrcoef(rankdata(guesses[:, column]), rankdata(targets[:, column]))[0, 1]
        found.append(Signal(float(value), 1 / np.sqrt(len(rows) - 1)))
    return max(found, key=lambda one: one.value, default=Signal(0.0, 1.0))


def _linear_classifier() -> Any:
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), RidgeClassifier(10.0, class_weight="balanced"))


def _linear_regressor() -> Any:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), Ridge(10.0))


def _forest_classifier() -> Any:
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(30, min_samples_leaf=2, class_weight="balanced", random_state=DRAWN)


def _forest_regressor() -> Any:
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(30, min_samples_leaf=2, random_state=DRAWN)


def told_apart(first: np.ndarray, second: np.ndarray) -> Signal:
    """How well a model tells the samples of two sets from each other."""
    rows = np.concatenate([first, second])
    return signal(rows, np.repeat([0, 1], [len(first), len(second)]), classes=True)


def error_of_one(column: np.ndarray, targets: np.ndarray, classes: bool) -> float:
    """The error by the features (n, f) of one column, of a tree or of a line: 0 at best, 1 by chance."""
    from sklearn.linear_model import LinearRegression
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if classes:
        return _error(DecisionTreeClassifier(max_leaf_nodes=64, class_weight="balanced"), column, targets, True)
    tree = _error(DecisionTreeRegressor(min_samples_leaf=2), column, targets, False)
    return min(tree, _error(LinearRegression(), column, targets, False))


def error_of_all(rows: np.ndarray, targets: np.ndarray, classes: bool) -> float:
    """The error of the better of a forest and a linear model, as above."""
    models = (_linear_classifier(), _forest_classifier()) if classes else (_linear_regressor(), _forest_regressor())
    return min(_error(model, rows, targets, classes) for model in models)


def errors_of_each(columns: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The errors (F,) of the likeliest class of each of 16 levels of each column (n, F), fitted to half of the rows."""
    order = np.random.default_rng(DRAWN).permutation(len(columns))
    columns, targets = columns[order], targets[order]
    low, high = columns.min(0), columns.max(0)
    levels = ((columns - low) * (LEVELS - 1) / np.where(high > low, high - low, 1)).astype(np.int64)
    names, targets = np.unique(targets, return_inverse=True)
    places = np.arange(columns.shape[1]) * LEVELS + levels  # of each value, in the table of one class
    counts = np.stack([_counted(places[::2][targets[::2] == one], columns.shape[1]) for one in range(len(names))])
    guessed = (counts / np.maximum(counts.sum((1, 2), keepdims=True), 1)).argmax(0).ravel()[places[1::2]]
    known = targets[1::2]
    right = np.stack([(guessed[known == one] == one).mean(0) for one in range(len(names)) if (known == one).any()])
    return _from_chance(right.mean(0), len(names))


def _counted(places: np.ndarray, columns: int) -> np.ndarray:
    return np.bincount(places.ravel(), minlength=columns * LEVELS).reshape(columns, LEVELS)


def _error(model: Any, rows: np.ndarray, targets: np.ndarray, classes: bool) -> float:
    from sklearn.metrics import balanced_accuracy_score, r2_score
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict

    if not classes:
        folds = KFold(FOLDS, shuffle=True, random_state=DRAWN)
        guesses = cross_val_predict(model, rows, _flat(targets), cv=folds)
        return float(np.clip(1 - r2_score(targets, guesses), 0, 1))
    rows, targets, names = _frequent(rows, targets)
    if len(names) < 2:
        return 1.0
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=DRAWN)
    right = balanced_accuracy_score(targets, cross_val_predict(model, rows, targets, cv=folds))
    return float(_from_chance(np.asarray(right), len(names)))


def _from_chance(right: np.ndarray, classes: int) -> np.ndarray:
    """A share of right answers, of classes that count the same, as an error: 0 if all are right, 1 by chance."""
    return np.clip((1 - right) / (1 - 1 / classes), 0, 1)


def _frequent(rows: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The samples of classes that each fold has one of, and these classes."""
    names, counts = np.unique(targets, return_counts=True)
    names = names[counts >= FOLDS]
    kept = np.isin(targets, names)
    return rows[kept], targets[kept], names


def _flat(targets: np.ndarray) -> np.ndarray:
    return targets[:, 0] if targets.shape[1] == 1 else targets
