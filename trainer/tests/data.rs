//! Data in files: what is held out, which columns and which rate hold; and what is said of a net that learned nothing.

mod program;

use std::{fmt::Write, path::Path};

use escarp_converter::{
    Options, convert, files,
    metadata::{FrontEnd, KEY, Metadata},
    read,
};
use escarp_media::Pcm;
use escarp_runtime::Model;
use program::{run, says};
use prost::Message;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tract_onnx::pb::ModelProto;

/// Writes recordings of `rows` rows, one file for each number below `count` in each of `classes`.
fn recordings(
    folder: &Path,
    classes: &[&str],
    count: u64,
    header: &str,
    row: impl Fn(u64, usize, &mut ChaCha8Rng) -> String,
) {
    for (class, name) in (0u64..).zip(classes) {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        for number in 0..count {
            let mut rng = ChaCha8Rng::seed_from_u64(class * 1000 + number);
            let mut text = header.to_owned();
            (0..ROWS).for_each(|i| writeln!(text, "{}", row(class * count + number, i, &mut rng)).unwrap());
            std::fs::write(folder.join(name).join(format!("{number}.csv")), text).unwrap();
        }
    }
}

const ROWS: usize = 64;

/// The last validation accuracy of each epoch, 0 to 1.
fn accuracies(run: &Path, key: &str) -> Vec<f64> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()[key].as_f64().unwrap();
    text.lines().map(line).collect()
}

/// Noise of no class, but about a level of its own in each recording: who has heard the recording knows the class, and who has
/// not cannot.
#[test]
fn windows_of_a_recording_are_never_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    recordings(&here.join("train"), &["a", "b", "c", "d"], 8, "u,v,w,x,y,z\n", |recording, _, rng| {
        let mut levels = ChaCha8Rng::seed_from_u64(99 + recording);
        let mut value = || levels.random_range(-3.0..3.0f32) + rng.random_range(-1.0..1.0f32);
        [(); 6].map(|()| value().to_string()).join(",")
    });
    let flags = "motion --data train --frames 8 --hidden 24 --epochs 40 --validation 0.25 --no-augment --out run";
    let said = run(&flags.split(' ').collect::<Vec<_>>(), here, 0);
    says(&said, &["reading 32 recordings", "8 of 32 recordings are held out, whole"]);
    let last = |key| *accuracies(&here.join("run"), key).last().unwrap();
    let (train, validation) = (last("train_accuracy"), last("validation_accuracy"));
    assert!(train > 0.6, "the recordings can be learned by heart: {train}");
    assert!(validation < 0.6, "and tell nothing of others: {validation}");
}

#[test]
fn a_class_of_one_recording_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    recordings(&here.join("train"), &["a", "b"], 2, "x,y\n", |_, i, _| format!("{},{}", i % 7, i % 3));
    std::fs::remove_file(here.join("train/b/1.csv")).unwrap();
    let flags = ["motion", "--data", "train", "--frames", "8"];
    says(&run(&flags, here, 1), &["class `b` has 1 recordings; at least 2", "--validation 0"]);
    // Where none is held out it is enough. The penalty is no part of what the net is judged by.
    let more = ["--validation", "0", "--l1", "1", "--hidden", "16", "--epochs", "1"];
    let said = run(&[&flags[..], &more].concat(), here, 0);
    assert!(!said.contains("far above") && !said.contains("learned nothing"), "{said}");
    says(&said, &["only 3 recordings are there to train on, too few to tell"]);
}

