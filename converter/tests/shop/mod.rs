//! A folder with a network and samples, and the program in it.
#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use escarp_media::Image;

use crate::build::{Numbers, Onnx, ints};

/// A classifier of images of two classes, with filters and last weights of these seeds, and so many channels.
pub fn network(filters: u64, last: u64, channels: i64) -> Vec<u8> {
    Onnx::new(&[0, 3, 8, 8], &[0, 2])
        .floats("w", &[channels, 3, 3, 3], Numbers::new(filters).take(27 * channels as usize))
        .floats("fc", &[channels, 2], Numbers::new(last).take(2 * channels as usize))
        .node("Conv", &["x", "w"], "c", vec![ints("pads", &[1, 1, 1, 1])])
        .node("Relu", &["c"], "r", vec![])
        .node("GlobalAveragePool", &["r"], "p", vec![])
        .node("Flatten", &["p"], "f", vec![])
        .node("MatMul", &["f", "fc"], "m", vec![])
        .node("Softmax", &["m"], "y", vec![])
        .bytes()
}

/// What makes a model file of it.
pub const WHOLE: [&str; 7] = ["net.onnx", "--samples", "images", "--pixels", "0..1", "-o", "net.escarp"];

/// A folder that the program runs in.
pub struct Workshop(pub tempfile::TempDir);

impl Workshop {
    /// An image classifier of two classes in `net.onnx`, 8 images of each class in `images/`.
    pub fn new() -> Self {
        let shop = Workshop(tempfile::tempdir().unwrap());
        fs::write(shop.path("net.onnx"), network(5, 6, 4)).unwrap();
        let mut numbers = Numbers::new(9);
        for class in ["cat", "dog"] {
            fs::create_dir_all(shop.path(&format!("images/{class}"))).unwrap();
            for i in 0..8 {
                let pixels = numbers.take(10 * 10 * 3).iter().map(|v| (127.5 + 127.5 * v) as u8).collect();
                let png = Image { width: 10, height: 10, pixels }.encode_png().unwrap();
                fs::write(shop.path(&format!("images/{class}/{i}.png")), png).unwrap();
            }
        }
        shop
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn convert(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_escarp-convert")).args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    /// Fails with this code and a message that holds all of these; leaves no new file.
    pub fn fails(&self, arguments: &[&str], code: i32, says: &[&str]) {
        let before = files(self.0.path());
        let output = self.convert(arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{message}");
        for part in says {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
        assert_eq!(files(self.0.path()), before, "something was written");
    }
}

/// Names of a folder's files.
pub fn files(folder: &Path) -> Vec<String> {
    let name = |e: std::io::Result<fs::DirEntry>| e.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}
