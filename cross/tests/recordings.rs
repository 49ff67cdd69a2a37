//! `escarp-run` on recordings longer than a window, and on models and files whose names are meant for the terminal.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use escarp_runtime::{
    Model, Tensor,
    format::{Header, seal},
    frontend::{FrontEnd, LogMelSettings, Norm, SensorSettings},
    meta::{Tag, emit_entry, emit_label},
};

const MEAN: [f32; 64] = [0.0; 64];
const STD: [f32; 64] = [1.0; 64];

struct Shop(tempfile::TempDir);

impl Shop {
    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().into()
    }

    /// The recurrent model of the runtime's tests with this front end, these labels and this name.
    fn model(&self, front_end: &dyn Fn(u16, usize) -> FrontEnd<'static>, label: &str) -> String {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../runtime/tests/data/gru.escarp");
        let whole = std::fs::read(path).unwrap();
        let model = Model::parse(&whole).unwrap();
        let (input, output): (Tensor, Tensor) = (model.input(), model.output());
        let front_end = front_end(model.sequence(), input.elements() as usize);
        let mut record = vec![0; front_end.emitted_len()];
        front_end.emit(&mut record).unwrap();
        let mut labels = Vec::new();
        (0..output.elements()).for_each(|i| emit_label(&mut labels, &format!("{label}{i}")));
        let mut meta = Vec::new();
        emit_entry(&mut meta, Tag::Labels, 0, &labels);
        emit_entry(&mut meta, Tag::FrontEnd, 0, &record);
        emit_entry(&mut meta, Tag::Name, 0, format!("name {label}").as_bytes());
        let header = model.header();
        let meta_at = header.meta_at as usize;
        let (meta_len, file_len) = (meta.len() as u32, (meta_at + meta.len()) as u32);
        let mut file = Header { meta_len, file_len, ..*header }.emit().to_vec();
        file.extend(&whole[file.len()..meta_at]);
        file.extend(meta);
        seal(&mut file);
        self.write("model.escarp", &file)
    }
}

fn sensor(frames: u16, channels: usize) -> FrontEnd<'static> {
    FrontEnd::Sensor(SensorSettings { rate: 50.0, frames, norm: Norm::new(&MEAN[..channels], &STD[..channels]) })
}

fn sound(frames: u16, bands: usize) -> FrontEnd<'static> {
    FrontEnd::LogMel(LogMelSettings {
        sample_rate: 8000,
        frame: 200,
        hop: 80,
        fft: 256,
        frames,
        low_hz: 20.0,
        high_hz: 4000.0,
        floor: 1e-6,
        norm: Norm::new(&MEAN[..bands], &STD[..bands]),
    })
}

fn run(arguments: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_escarp-run")).args(arguments).output().unwrap();
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    (output, said)
}

/// `rows` rows of `channels` columns, each number its own.
fn csv(rows: usize, channels: usize) -> String {
    let row = |r: usize| (0..channels).map(|c| format!("{}", (r * 7 + c * 3) % 11)).collect::<Vec<_>>().join(",");
    (0..rows).map(|r| row(r) + "\n").collect()
}