/// Time goes on from one recording to the next, and the classes were recorded one after the other.
#[test]
fn a_clock_is_no_channel_and_the_model_knows_its_columns() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let row = |recording: u64, i: usize, rng: &mut ChaCha8Rng| {
        let at = recording as usize * ROWS + i;
        format!("{at},{},{},1,{}", at / 3, rng.random_range(-1.0..1.0f32), rng.random_range(-1.0..1.0f32))
    };
    recordings(&here.join("train"), &["a", "b"], 4, "Time [ms],count,ax,battery,ay\n", row);
    let flags = "motion --data train --frames 8 --hidden 4 --epochs 2";
    let flags: Vec<&str> = flags.split(' ').collect();
    let said = run(&[&flags[..], &["--out", "run"]].concat(), here, 0);
    says(
        &said,
        &["column `Time [ms]` is left out", "`count` is left out: it only rises", "`battery` is left out: it changes"],
    );
    says(&said, &["channels: 2 columns (ax, ay) (--columns chooses others)"]);
    assert!(accuracies(&here.join("run"), "validation_accuracy").iter().all(|&a| a < 0.9), "nothing can be learned");

    let onnx = std::fs::read(here.join("run/model.onnx")).unwrap();
    let model = ModelProto::decode(onnx.as_slice()).unwrap();
    let entry = model.metadata_props.iter().find(|p| p.key == KEY).unwrap();
    let metadata: Metadata = serde_json::from_str(&entry.value).unwrap();
    let FrontEnd::Sensor { columns, .. } = metadata.front_end else { panic!("a sensor's") };
    assert_eq!(columns, ["ax", "ay"]);

    // Calibration reads the same numbers from files of other columns in another order, and refuses those without.
    let graph = read(&onnx, &Options::default()).unwrap();
    let open = |name: &str| files::open(&here.join(name), &graph, &[]);
    let swapped = |text: &str| {
        let line = |line: &str| {
            let fields: Vec<&str> = line.split(',').collect();
            format!("{},{}\n", fields[4], fields[2])
        };
        text.lines().map(line).collect::<String>()
    };
    std::fs::create_dir(here.join("swapped")).unwrap();
    let text = std::fs::read_to_string(here.join("train/b/2.csv")).unwrap();
    std::fs::write(here.join("swapped/2.csv"), swapped(&text)).unwrap();
    let (train, other) = (open("train").unwrap(), open("swapped").unwrap());
    let windows = other.samples().len();
    assert_eq!(train.samples().get(6 * windows).unwrap(), other.samples().get(0).unwrap());
    std::fs::write(here.join("swapped/3.csv"), text.replace("ay", "az")).unwrap();
    let missing = open("swapped").err().unwrap().to_string();
    assert!(missing.contains("3.csv") && missing.contains("no column `ay`"), "{missing}");
    let converted = convert(&onnx, train.samples(), &Options::default()).unwrap();
    assert!(Model::parse(&converted.file).unwrap().columns().eq(["ax", "ay"]), "the file carries them");

    // Whoever names them gets them.
    let named = run(&[&flags[..], &["--columns", "Time [ms],ax", "--out", "named"]].concat(), here, 0);
    assert!(!named.contains("left out"), "{named}");
    says(&run(&[&flags[..], &["--columns", "ax,az"]].concat(), here, 1), &["a/0.csv", "line 1", "no column `az`"]);
    for twice in ["ax,ax", "ax, ax", "3,03"] {
        says(&run(&[&flags[..], &["--columns", twice]].concat(), here, 2), &["--columns", "twice"]);
    }
    says(&run(&[&flags[..], &["--columns", ""]].concat(), here, 2), &["--columns", "a name is empty"]);
    says(&run(&[&flags[..], &["--columns", "3,ax"]].concat(), here, 1), &["a/0.csv", "chooses column `ax` twice"]);
    says(&run(&["motion", "--columns", "x"], here, 2), &["--data builtin", "--columns"]);
}

#[test]
fn the_rate_of_most_clips_holds_and_the_others_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for (number, rate) in (0u32..).zip([16_000, 8000, 8000, 8000, 8000, 8000]) {
        let class = here.join(["train/a", "train/b"][number as usize / 3]);
        std::fs::create_dir_all(&class).unwrap();
        let samples = (0..rate / 4).map(|i| ((i * (number + 3)) % 97) as i16 * 50).collect();
        std::fs::write(class.join(format!("{number}.wav")), Pcm { rate, samples }.encode().unwrap()).unwrap();
    }
    let flags = "sound --data train --bands 8 --hidden 4 --epochs 1 --batch 4";
    let said = run(&flags.split(' ').collect::<Vec<_>>(), here, 0);
    says(&said, &["1 of 6 clips were resampled to 8000 Hz (--rate): 1 of 16000 Hz", "8000 Hz, "]);
}

/// Noise, three recordings of the one class for each of the other.
fn noise(folder: &Path) {
    recordings(folder, &["rare", "rest"], 12, "x,y\n", |_, _, rng| {
        format!("{},{}", rng.random_range(-1.0..1.0f32), rng.random_range(-1.0..1.0f32))
    });
    (3..12).for_each(|number| std::fs::remove_file(folder.join(format!("rare/{number}.csv"))).unwrap());
}

#[test]
fn who_always_says_the_commonest_class_is_no_worse() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    noise(&here.join("train"));
    let flags = "motion --data train --frames 8 --hidden 4 --epochs 2 --validation 0.3";
    let said = run(&flags.split(' ').collect::<Vec<_>>(), here, 0);
    says(&said, &["uneven classes, in training samples: `rest` 120, `rare` 30;", "`rest` is right in 80.00 %"]);
    says(&said, &["(always `rest`: 80.00 %)", "only 5 recordings were held out to validate on, too few to tell"]);
    let flags = "motion --data train --frames 8 --hidden 4 --epochs 2 --validation 0.6 --out more";
    let said = run(&flags.split(' ').collect::<Vec<_>>(), here, 0);
    says(
        &said,
        &["not clearly above the 77.78 % of always saying `rest`: as far as can be told, the net has learned nothing"],
    );
}

#[test]
fn a_run_whose_loss_ran_away_fails() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    noise(&here.join("train"));
    let flags = "motion --data train --frames 8 --hidden 4 --epochs 2 --validation 0.3 --optimizer sgd --lr 100 \
                 --schedule constant";
    let said = run(&flags.split_whitespace().collect::<Vec<_>>(), here, 1);
    says(&said, &["of no use: validation loss", "since epoch 1", "try a lower --lr (now 100)"]);
    // It is a run all the same, and says the same again.
    says(&run(&["motion", "--resume", "runs/motion"], here, 1), &["of no use: validation loss"]);
}
