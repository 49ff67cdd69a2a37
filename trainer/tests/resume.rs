//! A run that is stopped and continued ends with the bits of one that was not.

use std::path::Path;

use escarp_trainer::{
    app,
    app::repair::treat,
    config::{BUILTIN, Config, Settings, Task, freeze::Freeze},
    data::{
        generate::{Counts, images, reviews},
        images::Augmentation,
        source::Source,
    },
    doctor::verdict::{Illness, Prescription, Severity, Verdict},
    error::TrainError,
    fit::Outcome,
    nets::{Arch, presets::Preset},
    optim::{
        Rule,
        clip::Clip,
        penalty::Penalty,
        schedule::{Schedule, Shape},
    },
    run::{checkpoint::Checkpoint, folder::RunFolder},
};

fn config(task: Task, data: &Path, rule: Rule, batch: usize) -> Config {
    Config {
        version: "test".into(),
        task,
        repairs: Vec::new(),
        source: Source { data: data.into(), ..Source::default() },
        settings: Settings {
            epochs: 2,
            batch,
            rate: 0.01,
            schedule: Schedule { shape: Shape::OneCycle { rise: 0.3 }, warm_up: 0 },
            minutes: None,
            seed: 5,
            validation: 0.1,
            label_smoothing: 0.1,
            rule,
            clip: Clip::GlobalNorm { limit: 1.0 },
            penalty: Penalty::default(),
            average: None,
            mixup: None,
            watch: 3,
            init_from: None,
            freeze: Freeze::default(),
            qat: false,
            repair: false,
        },
    }
}

fn motion() -> Config {
    let task = Task::Motion { rate: 50.0, frames: 64, net: Arch::gru(1, 6, 1, 1, 2).layers, augment: true };
    config(task, Path::new(BUILTIN), Rule::adam_w(0.01), 256)
}

fn pictures(data: &Path) -> Config {
    let augmentation = Some(Augmentation { shift: 2, flip: true, colour: 0.1, cutout: 6 });
    let task = Task::Image { net: Arch::resnet(1, 2, [1; 3], 2).layers, size: Some(16), augmentation };
    config(task, data, Rule::sgd(5e-4), 8)
}

/// All numbers of the last checkpoint and the exported model.
fn result(run: &Path) -> (Vec<(String, Vec<u32>)>, Vec<u8>) {
    let checkpoint = Checkpoint::<serde_json::Value>::load(&run.join("last.ckpt")).unwrap();
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
    let numbers = checkpoint.arrays.into_iter().map(|(name, values)| (name, bits(values))).collect();
    (numbers, std::fs::read(run.join("model.onnx")).unwrap())
}

/// Trains in one go and with stops after the given numbers of steps.
fn compare(config: &Config, stops: &[u64]) {
    let folder = tempfile::tempdir().unwrap();
    let (whole, pieces) = (folder.path().join("whole"), folder.path().join("pieces"));
    let outcome = app::train(config, &whole, &|_| false).unwrap();
    assert!(matches!(outcome, Outcome::Finished { .. }));
    for (i, &step) in stops.iter().enumerate() {
        let stop = |done| done == step;
        let outcome = match i {
            0 => app::train(config, &pieces, &stop),
            _ => app::resume(&pieces, config.task.name(), &stop),
        };
        assert_eq!(outcome.unwrap(), Outcome::Interrupted { step });
    }
    assert_eq!(app::resume(&pieces, config.task.name(), &|_| false).unwrap(), outcome);
    assert_eq!(result(&whole), result(&pieces));
    let health = |run: &Path| std::fs::read_to_string(run.join("health.jsonl")).unwrap();
    assert_eq!(health(&whole), health(&pieces), "the doctor sees the same");
    let epochs = |run: &Path| std::fs::read_to_string(run.join("metrics.jsonl")).unwrap().lines().count();
    assert_eq!((epochs(&whole), epochs(&pieces)), (2, 2));
}

#[test]
fn a_recurrent_run_goes_on_exactly() {
    // 2160 training windows: 8 steps an epoch; before the first step, within and between the epochs.
    compare(&motion(), &[0, 3, 8, 13]);
}

