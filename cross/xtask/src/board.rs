//! Board profiles: one TOML file a board under `cross/boards`.

use std::{ops::RangeInclusive, path::Path};

use serde::Deserialize;

use crate::error::{Error, file};

/// A board, as its profile describes it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// The file's name without `.toml`: what `--board` takes.
    #[serde(skip)]
    pub key: String,
    /// The name on the box.
    pub name: String,
    /// Rust's target triple.
    pub target: String,
    /// What `escarp-run` must detect there.
    pub isa: String,
    /// RAM, MB.
    pub memory_mb: u32,
    /// Kinds of core, the one that runs models first.
    #[serde(rename = "cluster", default)]
    pub clusters: Vec<Cluster>,
    /// Where to deploy.
    pub ssh: Ssh,
}

/// Cores of one kind.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Arm's name.
    pub core: String,
    /// `CPU part` of /proc/cpuinfo.
    pub part: u32,
    /// How many.
    pub count: u32,
    /// Highest clock, MHz.
    pub mhz: u32,
    /// L1 data cache of a core, KB.
    pub l1d_kb: u32,
    /// L2 cache, KB: of the cluster, or of each core where they do not share.
    pub l2_kb: u32,
    /// QEMU's `-cpu`.
    pub qemu_cpu: String,
}

/// How to reach the board.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Ssh {
    /// `user@address`; empty: not set.
    pub host: String,
    /// Folder on the board, relative to the login folder.
    pub directory: String,
}

/// QEMU's CPU models that the project runs on. 7.2 (Debian 12) has them all.
pub const QEMU_CPUS: [&str; 6] = ["cortex-a57", "cortex-a72", "cortex-a53", "cortex-a76", "neoverse-n1", "max"];
const TARGETS: [&str; 1] = ["aarch64-unknown-linux-gnu"];
const ISAS: [&str; 2] = ["portable", "neon"];

impl Board {
    /// Reads `<boards>/<key>.toml`.
    pub fn read(boards: &Path, key: &str) -> Result<Board, Error> {
        let keys = list(boards)?;
        if !keys.iter().any(|k| k == key) {
            return Err(Error::Unknown { what: "board", given: key.into(), allowed: keys.join(", ") });
        }
        let path = boards.join(format!("{key}.toml"));
        let text = std::fs::read_to_string(&path).map_err(file(&path))?;
        Board::parse(key, &text).map_err(|reason| Error::Board { file: path, reason })
    }

    /// Parses and checks a profile; the error names the key and what is allowed.
    fn parse(key: &str, text: &str) -> Result<Board, String> {
        let mut board: Board = toml::from_str(text).map_err(|e| e.to_string())?;
        board.key = key.into();
        one_of("target", &board.target, &TARGETS)?;
        one_of("isa", &board.isa, &ISAS)?;
        within("memory_mb", board.memory_mb, 1..=1 << 20)?;
        if board.clusters.is_empty() {
            return Err("key `cluster`: at least one [[cluster]] is needed".into());
        }
        for (i, c) in board.clusters.iter().enumerate() {
            let at = |name: &str| format!("cluster[{i}].{name}");
            one_of(&at("qemu_cpu"), &c.qemu_cpu, &QEMU_CPUS)?;
            within(&at("part"), c.part, 1..=0xfff)?;
            within(&at("count"), c.count, 1..=256)?;
            within(&at("mhz"), c.mhz, 10..=10_000)?;
            within(&at("l1d_kb"), c.l1d_kb, 1..=1024)?;
            within(&at("l2_kb"), c.l2_kb, 0..=65_536)?;
        }
        if board.ssh.host.starts_with('-') {
            return Err(format!("key `ssh.host` = \"{}\": a host does not start with '-'", board.ssh.host));
        }
        Ok(board)
    }

    /// The cores on one line.
    pub fn cores(&self) -> String {
        let one = |c: &Cluster| format!("{} x {} {} MHz", c.count, c.core, c.mhz);
        self.clusters.iter().map(one).collect::<Vec<_>>().join(" + ")
    }
}

/// The keys of all profiles, sorted.
pub fn list(boards: &Path) -> Result<Vec<String>, Error> {
    let mut keys = Vec::new();
    for entry in std::fs::read_dir(boards).map_err(file(boards))? {
        let path = entry.map_err(file(boards))?.path();
        if path.extension().is_some_and(|e| e == "toml")
            && let Some(stem) = path.file_stem().and_then(|s| s.to_str())
        {
            keys.push(stem.to_owned());
        }
    }
    keys.sort();
    Ok(keys)
}

fn one_of(key: &str, value: &str, allowed: &[&str]) -> Result<(), String> {
    match allowed.contains(&value) {
        true => Ok(()),
        false => Err(format!("key `{key}` = \"{value}\"; allowed: {}", allowed.join(", "))),
    }
}

fn within(key: &str, value: u32, allowed: RangeInclusive<u32>) -> Result<(), String> {
    match allowed.contains(&value) {
        true => Ok(()),
        false => Err(format!("key `{key}` = {value}; allowed: {} to {}", allowed.start(), allowed.end())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("../../boards/rk3399pro.toml");

    fn boards() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards")
    }

    /// A profile is part of what was asked for.
    #[test]
    fn a_wrong_profile_is_wrong_usage() {
        let error = Error::Board { file: "boards/x.toml".into(), reason: "key `isa`".into() };
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn every_profile_parses() {
        let keys = list(&boards()).unwrap();
        for key in ["rk3399pro", "jetson-nano", "raspberry-pi-4", "raspberry-pi-5"] {
            assert!(keys.iter().any(|k| k == key), "{key} is missing from {keys:?}");
        }
        for key in keys {
            Board::read(&boards(), &key).unwrap();
        }
    }

    #[test]
    fn parts_are_those_that_arm_assigns() {
        for key in list(&boards()).unwrap() {
            for c in Board::read(&boards(), &key).unwrap().clusters {
                let part = match c.core.as_str() {
                    "Cortex-A53" => 0xd03,
                    "Cortex-A57" => 0xd07,
                    "Cortex-A72" => 0xd08,
                    "Cortex-A76" => 0xd0b,
                    other => panic!("{key}: no part number known for {other}"),
                };
                assert_eq!(c.part, part, "{key}: {}", c.core);
            }
        }
    }

    #[test]
    fn mistakes_are_located() {
        for (from, to, expected) in [
            ("isa = \"neon\"", "isa = \"sve\"", "key `isa` = \"sve\"; allowed: portable, neon"),
            ("part = 0xd03", "part = 0", "key `cluster[1].part` = 0; allowed: 1 to 4095"),
            (
                "qemu_cpu = \"cortex-a72\"",
                "qemu_cpu = \"a72\"",
                "key `cluster[0].qemu_cpu` = \"a72\"; allowed: cortex-a57",
            ),
            ("memory_mb", "memory", "unknown field `memory`, expected one of `name`"),
            ("mhz = 1800", "mhz = \"fast\"", "invalid type: string \"fast\""),
            ("host = \"\"", "host = \"-oProxyCommand=x\"", "key `ssh.host`"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let error = Board::parse("x", &GOOD.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn an_unknown_board_names_the_known_ones() {
        let error = Board::read(&boards(), "rk3588").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("jetson-nano"), "{error}");
    }
}
