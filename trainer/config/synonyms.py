"""Words of other programs, and what they are called here.

`CHOICES`, `VALUES` and `VERBS` that stand here are the same thing by another name, or as near as makes no difference to
whoever typed it; a key is only ever suggested.
"""

# A key, or the words to type, by what else it is called.
KEYS: dict[str, tuple[str, ...]] = {
    "optim.lr": ("learning_rate", "init_lr", "initial_lr", "base_lr", "max_lr", "eta"),
    "optim.weight_decay": ("wd", "decay", "l2", "l2_penalty"),
    "optim.betas": ("beta1", "beta2", "beta"),
    "optim": ("optimizer", "optimiser", "opt"),
    "scheduler": ("lr_scheduler", "schedule", "lr_schedule", "sched"),
    "scheduler.warmup_steps": ("warmup", "warmup_ratio", "warmup_epochs", "num_warmup_steps"),
    "scheduler.min_lr": ("eta_min", "end_lr", "final_lr"),
    "scheduler.step_size": ("step", "lr_step", "decay_epochs"),
    "tensorboard.every_steps": ("log_interval", "log_every", "log_every_n_steps", "logging_steps"),
    "data": ("dataset", "datasets", "train_data", "ds", "datamodule"),
    "data.batch_size": (
        *("bs", "batch", "batchsize", "batches", "train_batch_size", "mini_batch_size", "minibatch", "bsz"),
        *("per_device_train_batch_size", "train_bs"),
    ),
    "data.eval_batch_size": ("test_batch_size", "val_batch_size", "per_device_eval_batch_size"),
    "data.workers": ("num_workers", "n_workers", "worker", "dataloader_num_workers", "nworkers", "n_jobs"),
    "data.path": (
        *("data_path", "data_dir", "dataset_path", "datadir", "train_dir", "dir", "folder", "csv", "file", "input"),
        *("train_file", "filename", "data_root", "image_dir", "img_dir"),
    ),
    "data.target": ("label", "labels", "label_column", "target_column", "y", "target_col", "label_col", "class"),
    "data.columns": ("features_columns", "feature_columns", "x", "inputs"),
    "data.drop": ("ignore", "exclude", "drop_columns"),
    "data.size": ("image_size", "img_size", "imgsz", "input_size", "resolution", "imgsize", "crop_size"),
    "data.val_fraction": (
        *("val_split", "validation_split", "val_size", "valid_fraction", "validation_fraction", "valid_pct", "val"),
        *("val_ratio",),
    ),
    "data.test_fraction": ("test_split", "test_size", "test_ratio"),
    "data.folds": ("kfold", "kfolds", "k_folds", "k_fold", "cv", "n_splits", "n_folds"),
    "data.augment.preset": ("augment", "augmentation", "augmentations", "aug", "transforms", "transform"),
    "data.sampler": ("shuffle", "balanced", "sampling"),
    "data.limit": ("limit_train_batches", "max_samples", "n_samples", "subset", "max_train_samples", "num_samples"),
    "data.download": ("no_download",),
    "model": ("arch", "network", "net", "architecture", "backbone", "model_name", "estimator", "nn"),
    "model.hidden": (
        *("hidden_size", "hidden_dim", "hidden_sizes", "hidden_layer_sizes", "n_hidden", "num_hidden", "units"),
        *("hidden_units", "layers", "width", "num_layers", "n_layers", "depth"),
    ),
    "model.weights=DEFAULT": ("pretrained", "imagenet", "use_pretrained"),
    "model.init": (
        *("weight_init", "init_weights", "weights_init", "initializer", "initialiser", "initialization"),
        *("kernel_initializer", "init_method", "param_init"),
    ),
    "model.dropout": ("drop_rate", "dropout_rate", "p_dropout", "dropout_p"),
    "model.activation": ("act", "nonlinearity", "activation_fn"),
    "loss": ("criterion", "loss_fn", "loss_function", "objective_function"),
    "loss.class_weight": ("class_weights", "weighted_loss", "pos_weight"),
    "epochs": ("num_epochs", "n_epochs", "max_epochs", "nb_epochs", "num_train_epochs", "ep", "max_iter", "n_iter"),
    "max_steps": ("steps", "num_steps", "iterations", "iters", "max_iters", "n_steps", "total_steps"),
    "max_minutes": ("max_time", "time_limit", "timeout", "max_hours"),
    "seed": ("random_seed", "random_state", "manual_seed", "rng", "seed_everything"),
    "output": (
        *("output_dir", "out_dir", "outdir", "save_dir", "log_dir", "logdir", "save_path", "default_root_dir"),
        *("save_to", "runs_dir", "out"),
    ),
    "name": ("run_name", "exp_name", "experiment_name", "exp", "title", "id"),
    "clip_norm": (
        *("grad_clip", "clip_grad", "max_grad_norm", "gradient_clip_val", "gradient_clip", "clip", "clipnorm"),
        *("clip_grad_norm", "grad_norm"),
    ),
    "accumulate": ("gradient_accumulation_steps", "accumulate_grad_batches", "accum", "grad_accum", "accumulation"),
    "early_stopping.patience": ("early_stop", "early_stopping", "earlystopping", "early_stopping_rounds", "es"),
    "evaluate.every_epochs": (
        *("eval_every", "val_every", "check_val_every_n_epoch", "eval_interval", "val_interval", "eval_freq"),
        *("val_check_interval",),
    ),
    "checkpoint.every_epochs": ("save_every", "checkpoint_every", "save_interval", "save_freq", "save_steps"),
    "label_smoothing": ("label_smooth", "smoothing", "ls"),
    "ema": ("ema_decay", "model_ema", "swa"),
    "objective": ("monitor", "metric", "metric_for_best_model", "score", "scoring"),
    "direction": ("mode", "greater_is_better"),
    "compile": ("torch_compile", "jit", "use_compile"),
    "deterministic": ("cudnn_deterministic", "reproducible"),
    "tracking": ("logger", "log_to", "report_to", "loggers", "wandb", "mlflow"),
    "tensorboard.enabled": ("tb",),
    "devices": (
        *("nproc", "nproc_per_node", "num_processes", "num_gpus", "n_gpu", "n_gpus", "ngpus", "world_size"),
        *("strategy", "distributed", "ddp", "data_parallel"),
    ),
    "device=cuda": ("gpu", "gpus", "use_cuda", "use_gpu", "cuda", "accelerator"),
    "device=cpu": ("cpu", "no_cuda", "use_cpu"),
    "precision=bfloat16": ("amp", "use_amp", "mixed_precision", "fp16", "bf16", "half", "autocast"),
    "precision": ("dtype", "torch_dtype"),
    "from": (
        *("ckpt", "checkpoint_path", "load", "init_from", "weights", "ckpt_path", "load_from"),
        *("finetune", "fine_tune", "init", "start_from", "from_checkpoint", "restore", "resume_from"),
    ),
    "experiment": ("recipe", "preset", "exp_config", "config"),
    "format": ("fmt", "type", "to"),
    "clear": ("delete", "remove"),
    "until": ("stop_when", "target_metric", "stop_at"),
}

