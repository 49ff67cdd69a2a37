//! Quick forms of the studies: each shows what it must, and an interrupted one goes on to the same table.

use std::path::Path;

use escarp_trainer::{
    data::generate::{Counts, images},
    study::{
        STUDIES, Study,
        command::Order,
        results::{Record, Results},
    },
};

fn order<'a>(name: &str, folder: &'a Path) -> Order<'a> {
    Order { study: Study::find(name).unwrap(), full: false, folder, seed: 0, data: None }
}

/// The figure `key` of a cell; infinite where it was not finite.
fn figure(results: &Results, order: &Order, [row, column]: [&str; 2], key: &str) -> f64 {
    let cells = (order.study.cells)(order.full);
    let cell = cells.iter().find(|c| c.row == row && c.column == column).unwrap();
    results.of(cell, order.seed).unwrap().figures[key].unwrap_or(f64::INFINITY)
}

/// What follows from the seed: not the time and the place.
fn table(folder: &Path) -> String {
    let text = std::fs::read_to_string(folder.join("results.md")).unwrap();
    text[text.find("## ").unwrap()..].to_owned()
}

/// A change of a recipe leaves the committed results behind, which were then of something else.
#[test]
fn committed_results_are_of_the_recipes_there_are() {
    for study in STUDIES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("studies").join(study.name).join("results.jsonl");
        let cells = (study.cells)(true);
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let record: Record = serde_json::from_str(line).unwrap();
            let (row, column) = (&record.row, &record.column);
            let cell = cells.iter().find(|cell| cell.row == *row && cell.column == *column);
            assert_eq!(cell.map(|cell| &cell.recipe), Some(&record.recipe), "{}: {row}, {column}", study.name);
        }
    }
}

#[test]
fn gates_remember_and_a_plain_net_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let order = order("memory", folder.path());
    assert!(order.run(&|| false).unwrap());
    let results = Results::open(folder.path()).unwrap();
    let error = |row| figure(&results, &order, [row, "T = 30"], "error");
    // Answering 1 errs by 0.167, give or take 0.01 on these samples.
    assert!((0.12..0.25).contains(&error("RNN")), "{}", error("RNN"));
    for row in ["GRU", "LSTM"] {
        assert!(error(row) < 0.04, "{row}: {}", error(row));
    }
    let page = std::fs::read_to_string(folder.path().join("study.html")).unwrap();
    assert!(page.contains("<polyline") && page.contains("answering 1"));
}

#[test]
fn clipping_saves_a_net_that_explodes() {
    let folder = tempfile::tempdir().unwrap();
    let order = order("clip", folder.path());
    assert!(order.run(&|| false).unwrap());
    let results = Results::open(folder.path()).unwrap();
    let of = |row, key| figure(&results, &order, [row, "net 1"], key);
    assert_eq!((of("none", "error"), of("none", "largest gradient")), (f64::INFINITY, f64::INFINITY));
    for row in ["by value", "by norm", "by global norm", "adaptive"] {
        // Between two thirds and a quarter of 0.167 in six seeds.
        assert!(of(row, "error") < 0.12, "{row}: {}", of(row, "error"));
        // There was something to clip.
        assert!((1.0..f64::INFINITY).contains(&of(row, "largest gradient")), "{row}");
    }
    let markdown = std::fs::read_to_string(folder.path().join("results.md")).unwrap();
    assert!(markdown.contains("| none | not finite |"), "{markdown}");
}

#[test]
fn depth_stops_sigmoids_and_bad_weights_stop_all() {
    let folder = tempfile::tempdir().unwrap();
    let order = order("depth", folder.path());
    assert!(order.run(&|| false).unwrap());
    let results = Results::open(folder.path()).unwrap();
    let of = |row, key| figure(&results, &order, [row, "16 layers"], key);
    for row in ["sigmoid, Glorot", "sigmoid, He", "sigmoid, orthogonal", "sigmoid, too small"] {
        // 15 slopes of at most 1/4 each leave 1e-9, times what weights and inputs add.
        assert!(of(row, "ratio") < 1e-6, "{row}: {}", of(row, "ratio"));
        assert!(of(row, "accuracy") < 0.7, "{row}: {}", of(row, "accuracy"));
    }
    for row in ["tanh, orthogonal", "tanh, Glorot", "ReLU, He", "ReLU, orthogonal"] {
        assert!((0.05..20.0).contains(&of(row, "ratio")), "{row}: {}", of(row, "ratio"));
        assert!(of(row, "accuracy") > 0.85, "{row}: {}", of(row, "accuracy"));
    }
    for row in ["tanh, too small", "ReLU, too small"] {
        assert!(of(row, "first") < 1e-8 && of(row, "accuracy") < 0.7, "{row}: {}", of(row, "first"));
    }
    assert!(of("tanh, too large", "ratio") > 3.0);
}

