//! What flags make of a run, and which are refused.

use super::*;
use crate::{
    config::Settings,
    optim::{
        Rule,
        clip::Clip,
        penalty::Penalty,
        schedule::{Schedule, Shape},
    },
};

#[test]
fn flags_change_the_recipe() {
    let Request::Train { config, out, .. } = read("escarp-train image --data x --epochs 3 --lr 0.5").unwrap() else {
        panic!("a training run");
    };
    assert_eq!((config.settings.epochs, config.settings.rate, out), (3, 0.5, "runs/image".into()));
    assert!(matches!(&config.task, Task::Image { size: None, augmentation: Some(_), .. }));
}

fn settings(line: &str) -> Settings {
    match read(line).unwrap() {
        Request::Train { config, .. } => config.settings,
        other => panic!("a training run from {other:?}"),
    }
}

#[test]
fn recipes_are_what_results_md_was_measured_with() {
    let one_cycle = Schedule { shape: Shape::OneCycle { rise: 0.25 }, warm_up: 0 };
    let image = settings("escarp-train image --data x");
    assert_eq!((image.epochs, image.batch, image.rate, image.label_smoothing), (30, 64, 0.1, 0.05));
    assert_eq!((image.rule, image.clip), (Rule::sgd(5e-4), Clip::GlobalNorm { limit: 5.0 }));
    let sound = settings("escarp-train sound --data x");
    assert_eq!((sound.epochs, sound.batch, sound.rate, sound.label_smoothing), (100, 32, 4e-3, 0.1));
    assert_eq!((&sound.rule, &sound.clip), (&Rule::adam_w(1e-2), &Clip::GlobalNorm { limit: 1.0 }));
    let motion = settings("escarp-train motion");
    let common = Settings { epochs: 50, rate: 1e-2, label_smoothing: 0.05, ..sound };
    assert_eq!(motion, common);
    assert_eq!((image.schedule, motion.schedule), (one_cycle.clone(), one_cycle));
    assert_eq!((motion.penalty, motion.average, motion.mixup), (Penalty::default(), None, None));
}

#[test]
fn toolbox_md_tells_every_flag_and_the_recipes() {
    let text = include_str!("../../toolbox.md");
    let command = Cli::command();
    let motion = command.find_subcommand("motion").unwrap();
    let tools = motion.get_arguments().filter(|a| a.get_help_heading().is_some_and(|h| h.contains("toolbox.md")));
    let flags: Vec<String> = tools.filter_map(|a| a.get_long().map(|long| format!("`--{long}"))).collect();
    assert!(flags.len() > 20, "{flags:?}");
    flags.iter().for_each(|flag| assert!(text.contains(flag), "{flag}` is not in toolbox.md"));
    for name in ["image --data x", "sound --data x", "motion", "text --data x"] {
        let s = settings(&format!("escarp-train {name}"));
        let (rule, decay) = match s.rule {
            Rule::Sgd { weight_decay, .. } => ("sgd", weight_decay),
            Rule::AdamW { weight_decay, .. } => ("adamw", weight_decay),
            other => panic!("a recipe with {other:?}"),
        };
        let Clip::GlobalNorm { limit } = s.clip else { panic!("a recipe with {:?}", s.clip) };
        let (task, smoothing) = (name.split(' ').next().unwrap(), s.label_smoothing);
        let row =
            format!("| {task} | {rule} | {} | {decay} | {limit} | {smoothing} | {} | {} |", s.rate, s.epochs, s.batch);
        assert!(text.contains(&row), "{row} is not in toolbox.md");
    }
}

#[test]
fn every_tool_has_its_flag() {
    let image = |flags: &str| settings(&format!("escarp-train image --data x {flags}"));
    assert_eq!(image("--clip 2").clip, Clip::GlobalNorm { limit: 2.0 });
    assert_eq!(image("--clip-norm 2").clip, Clip::Norm { limit: 2.0 });
    assert_eq!(image("--clip-value 2").clip, Clip::Value { limit: 2.0 });
    assert_eq!(image("--clip-adaptive 0.01").clip, Clip::Adaptive { factor: 0.01 });
    assert_eq!(image("--no-clip").clip, Clip::None);
    assert!(Cli::command().try_get_matches_from("escarp-train motion --clip 1 --no-clip".split(' ')).is_err());
    // Another optimizer than the recipe's brings its own learning rate and decay.
    let adam = image("--optimizer adamw --beta1 0.8 --beta2 0.99 --epsilon 1e-7");
    let rule = Rule::AdamW { beta1: 0.8, beta2: 0.99, epsilon: 1e-7, weight_decay: 0.01 };
    assert_eq!((adam.rate, adam.rule), (1e-3, rule));
    assert_eq!(image("--optimizer adam --weight-decay 0.1").rule, Rule::adam(0.1));
    let rule = Rule::RmsProp { alpha: 0.9, momentum: 0.5, epsilon: 1e-8, weight_decay: 0.0 };
    assert_eq!(image("--optimizer rmsprop --alpha 0.9 --momentum 0.5").rule, rule);
    let rule = Rule::Sgd { momentum: 0.0, nesterov: false, weight_decay: 5e-4, decoupled: true };
    assert_eq!(image("--momentum 0 --no-nesterov --decoupled").rule, rule);
    assert_eq!(image("--optimizer sgd").rate, 0.1, "the recipe's own optimizer keeps the recipe");
    let step = Schedule { shape: Shape::Step { every: 9, factor: 0.1 }, warm_up: 50 };
    assert_eq!(image("--schedule step --step-every 9 --warm-up 50").schedule, step);
    assert_eq!(image("--schedule cosine").schedule.shape, Shape::Cosine);
    assert_eq!(image("--schedule constant").schedule.shape, Shape::Constant);
    let penalty = Penalty { l1: 0.5, l2: 0.25, activity: 0.125 };
    assert_eq!(image("--l1 0.5 --l2 0.25 --l2-activity 0.125").penalty, penalty);
    let both = image("--average 0.99 --mixup 0.2");
    assert_eq!((both.average, both.mixup), (Some(0.99), Some(0.2)));
}

