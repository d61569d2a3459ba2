"""What Hydra offers by itself: its joblib launcher, with trainer's whole training of one job as the task."""

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from trainer.config import composition

composition.register()


@hydra.main(version_base="1.3", config_path=str(composition.CONFIGS), config_name="train")
def main(cfg: DictConfig) -> None:
    from trainer.commands import train
    from trainer.config.check import check

    facts = HydraConfig.get()
    choices = {group: str(choice) for group, choice in facts.runtime.choices.items()}
    config = check("train", cfg, list(facts.overrides.task), choices)
    config.output = facts.runtime.output_dir
    config.plots = config.sweep.plots  # as our own sweeps have it
    train.run(config)


if __name__ == "__main__":
    main()