#[test]
fn an_interrupted_study_goes_on_to_the_same_table() {
    let [whole, parts] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    assert!(order("memory", whole.path()).run(&|| false).unwrap());
    let file = parts.path().join("results.jsonl");
    let done = || std::fs::read_to_string(&file).map_or(0, |text| text.lines().count());
    for already in 0..3 {
        // One cell more each time; the rest is left.
        let finished = order("memory", parts.path()).run(&|| done() > already).unwrap();
        assert_eq!((finished, done()), (already == 2, already + 1));
        if !finished {
            assert!(table(parts.path()).contains("| - |"), "a cell that is not done");
        }
    }
    assert_eq!(table(parts.path()), table(whole.path()));
    let kept = std::fs::read(&file).unwrap();
    assert!(order("memory", parts.path()).run(&|| panic!("nothing is left to train")).unwrap());
    assert_eq!(std::fs::read(&file).unwrap(), kept);
}

#[test]
fn another_seed_has_its_own_cells() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = [0, 1].map(|seed| Order { seed, ..order("memory", folder.path()) });
    assert!(first.run(&|| false).unwrap());
    let table_of_first = table(folder.path());
    assert!(second.run(&|| false).unwrap());
    assert_ne!(table(folder.path()), table_of_first);
    let results = Results::open(folder.path()).unwrap();
    for order in [first, second] {
        assert!((order.study.cells)(false).iter().all(|cell| results.of(cell, order.seed).is_some()));
    }
}

#[test]
fn a_damaged_record_is_named_by_its_line() {
    let folder = tempfile::tempdir().unwrap();
    assert!(order("memory", folder.path()).run(&|| false).unwrap());
    let file = folder.path().join("results.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("\"unit\":\"gru\"", "\"unit\":\"cru\"", 1)).unwrap();
    let error = order("memory", folder.path()).run(&|| false).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("results.jsonl, line 2") && message.contains("gru"), "{message}");
    assert_eq!(error.exit_code(), 1);
}

#[test]
fn repair_beats_chance_and_leaves_the_healthy_alone() {
    let folder = tempfile::tempdir().unwrap();
    let order = order("repair", folder.path());
    assert!(order.run(&|| false).unwrap());
    let results = Results::open(folder.path()).unwrap();
    let of = |row, column, key| figure(&results, &order, [row, column], key);
    for row in ["4 ReLU layers, SGD at 5", "8 sigmoid layers"] {
        for key in ["detected", "named"] {
            assert_eq!(of(row, "left alone", key), 1.0, "{row}: {key}");
        }
        assert_eq!(of(row, "left alone", "learned"), 0.0, "{row}");
        let (cured, ill) = (of(row, "repaired", "accuracy"), of(row, "left alone", "accuracy"));
        assert!(cured > ill + 0.2 && of(row, "repaired", "repairs") >= 1.0, "{row}: {ill} to {cured}");
    }
    let well = "healthy: 4 ReLU layers";
    let accuracies = ["left alone", "repaired", "at random"].map(|column| of(well, column, "accuracy"));
    assert!(accuracies[0] > 0.6 && accuracies == [accuracies[0]; 3], "{accuracies:?}");
    let page = std::fs::read_to_string(folder.path().join("results.md")).unwrap();
    assert!(page.contains("2 broken trainings: 100.0 % are called ill, 100.0 % by a right name"), "{page}");
}

#[test]
fn a_deep_plain_net_learns_less_than_a_shallow_one_and_than_its_twin() {
    let folder = tempfile::tempdir().unwrap();
    let order = order("residual", folder.path());
    assert!(order.run(&|| false).unwrap());
    let results = Results::open(folder.path()).unwrap();
    let error = |row, column| figure(&results, &order, [row, column], "training error");
    let deep = error("plain", "32 layers");
    assert!(error("plain", "8 layers") < deep - 0.1, "{deep}");
    assert!(error("with shortcuts", "32 layers") < deep - 0.05, "{deep}");
    let page = std::fs::read_to_string(folder.path().join("study.html")).unwrap();
    assert!(page.matches("<polyline").count() == 4 && page.contains("data: 160 + 40 images, checksum"));

    // Other images are other results.
    let data = tempfile::tempdir().unwrap();
    images::write(data.path(), 1, Counts { train: 25, test: 0 }).unwrap();
    let other = data.path().join("train");
    let message = Order { data: Some(&other), ..order }.run(&|| false).unwrap_err().to_string();
    assert!(message.contains("results.jsonl: holds results of other images") && message.contains("--out"), "{message}");
}

#[test]
fn images_are_asked_for_and_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    for (order, wanted) in [
        (Order { full: true, ..order("residual", &out) }, "name a folder or tar"),
        (Order { data: Some(folder.path()), ..order("clip", &out) }, "makes its own data"),
    ] {
        let error = order.run(&|| panic!("nothing to train")).unwrap_err();
        assert!(error.to_string().starts_with("--data: ") && error.to_string().contains(wanted), "{error}");
        assert_eq!(error.exit_code(), 2);
        assert!(!out.exists());
    }
}