#[test]
fn what_is_dropped_does_not_depend_on_interruptions() {
    let mut config = motion();
    let Task::Motion { net, .. } = &mut config.task else { panic!("a run on motion") };
    net.insert(1, serde_json::from_str(r#"{"kind": "dropout", "rate": 0.3}"#).unwrap());
    compare(&config, &[3, 8]);
}

#[test]
fn a_residual_run_goes_on_exactly() {
    let data = tempfile::tempdir().unwrap();
    images::write(data.path(), 1, Counts { train: 6, test: 0 }).unwrap();
    // 40 training pictures: 5 steps an epoch.
    compare(&pictures(&data.path().join("train")), &[2, 7]);
}

#[test]
fn a_run_on_texts_goes_on_exactly() {
    let data = tempfile::tempdir().unwrap();
    reviews::write(data.path(), 1, Counts { train: 30, test: 0 }).unwrap();
    let mut net = Preset::find("sentiment-lstm").unwrap().net();
    net.set_hidden(6);
    // Of two classes one output, of more one for each.
    for binary in [true, false] {
        let task = Task::Text { words: 60, tokens: Some(12), net: net.layers.clone(), binary };
        let mut config = config(task, &data.path().join("train"), Rule::adam_w(0.01), 8);
        config.settings.label_smoothing = if binary { 0.0 } else { 0.1 };
        // 54 training texts: 6 steps an epoch.
        compare(&config, &[2, 7]);
    }
}

#[test]
fn a_run_that_answers_every_frame_goes_on_exactly() {
    let mut config = motion();
    let mut net = Preset::find("lstm-tagger").unwrap().net();
    net.set_hidden(6);
    *config.task.net_mut() = net.layers;
    config.settings.average = Some(0.9);
    // More than 1000 pieces of recordings: 4 steps an epoch.
    compare(&config, &[0, 3, 6]);
}

/// Every optimizer, way of clipping and schedule, with everything else of the toolbox switched on.
#[test]
fn a_run_with_the_whole_toolbox_goes_on_exactly() {
    let rms = Rule::RmsProp { alpha: 0.9, momentum: 0.5, epsilon: 1e-8, weight_decay: 1e-3 };
    let step = Shape::Step { every: 1, factor: 0.5 };
    for (rule, clip, shape) in [
        (rms, Clip::Adaptive { factor: 0.05 }, step),
        (Rule::adam(1e-3), Clip::Norm { limit: 0.5 }, Shape::Cosine),
        (Rule::sgd(1e-3), Clip::Value { limit: 0.1 }, Shape::Constant),
    ] {
        let mut config = motion();
        config.settings.rule = rule;
        config.settings.clip = clip;
        config.settings.schedule = Schedule { shape, warm_up: 5 };
        config.settings.penalty = Penalty { l1: 1e-4, l2: 1e-4, activity: 1e-3 };
        config.settings.average = Some(0.9);
        config.settings.mixup = Some(0.4);
        compare(&config, &[0, 3, 8, 13]);
    }
    // Batch-norm statistics are averaged too.
    let data = tempfile::tempdir().unwrap();
    images::write(data.path(), 1, Counts { train: 6, test: 0 }).unwrap();
    let mut config = pictures(&data.path().join("train"));
    (config.settings.average, config.settings.mixup) = (Some(0.9), Some(1.0));
    compare(&config, &[2, 7]);
}

/// The average is what is exported, and training does not see it.
#[test]
fn averaging_changes_the_model_but_not_the_training() {
    let folder = tempfile::tempdir().unwrap();
    let with = |average: Option<f32>| {
        let mut config = motion();
        config.settings.average = average;
        let run = folder.path().join(format!("{average:?}"));
        app::train(&config, &run, &|_| false).unwrap();
        let (numbers, model) = result(&run);
        (numbers.into_iter().filter(|(name, _)| !name.starts_with("average/")).collect::<Vec<_>>(), model)
    };
    let (plain, averaged) = (with(None), with(Some(0.99)));
    assert_eq!(plain.0, averaged.0);
    assert_ne!(plain.1, averaged.1);
}

#[test]
fn threads_do_not_change_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let with = |threads: usize| {
        let run = folder.path().join(threads.to_string());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| app::train(&motion(), &run, &|_| false)).unwrap();
        result(&run)
    };
    let one = with(1);
    assert_eq!(one, with(3));
}

#[test]
fn another_seed_gives_another_network() {
    let folder = tempfile::tempdir().unwrap();
    let with = |seed: u64| {
        let mut config = motion();
        config.settings.seed = seed;
        let run = folder.path().join(seed.to_string());
        app::train(&config, &run, &|_| false).unwrap();
        result(&run).0
    };
    assert_ne!(with(1), with(2));
}

/// A repair takes three steps, whose order is the program's promise: state, settings, and the end of the plan.
#[test]
fn a_repair_that_is_cut_short_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut config = motion();
    config.settings.repair = true;
    // The healthy state is of step 8 of 16.
    app::train(&config, &at("run"), &|step| step == 12).unwrap();
    // In so few steps it does not learn, and the repair at hand is to be the only one.
    config.settings.repair = false;
    std::fs::write(at("run/config.json"), serde_json::to_string(&config).unwrap()).unwrap();
    let copy = |name: &str| {
        std::fs::remove_dir_all(at(name)).ok();
        std::fs::create_dir(at(name)).unwrap();
        for entry in std::fs::read_dir(at("run")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), at(name).join(entry.file_name())).unwrap();
        }
        RunFolder::open::<Config>(&at(name)).unwrap()
    };
    let verdict = Verdict {
        illness: Illness::SlowConvergence,
        severity: Severity::Ill,
        layers: Vec::new(),
        since_step: 9,
        evidence: "none".into(),
        prescriptions: Vec::new(),
    };
    for (remedy, goes_on) in [(Prescription::LowerRate { factor: 0.1 }, true), (Prescription::WarmUp, false)] {
        let (run, mut changed) = copy("treated");
        assert_eq!(treat(&mut changed, &run, &verdict, &[remedy]).unwrap(), goes_on);
        let settings = std::fs::read(at("treated/config.json")).unwrap();
        let state = std::fs::read(at("treated/last.ckpt"));
        assert_eq!(state.is_ok(), goes_on);
        app::resume(&at("treated"), "motion", &|_| false).unwrap();
        for done in 0..3 {
            copy("cut");
            std::fs::write(at("cut/repair.json"), &settings).unwrap();
            match &state {
                Ok(state) if done > 0 => std::fs::write(at("cut/last.ckpt"), state).unwrap(),
                Err(_) if done > 0 => std::fs::remove_file(at("cut/last.ckpt")).unwrap(),
                _ => {}
            }
            if done > 1 {
                std::fs::write(at("cut/config.json"), &settings).unwrap();
            }
            app::resume(&at("cut"), "motion", &|_| false).unwrap();
            assert_eq!(result(&at("cut")), result(&at("treated")), "{remedy:?} after {done} steps");
            assert_eq!(std::fs::read(at("cut/config.json")).unwrap(), settings);
            assert!(!at("cut/repair.json").exists());
        }
    }
}

