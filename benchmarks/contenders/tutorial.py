"""The tutorial script, as in pytorch/examples: DataLoader, PIL transforms, a line of loss every ten batches."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader

from benchmarks.contenders import datasets
from benchmarks.contenders.job import EVAL_BATCH, Job, Watch


class Net(nn.Module):
    """The LeNet, written out as the tutorial has it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.conv2 = nn.Conv2d(10, 20, kernel_size=5)
        self.conv2_drop = nn.Dropout2d()
        self.fc1 = nn.Linear(320, 50)
        self.fc2 = nn.Linear(50, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2_drop(self.conv2(x)), 2))
        x = x.view(-1, 320)
        x = F.relu(self.fc1(x))
        x = F.dropout(x, training=self.training)
        x = self.fc2(x)
        return F.log_softmax(x, dim=1)


def train(
    model: nn.Module, device: torch.device, loader: datasets.Loader, optimizer: optim.Optimizer, epoch: int
) -> None:
    model.train()
    for batch_idx, (data, target) in enumerate(loader):
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        output = model(data)
        loss = F.nll_loss(output, target)
        loss.backward()
        optimizer.step()
        if batch_idx % 10 == 0:
            print(f"Train Epoch: {epoch} [{batch_idx}/{len(loader)}]\tLoss: {loss.item():.6f}")


def test(model: nn.Module, device: torch.device, loader: datasets.Loader, size: int) -> float:
    model.eval()
    test_loss = 0.0
    correct = 0
    with torch.no_grad():
        for data, target in loader:
            data, target = data.to(device), target.to(device)
            output = model(data)
            test_loss += F.nll_loss(output, target, reduction="sum").item()
            pred = output.argmax(dim=1, keepdim=True)
            correct += pred.eq(target.view_as(pred)).sum().item()
    print(f"\nTest set: Average loss: {test_loss / size:.4f}, Accuracy: {correct}/{size}\n")
    return correct / size


def main() -> None:
    job, watch = Job.parse(), Watch()
    device = torch.device(job.device)
    train_set, test_set = datasets.mnist(job)
    # As there: loading in this process on a CPU, one worker beside an accelerator.
    beside: dict[str, Any] = (
        {} if job.device == "cpu" else {"num_workers": 1, "persistent_workers": True, "pin_memory": True}
    )
    train_loader: datasets.Loader = DataLoader(train_set, batch_size=job.batch, shuffle=True, **beside)
    test_loader: datasets.Loader = DataLoader(test_set, batch_size=EVAL_BATCH, **beside)
    model = Net().to(device)
    optimizer = optim.SGD(model.parameters(), lr=job.recipe.lr, momentum=job.recipe.momentum)
    accuracy = 0.0
    for epoch in range(1, job.epochs + 1):
        watch.lap()
        train(model, device, train_loader, optimizer, epoch)
        accuracy = test(model, device, test_loader, len(test_set))
    watch.lap()
    watch.write(accuracy=accuracy)


if __name__ == "__main__":
    main()