# What a verb takes as `ckpt` or `run`, by what else it is called.
PLACES = ("ckpt", "checkpoint", "run", "model", "weights", "checkpoint_path", "ckpt_path", "run_dir", "from", "path")

# What to say of keys of other programs for which a training has none.
PHRASES: dict[str, tuple[str, ...]] = {
    "an interrupted run goes on with trainer resume RUN; from=RUN starts another from its weights": (
        *("resume", "resume_from_checkpoint", "auto_resume", "continue"),
    ),
    "a training ends with its test; trainer eval RUN does it again": ("test", "do_test", "run_test", "do_eval"),
    "several seeds are a sweep: trainer train -m seed=0,1,2": (
        *("seeds", "n_seeds", "num_seeds", "repeats", "n_repeats", "num_runs"),
    ),
    "on several machines torchrun or srun starts the processes, and says which is which": (
        *("num_nodes", "nnodes", "node_rank", "local_rank", "rank", "master_addr", "master_port"),
    ),
    "all that a training says is in its train.log, too": ("verbose", "verbosity", "quiet", "log_level", "debug"),
}

# The choice of a group by other names, written as `plain` writes them.
CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "data": {"cifar10": ("cifar10images",), "table": ("tabular",)},
    "model": {"mlp": ("perceptron", "multilayerperceptron", "feedforward"), "linear": ("logistic", "logreg")},
    "optim": {},
    "scheduler": {
        "constant": ("none", "null", "no", "off", "false", "const", "fixed", "constantlr"),
        "cosine": ("cosineannealing", "cosineannealinglr", "cos", "cosinelr", "cosinedecay"),
        "step": ("steplr",),
        "exponential": ("exponentiallr", "exp"),
        "onecycle": ("onecyclelr", "1cycle"),
        "plateau": ("reducelronplateau", "reduceonplateau"),
    },
    "loss": {
        "cross_entropy": ("ce", "crossentropyloss", "xent", "nll", "nllloss", "logloss", "categoricalcrossentropy"),
        "mse": ("mseloss", "l2", "meansquarederror", "squarederror"),
        "auto": ("default",),
    },
    "tracking": {"none": ("null", "no", "off", "false")},
    "search": {"none": ("null", "no", "off", "false"), "optuna": ("tpe", "bayes", "bayesian")},
}

