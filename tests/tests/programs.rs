//! Wrong input to the three programs: the exit code, a message that says where, and nothing half-written.

use std::{path::Path, process::Output};

use escarp_tests::{program, root, run};

fn models() -> std::path::PathBuf {
    root().join("runtime/tests/data")
}

/// Asserts the exit code and that the message holds every one of `words`.
#[track_caller]
fn refused(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn escarp_run_refuses_wrong_usage() {
    let escarp = program("escarp-run");
    let model = models().join("residual.escarp");
    let model = model.to_str().unwrap();
    refused(&run(&escarp, [model]), 2, &["<FILE>..."]);
    refused(&run(&escarp, [model, "--isa", "sse9", "x"]), 2, &["sse9", "portable, neon, avx2"]);
    let foreign = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" };
    refused(&run(&escarp, ["info", model, "--isa", foreign]), 2, &[foreign, "does not have it"]);
    refused(&run(&escarp, ["bench", model, "-n", "0"]), 2, &["0 is not in 1..=1000000"]);
    refused(&run(&escarp, ["info", model, "--colour"]), 2, &["--colour"]);
}

/// A file states what it asks for; what is too much for this machine is not begun.
#[test]
fn escarp_run_keeps_to_its_limits() {
    let escarp = program("escarp-run");
    let model = models().join("gru.escarp");
    let model = model.to_str().unwrap();
    let json = run(&escarp, ["info", "--json", model]);
    let facts: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let [work, memory] = ["decision_work", "decision_memory_bytes"].map(|key| facts[key].as_u64().unwrap());
    assert_eq!(work, 8 * facts["work"].as_u64().unwrap(), "8 runs a decision");
    for (flag, needed) in [("--max-work", work), ("--max-memory", memory)] {
        let bench = |limit: u64| run(&escarp, ["bench", model, "-n", "1", flag, &limit.to_string()]);
        let words = ["gru.escarp", &needed.to_string(), &(needed - 1).to_string(), flag];
        refused(&bench(needed - 1), 1, &words);
        assert!(bench(needed).status.success());
        refused(&run(&escarp, [model, "no-such-file", flag, "1"]), 1, &["gru.escarp", flag]);
        assert!(run(&escarp, ["info", model, flag, "1"]).status.success(), "info only reads");
    }
}

#[test]
fn escarp_run_locates_what_is_wrong_in_a_model() {
    let escarp = program("escarp-run");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.escarp");
    let whole = std::fs::read(models().join("gru.escarp")).unwrap();
    let mut flipped = whole.clone();
    flipped[1000] ^= 1;
    let cases: [(&[u8], &str); 4] = [
        (&whole[..whole.len() - 1], "damaged.escarp"),
        (&flipped, "checksum"),
        (b"\x7fELF and more", "damaged.escarp"),
        (b"", "damaged.escarp"),
    ];
    for (bytes, word) in cases {
        std::fs::write(&path, bytes).unwrap();
        for task in ["info", "bench", "run"] {
            let mut arguments = vec![task, path.to_str().unwrap()];
            arguments.extend((task == "run").then_some("x"));
            let output = run(&escarp, arguments);
            refused(&output, 1, &["damaged.escarp", word]);
            assert!(output.stdout.is_empty());
        }
    }
    refused(&run(&escarp, ["info", "no-such.escarp"]), 1, &["no-such.escarp"]);
}

#[test]
fn escarp_run_names_the_input_and_goes_on() {
    let escarp = program("escarp-run");
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let model = models().join("residual.escarp").to_str().unwrap().to_owned();
    let (short, good) = (write("short.bin", &[1; 89]), write("good.bin", &[1; 90]));
    let image = write("picture.jpg", b"\xff\xd8\xff\xe0 and then nothing");
    let output = run(&escarp, [&model, &short, &image, &good, "--json"].map(AsRef::<std::ffi::OsStr>::as_ref));
    refused(&output, 1, &["short.bin", "89 bytes", "90", "picture.jpg"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.lines().count(), 1, "the good file is decided all the same: {said}");
    assert!(said.contains("good.bin"), "{said}");
    let absent = folder.path().join("absent.bin");
    refused(&run(&escarp, [Path::new(&model), &absent]), 1, &["absent.bin", "No such file"]);
}

#[test]
fn escarp_convert_leaves_nothing_behind() {
    let escarp = program("escarp-convert");
    let folder = tempfile::tempdir().unwrap();
    let (onnx, empty) = (folder.path().join("bad.onnx"), folder.path().join("empty"));
    std::fs::write(&onnx, b"this is no protobuf").unwrap();
    std::fs::create_dir(&empty).unwrap();
    let out = folder.path().join("out.escarp");
    let arguments = |onnx: &Path, samples: &Path| {
        ["", "--samples", "", "-o", ""]
            .map(String::from)
            .into_iter()
            .enumerate()
            .map(|(i, word)| match i {
                0 => onnx.into(),
                2 => samples.into(),
                4 => out.clone(),
                _ => word.into(),
            })
            .collect::<Vec<std::path::PathBuf>>()
    };
    refused(&run(&escarp, arguments(&onnx, &empty)), 1, &["bad.onnx"]);
    refused(&run(&escarp, arguments(Path::new("absent.onnx"), &empty)), 1, &["absent.onnx"]);
    let none: [&str; 0] = [];
    refused(&run(&escarp, none), 2, &["Usage"]);
    refused(&run(&escarp, ["x.onnx", "--colour"]), 2, &["--colour"]);
    assert_eq!(names(folder.path()), ["bad.onnx", "empty"]);
}

#[test]
fn escarp_train_leaves_no_run_behind() {
    let escarp = program("escarp-train");
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("run"));
    std::fs::create_dir_all(data.join("cats")).unwrap();
    std::fs::create_dir_all(data.join("dogs")).unwrap();
    std::fs::write(data.join("cats/1.png"), b"\x89PNG\r\n\x1a\n but no picture").unwrap();
    let train = |arguments: [&str; 2]| {
        let mut all = vec![arguments[0].to_owned(), "--data".into(), data.to_str().unwrap().into()];
        all.extend([arguments[1].to_owned(), "--out".into(), out.to_str().unwrap().into()]);
        run(&escarp, all.into_iter().filter(|a| !a.is_empty()))
    };
    refused(&train(["image", ""]), 1, &["dogs"]);
    for file in ["cats/2.png", "dogs/1.png", "dogs/2.png"] {
        std::fs::write(data.join(file), b"\x89PNG\r\n\x1a\n nor here").unwrap();
    }
    refused(&train(["image", ""]), 1, &["1.png"]);
    refused(&train(["image", "--model=resnet9"]), 2, &["resnet9", "resnet8"]);
    refused(&train(["vision", ""]), 2, &["vision"]);
    assert!(!out.exists() || names(&out).is_empty(), "a run folder with {:?}", names(&out));
}