#[test]
fn a_sensor_recording_is_decided_on_to_its_end() {
    let shop = Shop(tempfile::tempdir().unwrap());
    let model = &*shop.model(&sensor, "class");
    let parsed = std::fs::read(model).unwrap();
    let parsed = Model::parse(&parsed).unwrap();
    let (frames, channels) = (usize::from(parsed.sequence()), parsed.input().elements() as usize);
    let hop = frames.div_ceil(2);
    // Three whole windows, and one row more.
    let rows = frames + 2 * hop + 1;
    let file = shop.write("long.csv", csv(rows, channels).as_bytes());

    let (output, said) = run(&[model, "--json", &file]);
    assert!(output.status.success());
    let lines: Vec<serde_json::Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let places: Vec<_> = lines.iter().map(|l| (l["window"]["from"].as_u64(), l["window"]["to"].as_u64())).collect();
    let place = |from: usize| (Some(from as u64), Some((from + frames) as u64));
    assert_eq!(places, [place(0), place(hop), place(2 * hop), place(2 * hop + 1)]);
    assert!(
        lines.iter().all(|l| l["window"]["unit"] == "rows" && l["window"]["count"] == 4 && l["file"] == file.as_str())
    );
    assert_eq!(lines[1]["window"]["from_s"], hop as f64 / 50.0);

    // Each window alone is the same decision.
    for (line, from) in lines.iter().zip([0, hop, 2 * hop, 2 * hop + 1]) {
        let text = csv(rows, channels);
        let cut: Vec<&str> = text.lines().skip(from).take(frames).collect();
        let (_, alone) = run(&[model, "--json", &shop.write("cut.csv", cut.join("\n").as_bytes())]);
        let alone: serde_json::Value = serde_json::from_str(&alone).unwrap();
        assert_eq!((&alone["output"], &alone["window"]["count"]), (&line["output"], &1.into()));
    }

    let (_, said) = run(&[model, &file]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 5, "{said}");
    assert!(lines[0].contains("long.csv: 4 windows of ") && lines[0].ends_with("the last lies at the end"), "{said}");
    assert!(lines[2].contains(&format!(" s (rows {}-{}): class", hop + 1, hop + frames)), "{said}");
}

#[test]
fn a_sound_is_decided_on_to_its_end() {
    let shop = Shop(tempfile::tempdir().unwrap());
    let model = &*shop.model(&sound, "word");
    let parsed = std::fs::read(model).unwrap();
    let frames = usize::from(Model::parse(&parsed).unwrap().sequence());
    let length = (frames - 1) * 80 + 200;
    let hop = frames.div_ceil(2) * 80;
    let samples: Vec<i16> = (0..length + hop).map(|i| (i * i % 4001) as i16).collect();
    let wav = escarp_media::Pcm { rate: 8000, samples }.encode().unwrap();
    let (_, said) = run(&[model, &shop.write("long.wav", &wav)]);
    let (from, to) = (hop as f64 / 8000.0, (hop + length) as f64 / 8000.0);
    assert!(said.contains("long.wav: 2 windows of "), "{said}");
    assert!(said.lines().nth(2).unwrap().contains(&format!("long.wav {from:.3}-{to:.3} s: word")), "{said}");
}

/// What stands in a model or in a file's name moves no cursor and forges no line.
#[test]
fn control_characters_are_shown() {
    let shop = Shop(tempfile::tempdir().unwrap());
    let evil = "\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\ncat";
    let model = &*shop.model(&sensor, evil);
    let parsed = std::fs::read(model).unwrap();
    let parsed = Model::parse(&parsed).unwrap();
    let (frames, channels) = (usize::from(parsed.sequence()), parsed.input().elements() as usize);
    let good = &*shop.write("a\u{1b}[31m\nb.csv", csv(frames, channels).as_bytes());
    let bad = &*shop.write("c\u{1b}[2J\u{2066}.csv", b"\x1b[31m,\x1b]0;x\x07\n1,x\x1b[5m\n");
    for arguments in [&["info", model][..], &[model, good, bad], &["bench", model, "-n", "1"]] {
        let (output, said) = run(arguments);
        let all = said + &String::from_utf8(output.stderr).unwrap();
        let hidden =
            |c: char| c != '\n' && c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!all.contains(hidden), "{arguments:?}: {all:?}");
        assert!(!all.lines().any(|line| line.starts_with("cat") || line.starts_with("b.csv")), "{all}");
        if arguments[0] != "bench" {
            assert!(all.contains(r"\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\ncat"), "{all}");
        }
    }
    let (_, said) = run(&["info", model, "--json"]);
    assert!(!said.trim_end().contains(|c: char| c.is_control() || c == '\u{202e}'), "{said:?}");
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(json["name"], format!("name {evil}"), "and machines get it as it is");
}