# The value of a key by other names, written as `plain` writes them.
VALUES: dict[str, dict[str, tuple[str, ...]]] = {
    "precision": {
        "float32": ("fp32", "32", "float", "single", "f32", "full", "torchfloat32", "32true"),
        "bfloat16": ("bf16", "bf16mixed", "torchbfloat16", "bfloat"),
        "float64": ("fp64", "64", "double", "f64", "torchfloat64", "64true"),
    },
    "model.init": {
        "default": ("none", "null", "no", "off", "false"),
        "xavier": ("xavieruniform", "glorot", "glorotuniform"),
        "kaiming": ("kaimingnormal", "he", "henormal"),
        "orthogonal": ("ortho",),
    },
    "compile": {
        "off": ("false", "no", "none", "eager", "0", "null"),
        "inductor": ("true", "yes", "on", "1"),
        "cudagraph": ("cudagraphs",),
    },
    "format": {"onnx": ("onnxruntime",), "pt2": ("torchexport",), "safetensors": ("safetensor",)},
    "direction": {"min": ("minimize", "minimise", "lower"), "max": ("maximize", "maximise", "higher")},
    "evaluate.split": {"val": ("valid", "validation", "dev")},
    "split": {"val": ("valid", "validation", "dev"), "train": ("training",), "test": ("testing",)},
    "data.augment.preset": {"none": ("null", "no", "off", "false")},
}

# The same for values that another value only comes near to: what is said of them.
NEARLY: dict[str, dict[str, tuple[str, ...]]] = {
    "model.init": {
        "the rule is uniform here: model.init=xavier": ("xaviernormal", "glorotnormal"),
        "the rule is normal here: model.init=kaiming": ("kaiminguniform", "heuniform"),
    },
    "precision": {
        "there is no float16; mixed precision is precision=bfloat16": (
            *("fp16", "float16", "16", "half", "f16", "16mixed", "fp16mixed", "torchfloat16"),
            *("amp", "mixed", "auto", "true"),
        ),
    },
}

# A verb by other names.
VERBS: dict[str, tuple[str, ...]] = {
    "train": ("fit", "training", "finetune", "learn", "start", "run"),
    "train -m": ("sweep", "search", "tune", "hpo", "multirun", "gridsearch"),
    "resume": ("continue", "restart", "goon"),
    "eval": ("evaluate", "test", "validate", "evaluation", "score", "val", "metrics"),
    "predict": ("infer", "inference", "classify", "prediction", "apply"),
    "export": ("convert", "save", "onnx", "deploy"),
    "serve": ("server", "api", "host"),
    "inspect": ("show", "info", "summary", "summarize", "describe", "model", "data", "layers"),
    "profile": ("profiler", "timing", "bottleneck", "perf", "speed"),
    "runs": ("list", "ls", "compare", "history", "results", "status", "log", "logs", "report"),
    "reproduce": ("repeat", "rerun", "replicate"),
    "cache": ("clean", "clear"),
}

# Networks of torchvision and timm, by how their names begin.
NETWORKS = (
    *("alexnet", "convnext", "densenet", "efficientnet", "googlenet", "inception", "maxvit", "mnasnet", "mobilenet"),
    *("regnet", "resnet", "resnext", "shufflenet", "squeezenet", "swin", "vgg", "vit", "wide_resnet", "deit", "mixer"),
)


def plain(word: str) -> str:
    """A word without what spellings of it differ in: `Fashion-MNIST` and `fashion_mnist` are `fashionmnist`."""
    return "".join(letter for letter in word.lower() if letter not in "-_ .")


def among(word: str, known: dict[str, tuple[str, ...]]) -> str | None:
    """The name for which `word` is another; None: for none."""
    return next((name for name, others in known.items() if plain(word) in map(plain, others)), None)


def choice(group: str, word: str, options: list[str]) -> str | None:
    """The option of a group that `word` is another spelling of, or another name for; None: none, or several."""
    same = [option for option in options if plain(option) == plain(word)]
    if len(same) == 1:
        return same[0]
    found = among(word, CHOICES.get(group, {}))
    return found if found in options else None


def key(word: str) -> str | None:
    """What a key of another program is called here, as words to type; None: it is not known."""
    return among(word, KEYS)


def is_network(word: str) -> bool:
    """Whether a model is called like the networks of a library."""
    return word.lower().startswith(NETWORKS)
