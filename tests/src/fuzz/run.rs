//! What a training leaves behind and reads again: health logs, checkpoints, settings.

use std::{
    cell::Cell,
    path::{Path, PathBuf},
};

use escarp_trainer::{
    app,
    config::{BUILTIN, Config, Task, bounds},
    doctor::{diagnosis::Diagnosis, report, strip::Style},
    nets::{Arch, Net},
    run::{
        checkpoint::{Checkpoint, MAGIC, VERSION},
        transfer,
    },
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::{net::largest, scratch};

/// Numbers of a net above this are not built, and windows above it not cut: what they cost is what the file asks for.
const LARGEST: u64 = 24;

/// `health.jsonl`, read, judged and shown.
pub fn health(data: &[u8]) {
    let path = scratch::file("health.jsonl", data);
    let Ok((diagnosis, _)) = Diagnosis::read(&path, None) else { return };
    assert!(diagnosis.observations.windows(2).all(|pair| pair[0].step < pair[1].step));
    let text = diagnosis.text(Style::of(false));
    assert!(!text.is_empty());
    serde_json::from_str::<Value>(&diagnosis.json(None)).expect("--json prints JSON");
    assert!(report::html(&diagnosis, "a log").ends_with("</html>\n"));
}

/// A checkpoint: as what a fine-tuning begins with, and as what `--resume` goes on from.
pub fn checkpoint(data: &[u8]) {
    let bytes = mend(data);
    let path = scratch::file("a.ckpt", &bytes);
    let Ok(read) = Checkpoint::<Value>::load(&path) else { return };
    if largest(&read.header["arch"]) > LARGEST {
        return;
    }
    let arch = Arch::gru(2, 3, 1, 4, 2);
    let mut net = Net::<f32>::new(&arch, &mut ChaCha8Rng::seed_from_u64(1)).expect("a small net");
    let _ = transfer::take(&path, &mut net);
    RUN.with(|run| run.resume(&run.config, Some(&bytes)));
}

/// Settings of a run on recordings that is to be continued, from its checkpoint and from the beginning.
pub fn config(data: &[u8]) {
    let Ok(mut config) = serde_json::from_slice::<Config>(data) else { return };
    // A rate beyond f32 is infinite, which JSON has no number for; no run is begun with it.
    if bounds::check(&config.task, &config.settings).is_err() {
        return;
    }
    let again = serde_json::to_vec(&config).expect("what was read can be written");
    assert!(serde_json::from_slice::<Config>(&again).is_ok_and(|c| c == config), "written, it reads as something else");
    let Task::Motion { frames, ref net, .. } = config.task else { return };
    let net = serde_json::to_value(net).expect("what was read can be written");
    if u64::from(frames).max(largest(&net)) > LARGEST || config.source.data.as_os_str() == BUILTIN {
        return;
    }
    RUN.with(|run| {
        // Nothing but the prepared recordings is read, whatever the settings name.
        config.source.data = run.data.clone();
        (config.source.test, config.settings.init_from) = (None, None);
        let settings = serde_json::to_vec(&config).expect("as above");
        for checkpoint in [Some(&run.checkpoint[..]), None] {
            run.resume(&settings, checkpoint);
        }
    });
}

/// Makes magic, version, the header's length and the checksum right.
fn mend(data: &[u8]) -> Vec<u8> {
    let start = MAGIC.len() + 8;
    let mut bytes = data.to_vec();
    let end = bytes.len().saturating_sub(4);
    if end < start {
        return bytes;
    }
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[MAGIC.len()..][..4].copy_from_slice(&VERSION.to_le_bytes());
    let mut values = serde_json::Deserializer::from_slice(&bytes[start..end]).into_iter::<Value>();
    if let (Some(Ok(_)), length) = (values.next(), values.byte_offset()) {
        let length = u32::try_from(length).expect("a short input");
        bytes[start - 4..start].copy_from_slice(&length.to_le_bytes());
    }
    let sum = crc32fast::hash(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// A run of one step on a few recordings.
pub struct Run {
    data: PathBuf,
    folder: PathBuf,
    /// Its `config.json`.
    pub config: Vec<u8>,
    /// Its `last.ckpt`.
    pub checkpoint: Vec<u8>,
}

thread_local! {
    /// One for each thread.
    pub static RUN: Run = Run::new();
}

impl Run {
    fn new() -> Run {
        let (data, folder) = (scratch::folder().join("recordings"), scratch::folder().join("run"));
        for (class, steps) in [("slow", 1.0), ("fast", 2.5)] {
            std::fs::create_dir_all(data.join(class)).expect("a folder for recordings");
            for number in 0..5 {
                let rows =
                    (0..12).map(|t| f64::from(t + number) * steps).map(|x| format!("{:.4},{:.4}\n", x.sin(), x.cos()));
                let text = "ax,ay\n".to_owned() + &rows.collect::<String>();
                scratch::write(&data.join(class).join(format!("{number}.csv")), text.as_bytes());
            }
        }
        let config: Config = serde_json::from_value(settings(&data)).expect("settings as escarp-train writes them");
        app::train(&config, &folder, &|step| step >= 1).expect("the recordings can be trained on");
        let read = |name| std::fs::read(folder.join(name)).expect("every run has it");
        let (config, checkpoint) = (read("config.json"), read("last.ckpt"));
        Run { data, folder, config, checkpoint }
    }

    /// Continues, or without a checkpoint begins, a run with these settings, and stops it after a step.
    fn resume(&self, config: &[u8], checkpoint: Option<&[u8]>) {
        std::fs::remove_dir_all(&self.folder).expect("our own folder");
        std::fs::create_dir(&self.folder).expect("our own folder");
        scratch::write(&self.folder.join("config.json"), config);
        if let Some(checkpoint) = checkpoint {
            scratch::write(&self.folder.join("last.ckpt"), checkpoint);
        }
        let asked = Cell::new(0);
        let stop = |_| asked.replace(asked.get() + 1) > 0;
        let _ = app::resume(&self.folder, "motion", &stop);
    }
}

/// `config.json`.
fn settings(data: &Path) -> Value {
    json!({
        "version": "0.1.0",
        "task": {
            "kind": "motion",
            "rate": 50.0,
            "frames": 6,
            "net": [{"kind": "gru", "name": "gru1", "hidden": 3}, {"kind": "dense", "name": "head"}],
            "augment": true,
        },
        "source": {"data": data, "test": null, "exclude": [], "test_match": []},
        "settings": {
            "epochs": 3, "batch": 4, "rate": 0.01, "schedule": {"shape": {"kind": "cosine"}, "warm_up": 0},
            "minutes": null, "seed": 1, "validation": 0.2, "label_smoothing": 0.0,
            "rule": {"kind": "adamw", "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.01},
            "clip": {"kind": "global-norm", "limit": 1.0}, "penalty": {"l1": 0.0, "l2": 0.0, "activity": 0.0},
            "average": null, "watch": 1, "repair": false, "mixup": null,
        },
    })
}
