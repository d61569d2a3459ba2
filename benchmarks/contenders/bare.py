"""The bare eager loop over ready tensors: what an expert writes by hand, with nothing around it."""

import torch
import torch.nn.functional as F

from benchmarks.contenders import ready
from benchmarks.contenders.job import EVAL_BATCH, Job, Watch
from trainer import models


def main() -> None:
    job, watch = Job.parse(), Watch()
    recipe, data = job.recipe, ready.load(job).to(job.device)
    model = models.make(recipe.model, **recipe.shape).to(job.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=recipe.lr, momentum=recipe.momentum)
    accuracy = 0.0
    for epoch in range(job.epochs):
        watch.lap()
        model.train()
        for index in torch.randperm(len(data.train_y), device=job.device).split(job.batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(data.train_x[index]), data.train_y[index])
            loss.backward()
            optimizer.step()
        model.eval()
        correct = torch.zeros((), dtype=torch.long, device=job.device)
        with torch.no_grad():
            for x, y in zip(data.test_x.split(EVAL_BATCH), data.test_y.split(EVAL_BATCH), strict=True):
                correct += (model(x).argmax(1) == y).sum()
        accuracy = float(correct) / len(data.test_y)
        print(f"epoch {epoch + 1}: accuracy {accuracy:.4f}")
    watch.lap()
    watch.write(accuracy=accuracy)


if __name__ == "__main__":
    main()
