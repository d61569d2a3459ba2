"""accelerate: the loop by hand, with model, optimizer and loaders prepared, as in its own examples."""

import torch
import torch.nn.functional as F
from accelerate import Accelerator

from benchmarks.contenders import datasets
from benchmarks.contenders.job import Job, Watch
from trainer import models


def main() -> None:
    job, watch = Job.parse(), Watch()
    recipe = job.recipe
    accelerator = Accelerator(cpu=job.device == "cpu")
    model = models.make(recipe.model, **recipe.shape)
    model, optimizer, train_loader, test_loader = accelerator.prepare(
        model,
        torch.optim.SGD(model.parameters(), lr=recipe.lr, momentum=recipe.momentum),
        *datasets.loaders(job),
    )
    accuracy = 0.0
    for epoch in range(job.epochs):
        watch.lap()
        model.train()
        for x, y in train_loader:
            optimizer.zero_grad()
            accelerator.backward(F.cross_entropy(model(x), y))
            optimizer.step()
        model.eval()
        correct = total = 0
        for x, y in test_loader:
            with torch.no_grad():
                predictions = model(x).argmax(1)
            predictions, y = accelerator.gather_for_metrics((predictions, y))
            correct += int((predictions == y).sum())
            total += len(y)
        accuracy = correct / total
        accelerator.print(f"epoch {epoch + 1}: accuracy {accuracy:.4f}")
    watch.lap()
    watch.write(accuracy=accuracy)


if __name__ == "__main__":
    main()