#[test]
fn changed_data_are_noticed() {
    let data = tempfile::tempdir().unwrap();
    images::write(data.path(), 1, Counts { train: 6, test: 0 }).unwrap();
    let run = data.path().join("run");
    let train = data.path().join("train");
    app::train(&pictures(&train), &run, &|step| step == 2).unwrap();
    std::fs::copy(train.join("ring/0000.png"), train.join("disc/0000.png")).unwrap();
    let error = app::resume(&run, "image", &|_| false).unwrap_err();
    assert!(
        matches!(&error, TrainError::Checkpoint { reason, .. } if reason.contains("data, the seed or the share to validate on have changed")),
        "{error}"
    );
}

#[test]
fn a_loss_that_leaves_the_numbers_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = motion();
    (config.settings.rate, config.settings.clip) = (3e38, Clip::None);
    config.settings.rule = Rule::sgd(0.0);
    let error = app::train(&config, &folder.path().join("run"), &|_| false).unwrap_err();
    assert!(matches!(error, TrainError::Diverged { .. }), "{error}");
    assert_eq!(error.exit_code(), 1);
}

/// `config.json` is read by whoever opens the folder, and sometimes edited.
#[test]
fn edited_settings_are_held_to_the_bounds_of_the_flags() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    assert!(matches!(app::train(&motion(), &run, &|done| done == 1), Ok(Outcome::Interrupted { .. })));
    let text = std::fs::read_to_string(run.join("config.json")).unwrap();
    let edited = |key: &str, value: &str| {
        let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
        let pointer = format!("/{}", key.replace('.', "/"));
        *config.pointer_mut(&pointer).unwrap_or_else(|| panic!("no {key}")) = serde_json::from_str(value).unwrap();
        config.to_string()
    };
    let refused = |wanted: &[&str]| {
        let error = app::resume(&run, "motion", &|_| true).unwrap_err().to_string();
        wanted.iter().for_each(|w| assert!(error.contains(w), "`{w}` in: {error}"));
    };
    for (key, value, allowed) in [
        ("settings.batch", "0", "1 to 4096, not 0"),
        ("settings.mixup", "-1.0", "0.01 to 100, not -1"),
        ("settings.rate", "-3", "above 0"),
        ("settings.validation", "5", "0 to 0.9, not 5"),
        ("settings.clip.limit", "-1", "above 0"),
        ("settings.label_smoothing", "7", "below 1"),
        ("settings.rule.epsilon", "-1", "above 0"),
        ("settings.rule.beta1", "1", "below 1"),
        ("settings.rule.weight_decay", "1e39", "0 to 1"),
        ("settings.minutes", "-1", "above 0"),
        ("settings.epochs", "0", "1 to 100000"),
        ("settings.average", "1", "below 1"),
        ("settings.penalty.l1", "-1", "0 to 1"),
        ("settings.schedule.warm_up", "18446744073709551615", "0 to 1000000"),
        ("settings.schedule.shape.rise", "1", "below 1"),
        ("task.rate", "0", "above 0"),
        ("task.frames", "1", "2 to 65535"),
    ] {
        std::fs::write(run.join("config.json"), edited(key, value)).unwrap();
        refused(&["config.json", key, allowed]);
    }
    for (key, value) in [("settings.seed", "6"), ("settings.validation", "0.2")] {
        std::fs::write(run.join("config.json"), edited(key, value)).unwrap();
        refused(&["last.ckpt", "the seed or the share to validate on"]);
    }
    std::fs::write(run.join("config.json"), &text).unwrap();
    std::fs::write(run.join("repair.json"), edited("settings.batch", "0")).unwrap();
    refused(&["repair.json", "settings.batch", "1 to 4096"]);
    std::fs::remove_file(run.join("repair.json")).unwrap();
    assert!(matches!(app::resume(&run, "motion", &|_| true), Ok(Outcome::Interrupted { .. })));
}