#[test]
fn resuming_takes_no_other_settings() {
    let resume = read("escarp-train sound --resume r --threads 1");
    assert!(matches!(resume, Ok(Request::Resume { task: "sound", .. })));
    let error = read("escarp-train motion --resume r --weight-decay 0.1").unwrap_err().to_string();
    assert!(error.contains("leave out --weight-decay"), "{error}");
    let error = read("escarp-train motion --resume r --clip-norm 0.1").unwrap_err().to_string();
    assert!(error.contains("leave out --clip-norm"), "{error}");
}

#[test]
fn senseless_values_are_refused_by_flag() {
    for (flags, name) in [
        ("motion --epochs 0", "--epochs"),
        ("motion --batch 0", "--batch"),
        ("motion --lr nan", "--lr"),
        ("motion --minutes inf", "--minutes"),
        ("motion --validation 1", "--validation"),
        ("motion --validation nan", "--validation"),
        ("motion --clip 0", "--clip"),
        ("motion --clip-value inf", "--clip-value"),
        ("motion --clip-norm 0", "--clip-norm"),
        ("motion --clip-adaptive nan", "--clip-adaptive"),
        ("motion --momentum 0.9", "--momentum"),
        ("motion --optimizer sgd --momentum 1", "--momentum"),
        ("motion --optimizer rmsprop --no-nesterov", "--no-nesterov"),
        ("motion --optimizer adam --decoupled", "--decoupled"),
        ("motion --optimizer rmsprop --alpha 1", "--alpha"),
        ("motion --alpha 0.9", "--alpha"),
        ("motion --beta1 1", "--beta1"),
        ("motion --beta2 nan", "--beta2"),
        ("image --data x --beta2 0.9", "--beta2"),
        ("motion --epsilon 0", "--epsilon"),
        ("motion --weight-decay 2", "--weight-decay"),
        ("motion --l1 nan", "--l1"),
        ("motion --l2 2", "--l2"),
        ("motion --l2-activity inf", "--l2-activity"),
        ("motion --schedule step", "--schedule step"),
        ("motion --step-every 3", "--step-every"),
        ("motion --step-factor 0.5", "--step-factor"),
        ("motion --schedule step --step-every 0", "--step-every"),
        ("motion --schedule step --step-every 1 --step-factor 0", "--step-factor"),
        ("motion --warm-up 10000000", "--warm-up"),
        ("motion --label-smoothing 1", "--label-smoothing"),
        ("motion --average 1", "--average"),
        ("motion --average 0", "--average"),
        ("motion --mixup 0", "--mixup"),
        ("motion --mixup nan", "--mixup"),
        ("motion --repair --watch 0", "--repair"),
        ("motion --threads 0", "--threads"),
        ("motion --threads 100000", "--threads"),
        ("motion --resume r --threads 100000", "--threads"),
        ("motion --frames 1", "--frames"),
        ("motion --hidden 0", "--hidden"),
        ("motion --layers 0", "--layers"),
        ("motion --rate 0", "--rate"),
        ("motion --test x", "--data builtin"),
        ("motion --rate 7", "--data builtin"),
        ("motion --frames 20", "--data builtin"),
        ("image --data builtin --size 64", "--data builtin"),
        ("image --data x --width 0", "--width"),
        ("image --data x --batch 1", "--batch"),
        ("image --data x --net gru", "--net"),
        ("image --data x --net nowhere.toml", "--net"),
        ("image --data x --net resnet8 --model resnet14", "--net"),
        ("sound --data x --net resnet8", "--net"),
        ("nets resnet9", "nets"),
        ("sound --data x --hidden 0", "--hidden"),
        ("sound --data x --layers 17", "--layers"),
        ("sound --data x --rate 0", "--rate"),
        ("sound --data x --rate 4000000000", "--rate"),
        ("sound --data x --bands 1000000000000", "--bands"),
        ("sound --data x --frames 0", "--frames"),
        ("text --data x --words 2", "--words"),
        ("text --data x --tokens 0", "--tokens"),
        ("text --data x --hidden 0", "--hidden"),
        ("text --data x --mixup 0.2", "--mixup"),
        ("text --data x --init-from y --qat", "--qat"),
        ("text --data x --net gru", "--net"),
        ("text --data builtin --exclude x", "--data builtin"),
        ("generate images --out x --train 0", "--train"),
    ] {
        let error = read(&format!("escarp-train {flags}")).unwrap_err();
        assert!(matches!(&error, TrainError::Usage { flag, .. } if *flag == name), "{flags}: {error}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn training_for_int8_is_short_slow_and_begins_with_a_trained_net() {
    let Request::Train { config, .. } = read("escarp-train image --data x --init-from y --qat").unwrap() else {
        panic!("a training run");
    };
    assert_eq!((config.settings.epochs, config.settings.rate, config.settings.qat), (3, 1e-3, true));
    assert!(!config.task.net().iter().any(LayerSpec::normalizes), "normalizations are folded");
    let own = settings("escarp-train sound --data x --init-from y --qat --epochs 7 --lr 0.5");
    assert_eq!((own.epochs, own.rate), (7, 0.5));
    for refused in ["--qat", "--init-from y --qat --repair"] {
        let line = format!("escarp-train image --data x {refused}");
        assert!(Cli::command().try_get_matches_from(line.split(' ')).is_err(), "{line}");
    }
}
